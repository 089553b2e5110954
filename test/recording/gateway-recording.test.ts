/** The gateway's live recording: disputes, limits, and a disk that fails. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { cutSigningBytes, NO_POINT } from '../../src/recording/formats/cut.ts';
import { toBase64 } from '../../src/recording/formats/encoding.ts';
import type { CutProposal, EndReason } from '../../src/recording/formats/types.ts';
import {
  generateSigningKey,
  type SigningKey,
  signEd25519,
} from '../../src/recording/keys/ed25519.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { RecordingStopped } from '../../src/recording/write/recording-stopped.ts';
import { realSystem } from '../../src/recording/write/segment-writer.ts';
import { RecordingBench, readBundle, SessionPair } from './session-pair.ts';

async function pairWithBytes(bench: RecordingBench): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, randomBytes(100));
  pair.down(1, randomBytes(1000));
  return pair;
}

/** A client that is connected no more. */
async function silentPair(bench: RecordingBench): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.connected = false;
  return pair;
}

async function closeBoth(pair: SessionPair, reason: EndReason): Promise<void> {
  await pair.gateway.close({ reason });
  await pair.client.close();
}

/** Time passes only where the test lets it. */
async function onFakeTime(body: () => Promise<void> | void): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await body();
  } finally {
    vi.useRealTimers();
  }
}

function resign(
  pair: SessionPair,
  cut: CutProposal,
  key: SigningKey = pair.sessionKey,
): CutProposal {
  const { epoch, treeSize, timeMs } = cut;
  const root = Buffer.from(cut.root, 'base64');
  const message = cutSigningBytes(pair.session, { epoch, treeSize, root, timeMs }, NO_POINT);
  return { ...cut, signature: toBase64(signEd25519(key, message)) };
}

describe('acceptCut', () => {
  const changes: Record<string, (pair: SessionPair, cut: CutProposal) => CutProposal> = {
    'a root that the files do not give': (pair, cut) =>
      resign(pair, { ...cut, root: toBase64(randomBytes(32)) }),
    'another tree size': (pair, cut) => resign(pair, { ...cut, treeSize: cut.treeSize + 1 }),
    'an epoch that is not the next': (pair, cut) => resign(pair, { ...cut, epoch: 1 }),
    'more than was recorded': (pair, cut) =>
      resign(pair, { ...cut, streams: [{ stream: 1, up: 101, down: 1000 }] }),
    'a stream that does not exist': (pair, cut) =>
      resign(pair, { ...cut, streams: [...cut.streams, { stream: 9, up: 1, down: 0 }] }),
    'streams out of order': (pair, cut) =>
      resign(pair, { ...cut, streams: [...cut.streams, { stream: 0, up: 0, down: 0 }] }),
    nothing: (pair, cut) => resign(pair, { ...cut, streams: [] }),
    'an offset that is no number': (pair, cut) =>
      resign(pair, { ...cut, streams: [{ stream: 1, up: Number.NaN, down: 1000 }] }),
    'a signature by another key': (pair, cut) => resign(pair, cut, generateSigningKey()),
    'a signature that is no base64': (_, cut) => ({ ...cut, signature: '%%' }),
    'a root of the wrong length': (_, cut) => ({ ...cut, root: 'AAAA' }),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`disputes ${what}, records it and stops the session`, async () => {
      await using bench = await RecordingBench.create();
      const pair = await pairWithBytes(bench);
      const cut = change(pair, await pair.nextCut());
      const outcome = await pair.gateway.acceptCut(cut);
      expect(outcome).toMatchObject({ type: 'dispute', theirs: cut.root });
      const { reason } = pair.gateway.stopped;
      expect(reason).toBeInstanceOf(RecordingStopped);
      expect(reason).toMatchObject({ endReason: 'disputed', code: 'HOOP_EVIDENCE_MISMATCH' });
      expect(() => pair.gateway.data(1, 0, [randomBytes(1)])).toThrow(RecordingStopped);
      await pair.gateway.close({ reason: 'disputed' });
      await pair.client.close();
      const ended = await bench.ended(pair.session);
      await ended.signAlone();
      const bundle = bytesSource(await readBundle(ended));
      expect(readSession(bundle).events.map(({ event }) => event.type)).toContain('dispute');
      expect(readSession(bundle).manifest.endReason).toBe('disputed');
      expect(verifyBundle(bundle, bench.trust).exitStatus).toBe(2);
    });
  }

  test('gives the same answer to the same cut', async () => {
    await using bench = await RecordingBench.create();
    const pair = await pairWithBytes(bench);
    const cut = await pair.nextCut();
    const first = await pair.gateway.acceptCut(cut);
    expect(first.type).toBe('ack');
    expect(await pair.gateway.acceptCut(cut)).toEqual(first);
    await closeBoth(pair, 'closed');
  });

  test('is signed by its owner alone: a cut waits while that is not known, and is never answered by who is not', async () => {
    await using bench = await RecordingBench.create();
    const known = Promise.withResolvers<void>();
    let isOwner = true;
    const require = async (): Promise<void> => {
      if (!isOwner) throw new Error('taken over');
    };
    const asked = Promise.withResolvers<void>();
    const whenHeld = async (): Promise<void> => {
      asked.resolve();
      await known.promise;
      await require();
    };
    const lease = { isHeld: false, require, whenHeld };
    const pair = await SessionPair.open(bench, { lease });
    pair.openStream(1);
    pair.down(1, randomBytes(1000));
    const cut = await pair.nextCut();
    const answer = pair.gateway.acceptCut(cut);
    await Promise.race([answer, asked.promise]);
    expect(pair.gateway.stats.epochs).toBe(0);
    isOwner = false;
    known.resolve();
    await expect(answer).rejects.toThrow('taken over');
    expect(pair.gateway.stats.epochs).toBe(0);
    await closeBoth(pair, 'gateway_crash');
    // Neither was it closed for good: the cut can still be agreed on where the recording lies.
    const again = await bench.ended(pair.session);
    expect((await again.acceptCut(cut)).type).toBe('ack');
  });

  test('covers what was there when the cut was made, also when more has come since', async () => {
    await using bench = await RecordingBench.create();
    const pair = await pairWithBytes(bench);
    const cut = await pair.nextCut();
    const answer = pair.gateway.acceptCut(cut);
    pair.down(1, randomBytes(100_000));
    expect((await answer).type).toBe('ack');
    await closeBoth(pair, 'closed');
  });

  test('refuses to be asked for many small cuts', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench, {
      gatewaySystem: { ...realSystem, nowMs: () => 1_764_000_000_000 },
    });
    pair.openStream(1);
    for (let round = 0; round < 40 && !pair.gateway.stopped.aborted; round += 1) {
      pair.down(1, randomBytes(1));
      await pair.client.finish(
        AbortSignal.any([new AbortController().signal, pair.gateway.stopped]),
      );
    }
    expect(pair.gateway.stopped.reason).toMatchObject({ message: 'the client cuts too often' });
    await closeBoth(pair, 'disputed');
  });
});

