/** What an auditor gets of a session that has ended and whose client has not delivered yet. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { type Verification, verifyBundle } from '../../src/recording/verify/verify.ts';
import { RecordingBench, readBundle, SessionPair, transportTo } from './session-pair.ts';

let bench: RecordingBench;
beforeAll(async () => {
  bench = await RecordingBench.create();
});
afterAll(() => bench[Symbol.asyncDispose]());

function verify(bytes: Uint8Array, allowOneSided = false): Verification {
  return verifyBundle(bytesSource(bytes), { ...bench.trust, allowOneSided });
}

/** One cut that both signed, then bytes that no cut covers; then the client dies. */
async function lostSession(): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.down(1, randomBytes(70_000));
  await pair.gateway.writer.sync();
  await pair.client.finish(new AbortController().signal);
  pair.connected = false;
  pair.up(1, Buffer.from('SELECT secret'));
  pair.down(1, Buffer.from('after the last cut'));
  await pair.gateway.close({ reason: 'client_lost' });
  return pair;
}

function files(pair: SessionPair): Map<string, string> {
  const { directory } = pair.gateway;
  return new Map(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'latin1')]),
  );
}

test('an ended session that was not uploaded can be had at once, and is said to be interim', async () => {
  const pair = await lostSession();
  await using client = pair.client;
  const bundle = await readBundle(await bench.ended(pair.session));
  const result = verify(bundle);
  expect(result.verdict).toBe(
    'incomplete: interim, two-sided up to cut 1, then gateway only: the client may still deliver',
  );
  expect(result.exitStatus).toBe(2);
  expect(result.checks.filter(({ status }) => status === 'failed')).toEqual([]);
  expect(result.checks.find(({ name }) => name === 'head chain')).toMatchObject({ status: 'ok' });
  expect(verify(bundle, true)).toMatchObject({
    exitStatus: 0,
    verdict: 'verified (interim, two-sided up to cut 1, then gateway only, not logged)',
  });
  const reading = readSession(bytesSource(bundle));
  const bytes = Buffer.concat(
    [...(reading.streams[1]?.pieces() ?? [])].map((piece) => piece.bytes),
  );
  expect(bytes.toString('latin1')).toContain('after the last cut');
  await client.close();
});

test('reading an interim bundle seals nothing: the client still makes it two-sided', async () => {
  const pair = await lostSession();
  const ended = await bench.ended(pair.session);
  const before = files(pair);
  await readBundle(ended);
  expect(files(pair)).toEqual(before);
  expect(ended.position().state).toBe('ended');

  await pair.client.close();
  await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transportTo(ended),
    signal: new AbortController().signal,
  });
  expect(verify(await readBundle(ended))).toMatchObject({
    exitStatus: 0,
    verdict: 'verified (two-sided, not logged)',
  });
});

test('a session that was sealed and never signed can be had as well', async () => {
  const pair = await lostSession();
  await using client = pair.client;
  const ended = await bench.ended(pair.session);
  await ended.seal();
  const result = verify(await readBundle(ended));
  expect(result.exitStatus).toBe(2);
  expect(result.verdict).toContain('two-sided up to cut 1, then gateway only');
  await client.close();
});

test('a session in which the client confirmed nothing is gateway only', async () => {
  const pair = await SessionPair.open(bench);
  await using client = pair.client;
  pair.connected = false;
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  await pair.gateway.close({ reason: 'client_lost' });
  const result = verify(await readBundle(await bench.ended(pair.session)));
  expect(result.exitStatus).toBe(2);
  expect(result.verdict).toContain('interim, one-sided: gateway only');
  await client.close();
});
