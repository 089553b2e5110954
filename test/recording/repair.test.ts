/**
 * A power cut takes the end of the gateway's files while the client lives: what it still has goes
 * back, as its word alone.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { timelineOf } from '../../src/commands/sessions/sessions-timeline.ts';
import { readBundleContents } from '../../src/recording/bundle/bundle-contents.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { checkRepair } from '../../src/recording/client/check-repair.ts';
import {
  encodeRepair,
  MAX_REPAIR_BYTES,
  MAX_REPAIR_PIECES,
  type RepairPiece,
  signRepair,
} from '../../src/recording/client/repair.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import type { EndedRecording } from '../../src/recording/ended/ended-recording.ts';
import { readSegments } from '../../src/recording/ended/read-segments.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { encodeEnvelope, signEnvelope } from '../../src/recording/formats/dsse.ts';
import { utf8 } from '../../src/recording/formats/encoding.ts';
import { decodeFrameHeader, frameLength } from '../../src/recording/formats/frame.ts';
import {
  encodeManifest,
  MANIFEST_TYPE,
  type Manifest,
} from '../../src/recording/formats/manifest.ts';
import { SEGMENT_HEADER_LENGTH } from '../../src/recording/formats/segment-header.ts';
import type { Direction, StreamOffsets } from '../../src/recording/formats/types.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { loadRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { newSessionId } from '../../src/session-id.ts';
import { collectReplay } from '../../src/ui/replay/replay-model.ts';
import { transcriptLines } from '../../src/ui/replay/transcript.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { bundleOf, membersOf } from './bundle-of.ts';
import { RecordingBench, readBundle, SessionPair, transportTo } from './session-pair.ts';

let bench: RecordingBench;
beforeEach(async () => {
  bench = await RecordingBench.create();
});
afterEach(() => bench[Symbol.asyncDispose]());

const QUERY = Buffer.from('SELECT the query that both have');
const ANSWER = Buffer.from('the answer that both have');
const LATE_QUERY = Buffer.from('SELECT what came last');
const LATE_ANSWER = Buffer.from('\x1b]52;c;what was in the last 100 ms\x07\x1b[31m');

/** Both sides have all of it; the gateway's process is gone, its files not closed. */
async function powerless(agreed = true): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, QUERY);
  pair.down(1, ANSWER);
  await pair.gateway.writer.sync();
  if (agreed) {
    await pair.client.finish(new AbortController().signal);
  }
  pair.connected = false;
  pair.up(1, LATE_QUERY);
  pair.down(1, LATE_ANSWER);
  await pair.gateway.writer.sync();
  await pair.client.close();
  return pair;
}

function segmentOf(pair: SessionPair): string {
  return join(pair.gateway.directory, 'seg-00000001.hrs');
}

function lastSegment(directory: string): string {
  const names = readdirSync(directory).filter((name) => name.endsWith('.hrs'));
  return names.sort().at(-1) ?? '';
}

/** Where the frames of a segment end. */
function frameEnds(path: string): number[] {
  const bytes = readFileSync(path);
  const ends: number[] = [];
  for (let at = SEGMENT_HEADER_LENGTH; at < bytes.length; ) {
    at += frameLength(decodeFrameHeader(bytes.subarray(at)));
    ends.push(at);
  }
  return ends;
}

async function upload(pair: SessionPair, ended: EndedRecording, live = true) {
  return uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transportTo(ended),
    live: live ? pair.client : undefined,
    signal: new AbortController().signal,
  });
}

async function verified(ended: EndedRecording) {
  const bundle = await readBundle(ended);
  return { bundle, result: verifyBundle(bytesSource(bundle), bench.trust) };
}

/** Everything of one direction: recorded, then what was sent back. */
function contentOf(bundle: Buffer, direction: Direction): Buffer {
  const reading = readSession(bytesSource(bundle));
  const pieces = [...(reading.streams.find(({ stream }) => stream === 1)?.pieces() ?? [])];
  const all = [...pieces, ...reading.lost()].filter(
    (piece) => piece.direction === direction && piece.stream === 1,
  );
  return Buffer.concat(all.map(({ bytes }) => bytes));
}

