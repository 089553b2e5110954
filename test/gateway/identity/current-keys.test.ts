import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CurrentKeys } from '../../../src/gateway/identity/tokens/current-keys.ts';
import { isListed, openKeyring } from '../../../src/recording/keys/keyring.ts';
import { collectLog } from '../collect-log.ts';

const DAY_MS = 86_400_000;
let directory: string;
let nowMs: number;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-keys-'));
  nowMs = Date.UTC(2026, 0, 1);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a gateway that is up for a year always has a session CA that is good for days to come', () => {
  const { log, events } = collectLog();
  const keys = new CurrentKeys({ directory, gateway: 'gw', clock: () => nowMs, log });
  for (let day = 0; day < 360; day += 1) {
    nowMs += DAY_MS;
    const { keyring, root, sessionCa } = keys.get();
    const listed = openKeyring(keyring, root).keys.find(
      ({ publicKey }) => Buffer.compare(publicKey, sessionCa.publicKey) === 0,
    );
    expect(listed?.notAfterMs).toBeGreaterThan(nowMs + 8 * DAY_MS);
  }
  expect(events.filter(({ event }) => event === 'keys.renewed').length).toBeGreaterThan(2);
});

test('a clock that was ahead for a moment leaves no keys that are valid only later', () => {
  const { log } = collectLog();
  const keys = new CurrentKeys({ directory, gateway: 'gw', clock: () => nowMs, log });
  nowMs += 400 * DAY_MS;
  keys.get();
  nowMs -= 400 * DAY_MS;
  const { keyring, root, sessionCa } = keys.get();
  expect(isListed(openKeyring(keyring, root), 'session-ca', sessionCa.publicKey, nowMs)).toBe(true);
});

test('a root key that is kept elsewhere is asked for in the log, and the old keys serve on', async () => {
  const { log, events } = collectLog();
  const keys = new CurrentKeys({ directory, gateway: 'gw', clock: () => nowMs, log });
  const before = keys.get().keyring;
  await rename(join(directory, 'root.key'), join(directory, 'elsewhere'));
  nowMs += 85 * DAY_MS;
  expect(keys.get().keyring).toBe(before);
  expect(events).toContainEqual(
    expect.objectContaining({ event: 'keys.renewal_failed', code: 'HOOP_CONFIG' }),
  );
  await rename(join(directory, 'elsewhere'), join(directory, 'root.key'));
  nowMs += DAY_MS;
  expect(keys.get().keyring).not.toBe(before);
});
