/** What a client must not let pass when it settles a session. */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { pendingUploads } from '../../src/recording/client/pending-uploads.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { newSessionId } from '../../src/session-id.ts';
import { RecordingBench, readBundle, SessionPair, transportTo } from './session-pair.ts';

let bench: RecordingBench;
beforeEach(async () => {
  bench = await RecordingBench.create();
});
afterEach(() => bench[Symbol.asyncDispose]());

function upload(pair: SessionPair, ended: Awaited<ReturnType<RecordingBench['ended']>>) {
  return uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transportTo(ended),
    signal: new AbortController().signal,
  });
}

/** The client got more than the gateway's file holds: somebody has cut off the file's end. */
async function shortenedSession(): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.down(1, randomBytes(1000));
  await pair.gateway.writer.sync();
  await pair.client.finish(new AbortController().signal);
  pair.connected = false;
  pair.client.data(1, 1, [Buffer.from('what the gateway says it never sent')]);
  await pair.gateway.close({ reason: 'gateway_crash' });
  await pair.client.close();
  return pair;
}

describe('a gateway that recorded less than it sent', () => {
  test('gets no signature under the shortened recording', async () => {
    const pair = await shortenedSession();
    await expect(upload(pair, await bench.ended(pair.session))).rejects.toMatchObject({
      code: 'HOOP_EVIDENCE_MISMATCH',
      message: 'the gateway has recorded 35 bytes less of stream 1 than came from it',
    });
  });

  test('nor when it has sealed the recording before', async () => {
    const pair = await shortenedSession();
    const ended = await bench.ended(pair.session);
    await ended.seal();
    await expect(upload(pair, ended)).rejects.toMatchObject({ code: 'HOOP_EVIDENCE_MISMATCH' });
  });
});

test('an upload after a break sends a cut, a seal and a manifest, and none of the recorded bytes', async () => {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.down(1, randomBytes(2 << 20));
  await pair.gateway.writer.sync();
  pair.connected = false;
  // On its way when the connection broke: the gateway never saw it.
  pair.client.data(1, 0, [Buffer.from('SELECT 2')]);
  await pair.gateway.close({ reason: 'partition' });
  await pair.client.close();
  const gateway = transportTo(await bench.ended(pair.session));
  const sent: string[] = [];
  let bytes = 0;
  const counted = <T>(name: string, body: unknown, reply: Promise<T>): Promise<T> => {
    sent.push(name);
    bytes += JSON.stringify(body ?? null).length;
    return reply;
  };
  const signal = new AbortController().signal;
  const receipt = await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: {
      position: (id) => counted('position', undefined, gateway.position(id, signal)),
      proposeCut: (id, cut) => counted('cut', cut, gateway.proposeCut(id, cut, signal)),
      repair: (id, pieces) => counted('repair', pieces, gateway.repair(id, pieces, signal)),
      seal: (id) => counted('seal', undefined, gateway.seal(id, signal)),
      putManifest: (id, text) => counted('manifest', text, gateway.putManifest(id, text, signal)),
    },
    signal,
  });
  expect(sent).toEqual(['position', 'cut', 'seal', 'manifest']);
  expect(bytes).toBeLessThan(16 * 1024);
  expect(receipt.hasUnconfirmedTail).toBe(false);
  expect(verifyBundle(bytesSource(await readBundle(gateway.ended)), bench.trust)).toMatchObject({
    verdict: 'verified (two-sided, not logged)',
  });
});

test('a sealed recording says the same again and takes no cut', async () => {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.down(1, randomBytes(1000));
  await pair.gateway.writer.sync();
  await pair.client.close();
  await pair.gateway.close({ reason: 'client_lost' });
  const ended = await bench.ended(pair.session);
  const sealed = await ended.seal();
  expect(await ended.seal()).toEqual(sealed);
  expect(ended.position().state).toBe('sealed');
  const root = Buffer.alloc(32).toString('base64');
  const signature = Buffer.alloc(64).toString('base64');
  const cut = { epoch: 0, streams: [], treeSize: 0, root, timeMs: 1, signature };
  expect(await ended.acceptCut(cut).catch((error: unknown) => error)).toMatchObject({
    code: 'HOOP_SESSION_ENDED',
  });
});

test('a spool that a crash left unfinished does not hide the others', async () => {
  const pair = await SessionPair.open(bench);
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close();
  const [empty = '', damaged = ''] = [0, 1].map(() =>
    newSessionId(Date.now() - 60_000, randomBytes(16)),
  );
  mkdirSync(join(bench.spools, empty));
  cpSync(join(bench.spools, pair.session), join(bench.spools, damaged), { recursive: true });
  writeFileSync(join(bench.spools, damaged, 'spool.json'), '{}');
  rmSync(join(bench.spools, pair.session, 'owner'));
  const told: string[] = [];
  const pending = await pendingUploads(bench.spools, (session) => told.push(session));
  expect(pending.map(({ session }) => session)).toEqual([pair.session]);
  expect(told).toEqual([damaged]);
});

test('what a client of format 1 left behind is named, and nothing of it is sent', async () => {
  const pair = await SessionPair.open(bench);
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close();
  const spool = join(bench.spools, pair.session);
  for (const name of ['owner', 'session-key', 'journal']) {
    rmSync(join(spool, name));
  }
  writeFileSync(join(spool, 'keys.json'), '{}', { mode: 0o600 });
  const told: string[] = [];
  expect(await pendingUploads(bench.spools, (_, { code }) => told.push(code))).toEqual([]);
  expect(told).toEqual(['HOOP_RECORDING_FORMAT']);
  // Once, and not at each connect for ever.
  expect(await pendingUploads(bench.spools, (_, { code }) => told.push(code))).toEqual([]);
  expect(told).toEqual(['HOOP_RECORDING_FORMAT']);
  await expect(upload(pair, await bench.ended(pair.session))).rejects.toThrow('has format 1');
});
