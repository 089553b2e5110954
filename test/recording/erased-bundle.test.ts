/** What is left of a session whose keys were erased. */
import { randomBytes } from 'node:crypto';
import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { erasedBundle } from '../../src/recording/bundle/erased-bundle.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

const SECRET = 'what nobody is to read any more';

async function signedSession(bench: RecordingBench): Promise<SessionPair> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from(SECRET));
  pair.down(1, randomBytes(100_000));
  await pair.end();
  await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: await pair.transport(),
    signal: new AbortController().signal,
  });
  return pair;
}

function erase(bench: RecordingBench, pair: SessionPair): void {
  rmSync(join(bench.store.keysDir, 'sessions', `${pair.session}.json`));
}

async function bundled(bench: RecordingBench, pair: SessionPair): Promise<Buffer | undefined> {
  const bundle = await erasedBundle(bench.store, pair.session);
  if (bundle === undefined) {
    return undefined;
  }
  const bytes = Buffer.concat(await Array.fromAsync(bundle.parts));
  expect(bytes.length).toBe(bundle.size);
  return bytes;
}

test('a bundle of an erased session has root and head to check, and no contents', async () => {
  await using bench = await RecordingBench.create();
  const pair = await signedSession(bench);
  expect(await bundled(bench, pair)).toBe(undefined);
  erase(bench, pair);
  const bytes = (await bundled(bench, pair)) ?? Buffer.alloc(0);
  expect(bytes.includes(SECRET)).toBe(false);
  const { checks, exitStatus, verdict } = verifyBundle(bytesSource(bytes), bench.trust);
  expect(checks.filter(({ status }) => status === 'failed')).toEqual([]);
  expect(exitStatus).toBe(2);
  expect(verdict).toContain('the keys of this session were erased');
  for (const name of ['client signature', 'gateway signature', 'tree', 'cuts']) {
    expect(checks.find((check) => check.name === name)).toMatchObject({ status: 'ok' });
  }
  expect(() => readSession(bytesSource(bytes))).toThrow(
    'the contents of this recording were erased',
  );
});

test('every eleventh byte of such a bundle changed is found, and never verified', async () => {
  await using bench = await RecordingBench.create();
  const pair = await signedSession(bench);
  erase(bench, pair);
  const bytes = (await bundled(bench, pair)) ?? Buffer.alloc(0);
  for (let at = 0; at < bytes.length; at += 11) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(verifyBundle(bytesSource(changed), bench.trust).exitStatus).toBe(1);
  }
});

test('a session that nobody had signed is gone with its keys, and a damaged one is not passed off', async () => {
  await using bench = await RecordingBench.create();
  const unsigned = await SessionPair.open(bench);
  await unsigned.gateway.close({ reason: 'closed' });
  await unsigned.client.close();
  erase(bench, unsigned);
  expect(await bundled(bench, unsigned)).toBe(undefined);
  const pair = await signedSession(bench);
  erase(bench, pair);
  truncateSync(join(pair.gateway.directory, 'seg-00000001.hrs'), 500);
  await expect(bundled(bench, pair)).rejects.toThrow('is damaged at byte');
});