describe('limits', () => {
  test('more than 16 MiB without a cut holds the session until one comes', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.connected = false;
    pair.openStream(1);
    const bytes = randomBytes(1 << 20);
    for (let count = 0; count < 16; count += 1) {
      pair.down(1, bytes);
      expect(pair.gateway.backpressure()).toBeUndefined();
    }
    pair.down(1, bytes);
    const held = pair.gateway.backpressure();
    expect(held).toBeInstanceOf(Promise);
    const cut = pair.cuts[0] ?? (await pair.nextCut());
    expect((await pair.gateway.acceptCut(cut)).type).toBe('ack');
    await held;
    expect(pair.gateway.backpressure()).toBeUndefined();
    await closeBoth(pair, 'closed');
  });

  test('a client that confirms nothing for 30 s ends the session', async () => {
    await using bench = await RecordingBench.create();
    const pair = await silentPair(bench);
    await onFakeTime(async () => {
      pair.openStream(1);
      pair.gateway.data(1, 1, [randomBytes(17 << 20)]);
      const held = pair.gateway.backpressure();
      vi.advanceTimersByTime(29_000);
      expect(pair.gateway.stopped.aborted).toBe(false);
      vi.advanceTimersByTime(2_000);
      expect(pair.gateway.stopped.reason).toMatchObject({
        endReason: 'client_lost',
        code: 'HOOP_SESSION_ENDED',
        message:
          "the gateway ended the session: hoop on the user's machine has not confirmed its recording for 30 s",
      });
      await expect(held).rejects.toBe(pair.gateway.stopped.reason);
    });
    await closeBoth(pair, 'client_lost');
  });

  test('a client that has confirmed all it has and cannot take more is waited for', async () => {
    await using bench = await RecordingBench.create();
    const pair = await silentPair(bench);
    await onFakeTime(() => {
      pair.openStream(1);
      pair.gateway.data(1, 1, [randomBytes(17 << 20)]);
      for (let minute = 0; minute < 3; minute += 1) {
        vi.advanceTimersByTime(20_000);
        pair.gateway.caughtUp();
        vi.advanceTimersByTime(20_000);
        pair.gateway.caughtUp();
        vi.advanceTimersByTime(20_000);
        pair.gateway.caughtUp();
      }
      expect(pair.gateway.stopped.aborted).toBe(false);
      // It gets nothing more for it, and silence still ends the session.
      expect(pair.gateway.backpressure()).toBeInstanceOf(Promise);
      vi.advanceTimersByTime(30_000);
      expect(pair.gateway.stopped.aborted).toBe(false);
      // The timer goes by steps of 5 s, and the one that is under way does not count.
      vi.advanceTimersByTime(6_000);
      expect(pair.gateway.stopped.reason).toMatchObject({ endReason: 'client_lost' });
    });
    await closeBoth(pair, 'client_lost');
  });

  test('a client that says it has confirmed all, and sends more without a cut, is ended as one that says nothing', async () => {
    await using bench = await RecordingBench.create();
    const pair = await silentPair(bench);
    await onFakeTime(() => {
      pair.openStream(1);
      pair.gateway.data(1, 1, [randomBytes(1000)]);
      vi.advanceTimersByTime(20_000);
      pair.gateway.caughtUp();
      vi.advanceTimersByTime(10_000);
      pair.gateway.data(1, 0, [Buffer.from('SELECT 1')]);
      pair.gateway.data(1, 1, [randomBytes(1000)]);
      pair.gateway.caughtUp();
      vi.advanceTimersByTime(10_000);
      pair.gateway.caughtUp();
      expect(pair.gateway.stopped.aborted).toBe(false);
      vi.advanceTimersByTime(16_000);
      expect(pair.gateway.stopped.reason).toMatchObject({ endReason: 'client_lost' });
    });
    await closeBoth(pair, 'client_lost');
  });

  test.each([
    ['that the network keeps away is waited for as long again and half', false, 75_000],
    ['that sends and does not confirm is not, whatever its control channel does', true, 30_000],
  ])('a client %s', async (_title, sends, afterMs) => {
    await using bench = await RecordingBench.create();
    const pair = await silentPair(bench);
    pair.gateway.silence.leaveOut(() => true);
    const step = () => {
      vi.advanceTimersByTime(5_000);
      if (sends) pair.gateway.data(1, 0, [Buffer.from('x')]);
    };
    await onFakeTime(() => {
      pair.openStream(1);
      pair.gateway.data(1, 0, [Buffer.from('x')]);
      for (let passedMs = 5_000; passedMs < afterMs; passedMs += 5_000) step();
      expect(pair.gateway.stopped.aborted).toBe(false);
      vi.advanceTimersByTime(5_000);
    });
    expect(pair.gateway.stopped.reason).toMatchObject({ endReason: 'client_lost' });
    await closeBoth(pair, 'client_lost');
  });

  test('a reader that stands still for minutes keeps its session, also while rows trickle in behind it', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, Buffer.from('SELECT slowly()'));
    const cut = await pair.nextCut();
    expect((await pair.gateway.acceptCut(cut)).type).toBe('ack');
    await onFakeTime(() => {
      for (let step = 0; step < 60; step += 1) {
        pair.gateway.data(1, 1, [randomBytes(100_000)]);
        vi.advanceTimersByTime(10_000);
        pair.gateway.caughtUp();
      }
      expect(pair.gateway.stopped.aborted).toBe(false);
    });
    await closeBoth(pair, 'closed');
  });

  test('cuts that come faster than they can be answered end the session', async () => {
    await using bench = await RecordingBench.create();
    const pair = await pairWithBytes(bench);
    const cut = await pair.nextCut();
    const answers = Array.from({ length: 40 }, () => pair.gateway.acceptCut(cut));
    const outcomes = await Promise.allSettled(answers);
    expect(pair.gateway.stopped.reason).toMatchObject({ message: 'the client cuts too often' });
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(30);
    await closeBoth(pair, 'disputed');
  });

  test('an idle client is left alone', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    await onFakeTime(() => {
      vi.advanceTimersByTime(3_600_000);
    });
    expect(pair.gateway.stopped.aborted).toBe(false);
    await pair.end();
  });

  test('a recording goes on in the next segment after 64 MiB, and the chain with it', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    const bytes = randomBytes(1 << 20);
    for (let count = 0; count < 70; count += 1) {
      pair.down(1, bytes);
      await pair.gateway.backpressure();
    }
    pair.client.closeStream(1);
    pair.gateway.closeStream(1, 'closed');
    await pair.end();
    const transport = await pair.transport();
    const receipt = await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: new AbortController().signal,
    });
    expect(receipt.hasUnconfirmedTail).toBe(false);
    const bundle = bytesSource(await readBundle(transport.ended));
    expect(verifyBundle(bundle, bench.trust).exitStatus).toBe(0);
  });
});

