import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keptSshKeys } from '../../../../src/connectors/ssh/client/kept-ssh-keys.ts';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'hoop-kept-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const { signal } = new AbortController();

test('whoever comes first makes them, all others get the same', async () => {
  const all = await Promise.all([1, 2, 3, 4].map(() => keptSshKeys({ state }, 'web-1', signal)));
  expect(new Set(all.map(({ userKey }) => userKey.publicKey)).size).toBe(1);
  expect(new Set(all.map(({ hostKey }) => hostKey.publicKey)).size).toBe(1);
  const [first] = all;
  expect(readFileSync(first?.knownHostsFile ?? '', 'utf8')).toBe(
    `hoop-web-1 ${first?.hostKey.publicKey}\n`,
  );
  expect(statSync(first?.identityFile ?? '').mode & 0o777).toBe(0o600);
  const other = await keptSshKeys({ state }, 'web-2', signal);
  expect(other.userKey.publicKey).not.toBe(first?.userKey.publicKey);
});

test('a key that others may read, or that is none, is not used', async () => {
  const { identityFile } = await keptSshKeys({ state }, 'web-1', signal);
  chmodSync(identityFile, 0o644);
  await expect(keptSshKeys({ state }, 'web-1', signal)).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
  });
  chmodSync(identityFile, 0o600);
  writeFileSync(identityFile, 'no key');
  await expect(keptSshKeys({ state }, 'web-1', signal)).rejects.toMatchObject({
    code: 'HOOP_LOCAL_STATE',
  });
});
