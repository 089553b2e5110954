import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GrouplessLogins, withGroupless } from '../../../src/gateway/identity/groupless-logins.ts';
import { collectLog } from '../collect-log.ts';

const ISSUER = 'https://idp.example';
const FOUND = { check: `provider ${ISSUER}`, ok: true, text: '"hoop" is a public client' } as const;

let directory: string;
const log = collectLog();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-groupless-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('the check names a provider whose newest login had no groups, and what to change', () => {
  const logins = new GrouplessLogins(directory, log.log);
  expect(withGroupless(FOUND, ISSUER, directory)).toBe(FOUND);
  logins.loggedIn(ISSUER, 'groups');
  expect(withGroupless(FOUND, ISSUER, directory)).toMatchObject({
    ok: true,
    warning: true,
    text: expect.stringContaining('its newest login had no "groups" claim'),
    hint: expect.stringMatching(/mapper.*`scopes`.*`claims\.groups`/),
  });
  expect(log.events).toContainEqual(
    expect.objectContaining({ event: 'login.without_groups', issuer: ISSUER, claim: 'groups' }),
  );
  expect(withGroupless(FOUND, 'https://other.example', directory)).toBe(FOUND);
  // Also for a gateway that was started anew; over with the next login that has groups.
  new GrouplessLogins(directory, log.log).loggedIn(ISSUER, undefined);
  expect(withGroupless(FOUND, ISSUER, directory)).toBe(FOUND);
});

test('a damaged file is told, and keeps nobody from starting or logging in', () => {
  writeFileSync(join(directory, 'groupless-logins.json'), '{', { mode: 0o600 });
  const logins = new GrouplessLogins(directory, log.log);
  expect(log.events).toContainEqual(
    expect.objectContaining({ event: 'data.unreadable', code: 'HOOP_LOCAL_STATE' }),
  );
  logins.loggedIn(ISSUER, 'groups');
  expect(withGroupless(FOUND, ISSUER, directory)).toMatchObject({
    text: expect.stringContaining('no "groups" claim'),
  });
});

test('what failed stays failed, and a file that cannot be read is said', () => {
  new GrouplessLogins(directory, log.log).loggedIn(ISSUER, 'groups');
  const failed = { ...FOUND, ok: false };
  expect(withGroupless(failed, ISSUER, directory)).toBe(failed);
  writeFileSync(join(directory, 'groupless-logins.json'), '{');
  expect(withGroupless(FOUND, ISSUER, directory)).toMatchObject({
    warning: true,
    text: expect.stringContaining('cannot read'),
  });
});
