/** What a client must not let pass when it settles a session. */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newSessionId } from '../../src/recording/session-id.ts';
import { pendingUploads, uploadSession } from '../../src/recording/upload-session.ts';
import { RecordingBench, SessionPair, transportTo } from './session-pair.ts';

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
    signal: AbortSignal.timeout(10_000),
  });
}

/** The client got more than the gateway's file holds: somebody has cut off the file's end. */
async function shortenedSession(): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.down(1, randomBytes(1000));
  await pair.gateway.synced();
  await pair.client.finish(AbortSignal.timeout(10_000));
  pair.connected = false;
  pair.client.data(1, 1, Buffer.from('what the gateway says it never sent'));
  await pair.gateway.close({ reason: 'gateway_crash' });
  await pair.client.close({ reason: 'partition' });
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
    await ended.missingChunks([]);
    await expect(upload(pair, ended)).rejects.toMatchObject({ code: 'HOOP_EVIDENCE_MISMATCH' });
  });
});

test('a spool that a crash left unfinished does not hide the others', async () => {
  const pair = await SessionPair.open(bench);
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close({ reason: 'closed' });
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
