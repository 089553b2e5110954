import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keptSshKeys } from '../../../../src/connectors/ssh/client/kept-ssh-keys.ts';
import { generateSshKeys } from '../../../../src/connectors/ssh/client/ssh-keys.ts';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'hoop-kept-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const { signal } = new AbortController();

test('processes that start at once have the same keys, of every type', async () => {
  const all = await Promise.all([1, 2, 3, 4].map(() => keptSshKeys({ state }, 'web-1', signal)));
  const [first] = all;
  const publicKeys = (kept: typeof first) =>
    [...(kept?.hostKeys ?? []), ...(kept?.userKeys ?? [])].map(({ publicKey }) => publicKey);
  for (const other of all) {
    expect(publicKeys(other)).toEqual(publicKeys(first));
  }
  expect(first?.hostKeys.map(({ publicKey }) => publicKey.split(' ')[0])).toEqual([
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'ssh-rsa',
  ]);
  expect(readFileSync(first?.knownHostsFile ?? '', 'utf8')).toBe(
    first?.hostKeys.map(({ publicKey }) => `hoop-web-1 ${publicKey}\n`).join(''),
  );
  for (const file of first?.identityFiles ?? []) {
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  const other = await keptSshKeys({ state }, 'web-2', signal);
  expect(other.userKeys[0]?.publicKey).not.toBe(first?.userKeys[0]?.publicKey);
});

test('keys that an earlier version made stay, and the file of known hosts gets the new ones', async () => {
  const [hostKey, userKey] = [generateSshKeys('ssh-ed25519'), generateSshKeys('ssh-ed25519')];
  const place = join(state, 'ssh', 'web-1');
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const files = {
    host_key: hostKey.privateKey.expose(),
    id: userKey.privateKey.expose(),
    known_hosts: `hoop-web-1 ${hostKey.publicKey}\n`,
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(place, name), content, { mode: 0o600 });
  }
  const kept = await keptSshKeys({ state }, 'web-1', signal);
  expect(kept.hostKeys[0]?.publicKey).toBe(hostKey.publicKey);
  expect(kept.userKeys.map(({ publicKey }) => publicKey)).toContain(userKey.publicKey);
  expect(kept.identityFiles).toContain(join(place, 'id'));
  expect(readFileSync(kept.knownHostsFile, 'utf8').split('\n')).toHaveLength(6);
  expect(dirname(kept.knownHostsFile)).toBe(place);
});

test.each([0, 1, 2])(
  'user key %i is not used if others may read it, or if it is none',
  async (at) => {
    const { identityFiles } = await keptSshKeys({ state }, 'web-1', signal);
    const file = identityFiles[at] ?? '';
    chmodSync(file, 0o644);
    await expect(keptSshKeys({ state }, 'web-1', signal)).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
    });
    chmodSync(file, 0o600);
    writeFileSync(file, 'no key');
    await expect(keptSshKeys({ state }, 'web-1', signal)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
    });
  },
);