test('a cut is signed for where it stands, whatever is recorded while it is answered', async () => {
  await using bench = await RecordingBench.create();
  let recorded = 0;
  const cell: { pair?: SessionPair } = {};
  const syncData: typeof realSystem.syncData = async (fd) => {
    await realSystem.syncData(fd);
    const gateway = cell.pair?.gateway;
    const tell = () => {
      recorded += 1;
      gateway?.writer.event({ type: 'cancel', stream: 1, forStream: undefined });
    };
    // One waits when the cut is written, and what goes on with that records another.
    if (gateway?.stopped.aborted === false && recorded < 20) {
      tell();
      gateway.turns.whenWritten(tell);
    }
  };
  const pair = await SessionPair.open(bench, { gatewaySystem: { ...realSystem, syncData } });
  cell.pair = pair;
  pair.openStream(1);
  pair.openStream(2);
  for (let round = 0; round < 3; round += 1) {
    pair.up(1, randomBytes(10));
    pair.down(2, randomBytes(100));
    await pair.gateway.writer.sync();
    await pair.client.finish(new AbortController().signal);
  }
  expect(recorded).toBeGreaterThan(6);
  delete cell.pair;
  await pair.end();
  const gateway = await pair.transport();
  const signal = new AbortController().signal;
  await uploadSession({ directory: bench.spools, session: pair.session, gateway, signal });
  const result = verifyBundle(bytesSource(await readBundle(gateway.ended)), bench.trust);
  expect(result).toMatchObject({ exitStatus: 0, verdict: 'verified (two-sided, not logged)' });
});