describe('what a power cut took', () => {
  test('is sent back, whatever byte of the last frames the files end at', async () => {
    const whole = await powerless();
    const ends = frameEnds(segmentOf(whole));
    const length = readFileSync(segmentOf(whole)).length;
    await whole.gateway.close({ reason: 'gateway_crash' });
    // The frames behind the agreed cut: a query, its answer.
    const from = ends.at(-3) ?? 0;
    expect(length - from).toBeLessThan(400);
    // Each byte of them has been tried once; of the others, those where something new begins matter.
    const near = new Set(ends.slice(-3).flatMap((end) => [end - 1, end, end + 1, end + 60]));
    for (let at = from; at <= length; at += 1) {
      if (at % 9 !== 0 && !near.has(at)) {
        continue;
      }
      const pair = await powerless();
      truncateSync(segmentOf(pair), at);
      const ended = await bench.ended(pair.session);
      const { recorded } = ended.position();
      const down = recorded.find(({ stream }) => stream === 1)?.down ?? 0;
      const receipt = await upload(pair, ended);
      const { bundle, result } = await verified(ended);
      expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(contentOf(bundle, 0)).toEqual(Buffer.concat([QUERY, LATE_QUERY]));
      expect(contentOf(bundle, 1)).toEqual(Buffer.concat([ANSWER, LATE_ANSWER]));
      const total = ANSWER.length + LATE_ANSWER.length;
      if (down === total) {
        expect(receipt.sentBack).toBe(0);
        expect(result.exitStatus).toBe(0);
      } else {
        const text = `bytes ${down}–${total} of stream 1 down are the client's word; the gateway lost them`;
        expect(result.exitStatus).toBe(2);
        expect(result.verdict).toContain(text);
        expect(receipt.sentBack).toBeGreaterThanOrEqual(LATE_ANSWER.length);
      }
    }
  }, 600_000);

  test('is sent back again when the power goes a second time, while it is written', async () => {
    const { ended } = await lossy();
    const pair = lastPair;
    const { directory } = pair.gateway;
    let closed = Buffer.alloc(0);
    const repair = async (_session: string, pieces: Uint8Array) => {
      closed = readFileSync(join(directory, 'closed'));
      await ended.repair(pieces);
      throw new Error('the connection broke');
    };
    const options = {
      directory: bench.spools,
      session: pair.session,
      live: pair.client,
      signal: new AbortController().signal,
    };
    const gateway = { ...transportTo(ended), repair };
    await expect(uploadSession({ ...options, gateway })).rejects.toThrow('the connection broke');
    // The length of the file had reached the disk, and its end, and not what is between.
    const segment = join(directory, lastSegment(directory));
    const written = readFileSync(segment);
    writeFileSync(
      segment,
      Buffer.from(written).fill(0, SEGMENT_HEADER_LENGTH + 70, written.length - 10),
    );
    // What says that it is there comes after it.
    writeFileSync(join(directory, 'closed'), closed);
    const again = await bench.ended(pair.session);
    expect(readFileSync(`${segment}.torn`)).toHaveLength(written.length - SEGMENT_HEADER_LENGTH);
    const receipt = await upload(pair, again);
    expect(receipt.sentBack).toBe(LATE_ANSWER.length);
    const { bundle, result } = await verified(again);
    expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(result.exitStatus).toBe(2);
    expect(contentOf(bundle, 1)).toEqual(Buffer.concat([ANSWER, LATE_ANSWER]));
  });

  test('is not dropped by damage once the gateway has said that it has it, nor with its end or manifest', async () => {
    const { ended } = await lossy();
    const { directory } = lastPair.gateway;
    const damaged = async (name: string): Promise<void> => {
      const path = join(directory, name);
      const whole = readFileSync(path);
      writeFileSync(
        path,
        Buffer.from(whole).fill(0, SEGMENT_HEADER_LENGTH + 70, whole.length - 10),
      );
      const names = readdirSync(directory);
      await expect(bench.ended(lastPair.session)).rejects.toMatchObject({
        code: 'HOOP_RECORDING_DAMAGED',
      });
      expect(readdirSync(directory)).toEqual(names);
      writeFileSync(path, whole);
    };
    const before = readFileSync(join(directory, 'closed'));
    let repaired = '';
    const gateway = transportTo(ended);
    await uploadSession({
      directory: bench.spools,
      session: lastPair.session,
      live: lastPair.client,
      signal: new AbortController().signal,
      gateway: {
        ...gateway,
        seal: async (...call) => {
          repaired = lastSegment(directory);
          await damaged(repaired);
          const sealed = await gateway.seal(...call);
          await damaged(repaired);
          await damaged(lastSegment(directory));
          return sealed;
        },
      },
    });
    expect(readdirSync(directory)).toContain('manifest.dsse');
    // Nor when somebody has changed what it was closed with, and there is a manifest.
    for (const closed of [before, '0\n', '', '1e3\n', undefined]) {
      rmSync(join(directory, 'closed'));
      if (closed !== undefined) {
        writeFileSync(join(directory, 'closed'), closed);
      }
      await damaged(repaired);
      await damaged(lastSegment(directory));
    }
  });

  test('is accepted by no option', async () => {
    const { ended } = await lossy();
    const pair = lastPair;
    await upload(pair, ended);
    const { bundle } = await verified(ended);
    const allowed = verifyBundle(bytesSource(bundle), { ...bench.trust, allowOneSided: true });
    expect(allowed).toMatchObject({ exitStatus: 2, isOneSided: false });
  });

  test('of which a cut was on its way goes back, and no other cut of that number is made', async () => {
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, QUERY);
    pair.down(1, ANSWER);
    const before = frameEnds(segmentOf(pair)).at(-1) ?? 0;
    pair.down(1, LATE_ANSWER);
    const cut = await pair.nextCut();
    await pair.client.close();
    truncateSync(segmentOf(pair), before);
    const ended = await bench.ended(pair.session);
    const receipt = await upload(pair, ended);
    expect(receipt).toMatchObject({ cuts: 0, sentBack: LATE_ANSWER.length });
    const { bundle, result } = await verified(ended);
    expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(result.exitStatus).toBe(2);
    expect(contentOf(bundle, 1)).toEqual(Buffer.concat([ANSWER, LATE_ANSWER]));
    expect(cut.epoch).toBe(0);
  });

  test('is settled by a later hoop when the answer was lost and the process died', async () => {
    const { ended } = await lossy();
    const pair = lastPair;
    const gateway = transportTo(ended);
    const repair = async (session: string, pieces: Uint8Array, signal: AbortSignal) => {
      await gateway.repair(session, pieces, signal);
      throw new Error('the connection broke');
    };
    const options = {
      directory: bench.spools,
      session: pair.session,
      signal: new AbortController().signal,
    };
    await expect(
      uploadSession({ ...options, live: pair.client, gateway: { ...gateway, repair } }),
    ).rejects.toThrow('the connection broke');
    const receipt = await uploadSession({ ...options, gateway });
    expect(receipt.sentBack).toBeGreaterThanOrEqual(LATE_ANSWER.length);
    expect((await verified(ended)).result.exitStatus).toBe(2);
  });

  test('stays lost without the process that had it, and nobody signs that all is well', async () => {
    const { ended } = await lossy();
    await expect(upload(lastPair, ended, false)).rejects.toMatchObject({
      code: 'HOOP_EVIDENCE_MISMATCH',
    });
  });

  test('is shown behind all else, marked, and does nothing to a terminal', async () => {
    const { ended } = await lossy();
    await upload(lastPair, ended);
    const { bundle } = await verified(ended);
    const entries = [...timelineOf(readSession(bytesSource(bundle)))];
    expect(entries.at(-1)).toMatchObject({
      type: 'lost',
      stream: 1,
      direction: 'down',
      from: ANSWER.length,
      to: ANSWER.length + LATE_ANSWER.length,
      text: LATE_ANSWER.toString(),
    });
    const style = styleFor(false);
    const lines = entries.flatMap((entry) =>
      transcriptLines(entry, { style, width: undefined, startMs: 0 }),
    );
    const text = lines.join('\n');
    expect(text).toContain("are the client's word; the gateway lost them");
    expect(text).toContain('what was in the last 100 ms');
    expect(text).not.toMatch(/[\x1b\x07]/);
  });

  test('is not found by a search, which reads the files', async () => {
    const { ended } = await lossy();
    await upload(lastPair, ended);
    const { directory } = lastPair.gateway;
    const { dataKey } = loadRecordingKeys(bench.store.keysDir, lastPair.session);
    const options = { directory, session: lastPair.session, dataKey, isLive: false };
    const items = [];
    for await (const some of readSegments({ ...options, maxBytes: 1e9, onCut: () => undefined })) {
      items.push(...some);
    }
    const pieces = items.flatMap((item) => (item.type === 'data' ? [item.piece.bytes] : []));
    const text = Buffer.concat(pieces).toString();
    expect(text).toContain(QUERY.toString());
    expect(text).not.toContain('last 100 ms');
  });

  test('is not listed otherwise by a gateway that signs another manifest alone', async () => {
    const { ended } = await lossy(2);
    await upload(lastPair, ended);
    const { bundle } = await verified(ended);
    const members = membersOf(bundle);
    const { manifest } = readBundleContents(bytesSource(bundle));
    const signed = (lost: Manifest['lost']): Buffer => {
      const payload = encodeManifest({ ...manifest, lost, clientJournalSha256: undefined });
      const envelope = signEnvelope(MANIFEST_TYPE, payload, bench.keys.gatewayKey);
      return bundleOf(
        members.map(([name, bytes]) =>
          name === 'manifest.dsse' ? [name, utf8(encodeEnvelope(envelope))] : [name, bytes],
        ),
      );
    };
    const status = (lost: Manifest['lost']) =>
      verifyBundle(bytesSource(signed(lost)), bench.trust).exitStatus;
    const { lost } = manifest;
    // As it is: only the client's signature is missing.
    expect(status(lost)).toBe(2);
    const [up, down] = lost;
    if (up === undefined || down === undefined) {
      throw new TypeError('a query and its answer were lost');
    }
    for (const other of [
      [],
      [up],
      [down],
      [down, up],
      [up, down, down],
      [up, { ...down, to: down.to + 1 }],
      [up, { ...down, to: down.to - 1 }],
      [up, { ...down, from: down.from - 1 }],
      [up, { ...down, stream: 2 }],
      [up, down, { stream: 7, direction: 1, from: 0, to: 5 } as const],
    ]) {
      expect(status(other)).toBe(1);
    }
  });

  test('is refused by verify when the bytes, their place or the manifest’s list differ', async () => {
    const { ended } = await lossy();
    await upload(lastPair, ended);
    const { bundle } = await verified(ended);
    const at = bundle.indexOf(LATE_ANSWER);
    expect(at).toBeGreaterThan(0);
    for (let byte = at - 85; byte < at + LATE_ANSWER.length; byte += 1) {
      const changed = Buffer.from(bundle);
      changed[byte] = (changed[byte] ?? 0) ^ 1;
      expect(verifyBundle(bytesSource(changed), bench.trust).exitStatus).toBe(1);
    }
  });
});

