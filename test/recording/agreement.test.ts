/** Two recorders of the same bytes, fed differently, cut late and in any order, must agree. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { pendingUploads, pruneSpools } from '../../src/recording/client/pending-uploads.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { RecordingBench, readBundle, SessionPair, seededRandom } from './session-pair.ts';

const signal = () => new AbortController().signal;

/** Feeds `bytes` in pieces of random sizes. */
function* pieces(bytes: Uint8Array, random: () => number, largest: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() * largest);
    yield bytes.subarray(at, end);
    at = end;
  }
}

describe('agreement', () => {
  for (const seed of [1, 2, 3]) {
    test(`random chunkings on both sides and cuts that lag give one root (seed ${seed})`, async () => {
      const random = seededRandom(seed);
      await using bench = await RecordingBench.create();
      const pair = await SessionPair.open(bench);
      const streams = [1, 2, 3];
      const contents = new Map<number, [Buffer, Buffer]>();
      for (const stream of streams) {
        pair.openStream(stream);
        contents.set(stream, [
          randomBytes(Math.floor(random() * 50_000)),
          randomBytes(Math.floor(random() * 6_000_000)),
        ]);
      }
      // Each side gets the same bytes in its own pieces, at its own pace: the gateway is ahead with
      // down, the client with up, and cuts fall wherever the client happens to be.
      const lanes = streams.flatMap((stream) => {
        const [up, down] = contents.get(stream) ?? [Buffer.alloc(0), Buffer.alloc(0)];
        return [
          lane(pair, { stream, direction: 0, bytes: up, random, first: 'client' }),
          lane(pair, { stream, direction: 1, bytes: down, random, first: 'gateway' }),
        ];
      });
      while (lanes.length > 0) {
        const index = Math.floor(random() * lanes.length);
        if (lanes[index]?.next().done) {
          lanes.splice(index, 1);
        }
        await pair.gateway.backpressure();
      }
      for (const stream of streams) {
        pair.client.closeStream(stream);
        pair.gateway.closeStream(stream, 'closed');
      }
      await pair.end();
      expect(pair.gateway.stopped.aborted).toBe(false);
      expect(pair.cuts.length).toBeGreaterThan(1);
      const transport = await pair.transport();
      const receipt = await uploadSession({
        directory: bench.spools,
        session: pair.session,
        gateway: transport,
        signal: signal(),
      });
      expect(receipt.hasUnconfirmedTail).toBe(false);
      const bundle = bytesSource(await readBundle(transport.ended));
      expect(verifyBundle(bundle, bench.trust).verdict).toBe('verified (two-sided, not logged)');
      const reading = readSession(bundle);
      for (const { stream, kind, pieces: read } of reading.streams) {
        if (kind === 'evidence') {
          continue;
        }
        for (const direction of [0, 1] as const) {
          const bytes = [...read()].filter((piece) => piece.direction === direction);
          const whole = Buffer.concat(bytes.map((piece) => piece.bytes));
          expect(whole.equals(contents.get(stream)?.[direction] ?? Buffer.alloc(0))).toBe(true);
        }
      }
    });
  }

  test('a connection that breaks is settled by HTTP, and what only the gateway has is named', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(1000));
    pair.down(1, randomBytes(70_000));
    await pair.gateway.writer.sync();
    // Gone: the gateway still records an answer, the client still a question.
    pair.connected = false;
    pair.gateway.data(1, 1, [randomBytes(5_000)]);
    pair.client.data(1, 0, [randomBytes(300)]);
    pair.client.closeStream(1);
    pair.gateway.closeStream(1, 'broken');
    await pair.gateway.close({ reason: 'partition' });
    await pair.client.close();
    expect((await pendingUploads(bench.spools)).map(({ session }) => session)).toEqual([
      pair.session,
    ]);
    const transport = await pair.transport();
    const options = {
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: signal(),
    };
    const receipt = await uploadSession(options);
    expect(receipt).toMatchObject({ endReason: 'partition', cuts: 1, hasUnconfirmedTail: true });
    expect(await pendingUploads(bench.spools)).toEqual([]);
    const bundle = bytesSource(await readBundle(transport.ended));
    const result = verifyBundle(bundle, bench.trust);
    expect(result).toMatchObject({
      exitStatus: 2,
      verdict: 'incomplete: two-sided up to cut 1, then gateway only',
    });
    const allowed = verifyBundle(bundle, { ...bench.trust, allowOneSided: true });
    expect(allowed).toMatchObject({
      exitStatus: 0,
      verdict: 'verified (two-sided up to cut 1, then gateway only, not logged)',
    });
    // Uploading again changes nothing.
    expect(await uploadSession(options)).toEqual(receipt);
  });

  test('a manifest whose answer got lost is sent again, and is the same', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(10));
    await pair.end();
    const gateway = await pair.transport();
    const options = { directory: bench.spools, session: pair.session, signal: signal() };
    const cutOff = {
      ...gateway,
      putManifest: async (session: string, text: string) => {
        await gateway.putManifest(session, text, signal());
        throw new Error('the connection broke');
      },
    };
    await expect(uploadSession({ ...options, gateway: cutOff })).rejects.toThrow('broke');
    expect(await pendingUploads(bench.spools)).toHaveLength(1);
    expect(gateway.ended.position().state).toBe('complete');
    const receipt = await uploadSession({ ...options, gateway });
    expect(receipt).toMatchObject({ endReason: 'closed', hasUnconfirmedTail: false });
    expect(await pendingUploads(bench.spools)).toEqual([]);
  });

  test('journal and receipt stay as long as the gateway keeps the recording; the key does not', async () => {
    await using bench = await RecordingBench.create();
    const year = 365 * 86_400_000;
    const kept = await SessionPair.open(bench);
    const dated = await SessionPair.open(bench);
    for (const pair of [kept, dated]) {
      await pair.end();
      const gateway = await pair.transport();
      const seal = async () => ({
        ...(await gateway.seal(pair.session, signal())),
        ...(pair === dated ? { keptUntilMs: Date.now() + year } : {}),
      });
      const options = { directory: bench.spools, session: pair.session, signal: signal() };
      await uploadSession({ ...options, gateway: { ...gateway, seal } });
      expect(readdirSync(pair.client.directory).sort()).toEqual([
        'journal',
        ...(pair === dated ? ['kept-until'] : []),
        'owner',
        'receipt.json',
        'spool.json',
      ]);
    }
    expect(await pruneSpools(bench.spools, Date.now() + year - 60_000)).toEqual([]);
    expect(await pruneSpools(bench.spools, Date.now() + year + 60_000)).toEqual([dated.session]);
    expect(await pruneSpools(bench.spools, Date.now() + 20 * year)).toEqual([]);
    expect(existsSync(dated.client.directory)).toBe(false);
  });

  test('an answer that got lost is given again, and signs the same cut', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(10));
    await pair.gateway.writer.sync();
    // The cut arrives, the answer does not.
    const outcome = await pair.gateway.acceptCut(await pair.nextCut());
    expect(outcome.type).toBe('ack');
    await pair.gateway.close({ reason: 'client_lost' });
    await pair.client.close();
    const transport = await pair.transport();
    expect(transport.ended.position()).toMatchObject({ state: 'sealed', agreed: 1 });
    const receipt = await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: signal(),
    });
    expect(receipt).toMatchObject({ cuts: 1, hasUnconfirmedTail: false });
    const bundle = bytesSource(await readBundle(transport.ended));
    expect(verifyBundle(bundle, bench.trust).exitStatus).toBe(0);
  });

  test('a lost client leaves a recording that the gateway signs alone, until the client comes', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.up(1, randomBytes(10));
    pair.down(1, randomBytes(10));
    pair.connected = false;
    pair.gateway.closeStream(1, 'broken');
    await pair.gateway.close({ reason: 'client_lost' });
    const ended = await bench.ended(pair.session);
    const early = bytesSource(await readBundle(ended));
    expect(verifyBundle(early, bench.trust).verdict).toContain('interim');
    await ended.signAlone();
    const bundle = bytesSource(await readBundle(ended));
    expect(verifyBundle(bundle, bench.trust)).toMatchObject({
      exitStatus: 2,
      verdict: 'incomplete: one-sided: gateway only',
    });
    expect(verifyBundle(bundle, { ...bench.trust, allowOneSided: true }).exitStatus).toBe(0);

    // Days later the client is back: it cannot cut any more, but it can confirm what was agreed.
    await pair.client.close();
    const transport = await pair.transport();
    const receipt = await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: signal(),
    });
    expect(receipt).toMatchObject({ endReason: 'client_lost', hasUnconfirmedTail: true });
    const later = verifyBundle(bytesSource(await readBundle(transport.ended)), bench.trust);
    expect(later.checks.find(({ name }) => name === 'client signature')?.status).toBe('ok');
  });

  test('a session without a byte has an empty tree and verifies', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    await pair.client.finish(signal());
    await pair.gateway.close({ reason: 'closed' });
    await pair.client.close();
    const transport = await pair.transport();
    await uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: signal(),
    });
    const bundle = bytesSource(await readBundle(transport.ended));
    expect(verifyBundle(bundle, bench.trust).exitStatus).toBe(0);
  });
});

function* lane(
  pair: SessionPair,
  options: {
    readonly stream: number;
    readonly direction: 0 | 1;
    readonly bytes: Uint8Array;
    readonly random: () => number;
    readonly first: 'client' | 'gateway';
  },
): Generator<void> {
  const { stream, direction, bytes, random, first } = options;
  const leader = first === 'client' ? pair.client : pair.gateway;
  const follower = first === 'client' ? pair.gateway : pair.client;
  let ahead = 0;
  let behind = 0;
  for (const piece of pieces(bytes, random, 150_000)) {
    leader.data(stream, direction, [piece]);
    ahead += piece.length;
    yield;
    while (behind < ahead && random() < 0.7) {
      // Never more than the leader had.
      const next = Math.min(ahead - behind, 1 + Math.floor(random() * 90_000));
      follower.data(stream, direction, [bytes.subarray(behind, behind + next)]);
      behind += next;
      yield;
    }
  }
  follower.data(stream, direction, [bytes.subarray(behind)]);
}