describe('a disk that fails', () => {
  test('an fsync error is final: nothing is signed or recorded after it', async () => {
    let isBroken = false;
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench, {
      gatewaySystem: {
        ...realSystem,
        syncData: (fd) =>
          isBroken ? Promise.reject(new Error('EIO: i/o error')) : realSystem.syncData(fd),
      },
    });
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    const cut = await pair.nextCut();
    pair.down(1, randomBytes(100));
    isBroken = true;
    await expect(pair.gateway.acceptCut(cut)).rejects.toMatchObject({
      code: 'HOOP_RECORDING_WRITE',
      detail: 'The system said: EIO: i/o error.',
    });
    isBroken = false;
    expect(pair.gateway.stopped.reason).toMatchObject({ endReason: 'recording_failed' });
    expect(() => pair.gateway.data(1, 1, [randomBytes(1)])).toThrow(RecordingStopped);
    expect(() =>
      pair.gateway.writer.event({ type: 'cancel', stream: 1, forStream: undefined }),
    ).toThrow();
    await expect(pair.gateway.writer.sync()).rejects.toMatchObject({
      code: 'HOOP_RECORDING_WRITE',
    });
    await closeBoth(pair, 'recording_failed');
    // What had been written is not lost for that: recovery settles it.
    const transport = await pair.transport();
    const receipt = await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: new AbortController().signal,
    });
    expect(receipt.cuts).toBeGreaterThan(0);
  });

  test('a client whose disk fails stops its session', async () => {
    await using bench = await RecordingBench.create();
    let isFull = true;
    const syncData: typeof realSystem.syncData = (fd) =>
      isFull ? Promise.reject(new Error('ENOSPC')) : realSystem.syncData(fd);
    const clientSystem = { ...realSystem, syncData };
    // Without the beginning of its journal on the disk it does not begin at all.
    await expect(SessionPair.open(bench, { clientSystem })).rejects.toMatchObject({
      code: 'HOOP_RECORDING_WRITE',
    });
    isFull = false;
    const pair = await SessionPair.open(bench, { clientSystem });
    isFull = true;
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    await pair.client.finish(new AbortController().signal);
    expect(pair.client.stopped.reason).toMatchObject({
      endReason: 'recording_failed',
      code: 'HOOP_RECORDING_WRITE',
    });
    await pair.client.close();
    await pair.gateway.close({ reason: 'client_lost' });
  });
});