let lastPair: SessionPair;
/** @param frames gone: the last answer, and the query before it */
async function lossy(
  frames = 1,
): Promise<{ readonly ended: EndedRecording; readonly at: StreamOffsets }> {
  lastPair = await powerless();
  const ends = frameEnds(segmentOf(lastPair));
  truncateSync(segmentOf(lastPair), ends.at(-1 - frames) ?? 0);
  const ended = await bench.ended(lastPair.session);
  const at = ended.position().recorded.find(({ stream }) => stream === 1);
  return { ended, at: at ?? { stream: 1, up: 0, down: 0 } };
}

describe('a hostile client', () => {
  const piece = (
    over: Partial<RepairPiece> = {},
    session = lastPair.session,
    key = lastPair.sessionKey,
  ): RepairPiece =>
    signRepair(key, session, {
      stream: 1,
      direction: 1,
      offset: ANSWER.length,
      timeMs: 1_764_000_000_000,
      bytes: LATE_ANSWER,
      ...over,
    });
  const refusal = (ended: EndedRecording, pieces: readonly RepairPiece[]) =>
    ended.repair(encodeRepair(pieces)).then(
      () => 'taken',
      ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
    );

  test.each<[string, () => RepairPiece[], string]>([
    [
      'an offset behind the end',
      () => [piece({ offset: ANSWER.length + 1 })],
      'a repair leaves a gap of 1 bytes in stream 1 down',
    ],
    [
      'bytes that the gateway has',
      () => [piece({ offset: 0, bytes: ANSWER })],
      'a repair has bytes of stream 1 down that the recording has already',
    ],
    [
      'an overlap with the recording',
      () => [piece({ offset: ANSWER.length - 1 })],
      'a repair has bytes of stream 1 down that the recording has already',
    ],
    [
      'an overlap of pieces',
      () => [piece(), piece()],
      'a repair has bytes of stream 1 down that the recording has already',
    ],
    [
      'a gap between pieces',
      () => [piece(), piece({ offset: ANSWER.length + LATE_ANSWER.length + 3 })],
      'a repair leaves a gap of 3 bytes in stream 1 down',
    ],
    [
      'another order',
      () => [piece(), piece({ direction: 0, offset: QUERY.length + LATE_QUERY.length })],
      'the pieces of a repair are not in order',
    ],
    [
      'a stream that has no beginning',
      () => [piece({ stream: 9, offset: 5 })],
      'a repair leaves a gap of 5 bytes in stream 9 down',
    ],
    [
      'another key',
      () => [piece({}, undefined, generateSigningKey())],
      'a piece is not signed by the session key for its place in this session',
    ],
    [
      'another session',
      () => [piece({}, newSessionId(Date.now(), randomBytes(16)))],
      'a piece is not signed by the session key for its place in this session',
    ],
    [
      'a signature of another place',
      () => [{ ...piece(), timeMs: 1 }],
      'a piece is not signed by the session key for its place in this session',
    ],
    [
      'other bytes than were signed',
      () => [{ ...piece(), bytes: Buffer.alloc(LATE_ANSWER.length) }],
      'a piece is not signed by the session key for its place in this session',
    ],
    [
      'no bytes',
      () => [piece({ bytes: new Uint8Array(0) })],
      'a repair has a piece of a length that is not allowed',
    ],
    [
      'a piece of more than 1 MiB',
      () => [piece({ bytes: Buffer.alloc((1 << 20) + 1) })],
      'a repair has a piece of a length that is not allowed',
    ],
    [
      'an offset above 2^53',
      () => [piece({ offset: Number.MAX_SAFE_INTEGER })],
      'a repair has a number above 2^53',
    ],
    ['nothing', () => [], 'a repair has no bytes'],
  ])('that sends %s is refused', async (_what, pieces, message) => {
    const { ended } = await lossy();
    const before = readdirSync(lastPair.gateway.directory);
    expect(await refusal(ended, pieces())).toBe(`HOOP_REPAIR_REFUSED: ${message}`);
    expect(readdirSync(lastPair.gateway.directory)).toEqual(before);
    // The honest one is taken all the same.
    expect(await refusal(ended, [piece()])).toBe('taken');
  });

  test('that sends more than 16 MiB is refused, and 16 MiB are taken', async () => {
    const { ended } = await lossy();
    const bytes = randomBytes(1 << 20);
    const pieces = Array.from({ length: MAX_REPAIR_BYTES / bytes.length }, (_, index) =>
      piece({ offset: ANSWER.length + index * bytes.length, bytes }),
    );
    const over = piece({ offset: ANSWER.length + MAX_REPAIR_BYTES, bytes: Buffer.from('!') });
    expect(await refusal(ended, [...pieces, over])).toBe(
      'HOOP_REPAIR_REFUSED: a repair has more than 16777216 bytes',
    );
    expect(await refusal(ended, pieces)).toBe('taken');
  });

  test('that sends a signature for every byte is refused before one is checked, and holds nobody up', async () => {
    const { ended } = await lossy();
    const pieces = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        piece({ offset: ANSWER.length + index, bytes: Buffer.from('!') }),
      );
    const most = pieces(MAX_REPAIR_PIECES);
    const { signature } = piece({ bytes: Buffer.from('?') });
    const over = piece({ offset: ANSWER.length + MAX_REPAIR_PIECES, bytes: Buffer.from('!') });
    expect(
      await refusal(ended, [{ ...most[0], signature } as RepairPiece, ...most.slice(1), over]),
    ).toBe(`HOOP_REPAIR_REFUSED: a repair has more than ${MAX_REPAIR_PIECES} pieces`);
    const offsets = new Map(
      ended.position().recorded.map((entry) => [entry.stream, entry] as const),
    );
    const { session, sessionKey } = lastPair;
    const scan = { end: undefined, isRecovered: true, lost: [], offsets, session };
    let turns = 0;
    let timer = setImmediate(function turn() {
      turns += 1;
      timer = setImmediate(turn);
    });
    const checked = await checkRepair(encodeRepair(most), scan, sessionKey.publicKey);
    clearImmediate(timer);
    expect(checked).toHaveLength(MAX_REPAIR_PIECES);
    expect(turns).toBeGreaterThan(MAX_REPAIR_PIECES / 100);
    expect(await refusal(ended, most)).toBe('taken');
  });

  test.each([0, Number.MAX_SAFE_INTEGER])(
    'that says that it is %i does not move anything in the replay',
    async (timeMs) => {
      const { ended } = await lossy();
      expect(await refusal(ended, [piece({ timeMs })])).toBe('taken');
      const { bundle } = await verified(ended);
      const timeline = timelineOf(readSession(bytesSource(bundle)));
      const header = { session: '', target: '', principal: '', reason: '', verdict: '' };
      const model = collectReplay({ ...header, verified: 'no' }, timeline);
      expect(model.entries.at(-1)).toMatchObject({ type: 'lost', sentMs: timeMs });
      expect(model.durationMs).toBeLessThan(3_600_000);
    },
  );

  test('that repairs twice is refused, with the same and with more', async () => {
    const { ended } = await lossy();
    const again = 'HOOP_REPAIR_REFUSED: this recording was repaired before';
    expect(await refusal(ended, [piece()])).toBe('taken');
    expect(await refusal(ended, [piece()])).toBe(again);
    const more = piece({ offset: ANSWER.length + LATE_ANSWER.length });
    expect(await refusal(ended, [more])).toBe(again);
    // Another process of the gateway knows it, too.
    expect(await refusal(await bench.ended(lastPair.session), [more])).toBe(again);
  });

  test('that repairs what was sealed is refused', async () => {
    const { ended } = await lossy();
    await ended.seal();
    expect(await refusal(ended, [piece()])).toBe('HOOP_SESSION_ENDED: the recording is sealed');
  });

  test('that repairs a session which the gateway has closed itself is refused', async () => {
    lastPair = await powerless();
    await lastPair.gateway.close({ reason: 'client_lost' });
    const ended = await bench.ended(lastPair.session);
    const offset = ANSWER.length + LATE_ANSWER.length;
    expect(await refusal(ended, [piece({ offset })])).toBe(
      'HOOP_REPAIR_REFUSED: the gateway has not lost anything of this session',
    );
  });

  test('cannot make a cut of what it has sent back', async () => {
    const { ended } = await lossy();
    expect(await refusal(ended, [piece()])).toBe('taken');
    const streams = [{ stream: 1, up: QUERY.length, down: ANSWER.length + LATE_ANSWER.length }];
    const root = Buffer.alloc(32).toString('base64');
    const signature = Buffer.alloc(64).toString('base64');
    const cut = { epoch: 1, streams, treeSize: 9, root, timeMs: 1, signature };
    expect(await ended.acceptCut(cut)).toMatchObject({ type: 'dispute' });
    expect(ended.position()).toMatchObject({
      recorded: expect.arrayContaining([
        expect.objectContaining({ stream: 1, down: ANSWER.length }),
      ]),
    });
  });

  test('random bytes in the place of a repair are refused, and nothing is written', async () => {
    const { ended } = await lossy();
    const good = encodeRepair([piece()]);
    for (let round = 0; round < 300; round += 1) {
      const bytes = Buffer.from(round % 3 === 0 ? randomBytes(round) : good);
      if (round % 3 === 1) {
        bytes[round % bytes.length] = (bytes[round % bytes.length] ?? 0) ^ (1 + (round % 255));
      }
      const request = round % 3 === 2 ? bytes.subarray(0, round % bytes.length) : bytes;
      await expect(ended.repair(request)).rejects.toMatchObject({ code: 'HOOP_REPAIR_REFUSED' });
    }
    expect(ended.position().lost).toEqual([]);
  });
});
