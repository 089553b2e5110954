import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openGatewayKeys, retiredGatewayKey } from '../../src/recording/keys/gateway-keys.ts';
import { isListed, openKeyring } from '../../src/recording/keys/keyring.ts';
import {
  loadRecordingKeys,
  newRecordingKeys,
  storeRecordingKeys,
} from '../../src/recording/keys/recording-keys.ts';
import { newSessionId } from '../../src/session-id.ts';

const DAY = 86_400_000;
const START = 1_764_000_000_000;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-keys-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = (nowMs = START, gateway = 'gw-1') => openGatewayKeys({ directory, gateway, nowMs });

describe('openGatewayKeys', () => {
  test('makes the keys at the first start and finds the same at the second', async () => {
    const first = open();
    expect(first.created).toBe(true);
    const second = open(START + DAY);
    expect(second.created).toBe(false);
    expect({ ...second, created: true, sessionCa: 0, gatewayKey: 0 }).toEqual({
      ...first,
      sessionCa: 0,
      gatewayKey: 0,
    });
    expect(second.sessionCa.publicKey).toEqual(first.sessionCa.publicKey);
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
    const keyring = openKeyring(first.keyring, first.root);
    expect(isListed(keyring, 'session-ca', first.sessionCa.publicKey, START)).toBe(true);
    expect(isListed(keyring, 'gateway', first.gatewayKey.publicKey, START)).toBe(true);
    expect(isListed(keyring, 'gateway', first.sessionCa.publicKey, START)).toBe(false);
  });

  test('refuses key files that others can read', async () => {
    open();
    await chmod(join(directory, 'gateway.key'), 0o640);
    expect(() => open()).toThrow(/can be read by others/);
  });

  test('renews keys that are about to end, and still lists the old ones', () => {
    const first = open();
    const later = START + 82 * DAY;
    const second = open(later);
    expect(second.keyringVersion).toBe(2);
    expect(second.root).toEqual(first.root);
    const keyring = openKeyring(second.keyring, first.root);
    expect(isListed(keyring, 'session-ca', first.sessionCa.publicKey, START)).toBe(true);
    expect(isListed(keyring, 'session-ca', second.sessionCa.publicKey, later)).toBe(true);
    expect(isListed(keyring, 'session-ca', second.sessionCa.publicKey, START)).toBe(false);
    expect(open(later).keyringVersion).toBe(2);
    // The CA was due, the key that countersigns was not.
    expect(second.gatewayKey.publicKey).toEqual(first.gatewayKey.publicKey);
  });

  test('replaces keys that were made while the clock was ahead: they are not valid yet', async () => {
    const first = open();
    // A machine that starts with a wrong clock, until the time service has set it.
    const ahead = open(START + 400 * DAY);
    const back = open(START + DAY);
    const keyring = openKeyring(back.keyring, first.root);
    expect(keyring.issuedMs).toBeLessThan(START + DAY);
    for (const [use, key] of [
      ['session-ca', back.sessionCa],
      ['gateway', back.gatewayKey],
    ] as const) {
      expect(isListed(keyring, use, key.publicKey, START + DAY)).toBe(true);
    }
    expect(back.keyringVersion).toBe(ahead.keyringVersion + 1);
    expect(open(START + 2 * DAY).keyringVersion).toBe(back.keyringVersion);
    await rename(join(directory, 'root.key'), join(directory, 'root.offline'));
    expect(() => open(START - DAY)).toThrow('not valid yet: a clock was or is wrong');
  });

  test('keeps a gateway key that was replaced, for sessions that were certified with it', () => {
    const first = open();
    const later = open(START + 360 * DAY);
    expect(later.gatewayKey.publicKey).not.toEqual(first.gatewayKey.publicKey);
    const retired = retiredGatewayKey(directory, first.gatewayKey.publicKey);
    expect(retired?.publicKey).toEqual(first.gatewayKey.publicKey);
    expect(retiredGatewayKey(directory, later.gatewayKey.publicKey)).toBeUndefined();
  });

  test('a crash between the new keyring and the new keys leaves keys that are listed', async () => {
    const first = open();
    await rename(join(directory, 'gateway.key'), join(directory, 'gateway.old'));
    await rename(join(directory, 'session-ca.key'), join(directory, 'session-ca.old'));
    await rename(join(directory, 'gateway.old'), join(directory, 'gateway.key'));
    await rename(join(directory, 'session-ca.old'), join(directory, 'session-ca.key'));
    expect(open().sessionCa.publicKey).toEqual(first.sessionCa.publicKey);
  });

  test('works without the root key until a new keyring is due', async () => {
    open();
    await rm(join(directory, 'root.key'));
    expect(open(START + DAY).keyringVersion).toBe(1);
    expect(() => open(START + 82 * DAY)).toThrow('the keyring is about to expire');
  });

  test('refuses keys of another gateway and keys that are not in the keyring', async () => {
    open();
    expect(() => open(START, 'gw-2')).toThrow('the keys belong to gateway "gw-1"');
    await rename(join(directory, 'root.key'), join(directory, 'gateway.key'));
    expect(() => open()).toThrow('gateway.key is not in the keyring');
  });
});

describe('recording keys', () => {
  const session = newSessionId(START, new Uint8Array(16).fill(7));

  test('come back as they were stored', () => {
    const keys = newRecordingKeys();
    storeRecordingKeys(directory, session, keys, START);
    const loaded = loadRecordingKeys(directory, session);
    expect(Buffer.from(loaded.dataKey).equals(keys.dataKey)).toBe(true);
    expect(Buffer.from(loaded.saltKey).equals(keys.saltKey)).toBe(true);
  });

  test('are gone when the record or the key of the week is deleted', async () => {
    storeRecordingKeys(directory, session, newRecordingKeys(), START);
    await rm(join(directory, 'kek'), { recursive: true });
    expect(() => loadRecordingKeys(directory, session)).toThrow(
      'the keys of this recording have been destroyed',
    );
    await rm(join(directory, 'sessions', `${session}.json`));
    expect(() => loadRecordingKeys(directory, session)).toThrow(
      'the keys of this recording are gone',
    );
  });

  test('do not open as the keys of another session', async () => {
    const other = newSessionId(START, new Uint8Array(16).fill(8));
    storeRecordingKeys(directory, session, newRecordingKeys(), START);
    const folder = join(directory, 'sessions');
    await rename(join(folder, `${session}.json`), join(folder, `${other}.json`));
    expect(() => loadRecordingKeys(directory, other)).toThrow('the key record was altered');
  });

  test('two processes that make the key of a week at once have the same', async () => {
    const weeks = 60;
    const script = join(import.meta.dirname, 'week-keys-writer.ts');
    const writers = [1, 2].map(() =>
      spawn(process.execPath, [script, directory, String(weeks)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    const said = writers.map(({ stdout }) =>
      createInterface({ input: stdout })[Symbol.asyncIterator](),
    );
    for (const lines of said) expect((await lines.next()).value).toBe('ready');
    for (const { stdin } of writers) stdin.end('go');
    for (const lines of said) {
      let stored = 0;
      for await (const line of lines) {
        // One that another key of the week had replaced would not open any more.
        loadRecordingKeys(directory, String(line));
        stored += 1;
      }
      expect(stored).toBe(weeks);
    }
    const kept = await readdir(join(directory, 'kek'));
    expect(kept.filter((name) => !name.endsWith('.key'))).toEqual([]);
    expect(kept).toHaveLength(weeks);
  });

  test('a session id that is none reaches no file', () => {
    expect(() => loadRecordingKeys(directory, '../../root')).toThrow('not a session id');
  });
});
