import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type AccessGrant,
  AccessGrants,
  accessEndText,
} from '../../../src/gateway/access/access-grants.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { requirePolicy } from '../../policy/with-connectors.ts';
import { collectLog } from '../collect-log.ts';

const HOUR_MS = 3_600_000;
const FIX = `name: fix
who: { groups: [staff] }
targets: { names: [prod] }
request: { maxDuration: 2h, approvers: [leads] }
rules: [{ allow: { verbs: [update], relations: [public.orders] } }]
`;

function policyWith(fix: string) {
  return requirePolicy(
    new Map(
      Object.entries({
        'hoop.yaml':
          'version: 1\nidentityProviders: [{ issuer: "https://idp.example", clientId: hoop }]\n',
        'targets/prod.yaml': 'name: prod\nkind: postgres\ndatabase: app\n',
        ...(fix === '' ? {} : { 'policies/fix.yaml': fix }),
      }),
    ),
  );
}

const ANN = { issuer: 'https://idp.example', sub: 'ann' };
const definition = policyWith(FIX).documents[0]?.definition ?? '';

let directory: string;
let store: IndexStore;
let nowMs = 1_700_000_000_000;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-access-'));
  store = IndexStore.open(join(directory, 'index.db'));
});
afterEach(() => {
  store[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

function open(): AccessGrants {
  return new AccessGrants({ store, clock: () => nowMs, log: collectLog().log });
}

function grant(id: string, hours = 1): Omit<AccessGrant, 'ended'> {
  return {
    id,
    policy: 'fix',
    definition,
    target: 'prod',
    holder: { ...ANN, name: 'Ann', email: 'ann@example.org', groups: ['staff'] },
    reason: 'order 17 is wrong',
    approvedBy: ['Lea'],
    policyCommit: 'c1',
    grantedMs: nowMs,
    expiresMs: nowMs + hours * HOUR_MS,
  };
}

function ids(grants: AccessGrants, who = ANN, target = 'prod'): string[] {
  return grants.active(who, target).map(({ id }) => id);
}

test('A temporary grant holds for its person on its target alone, and survives a restart', () => {
  using first = open();
  first.give(grant('g1'));
  expect(ids(first)).toEqual(['g1']);
  expect(ids(first, { ...ANN, sub: 'bob' })).toEqual([]);
  expect(ids(first, { ...ANN, issuer: 'https://other.example' })).toEqual([]);
  expect(ids(first, ANN, 'test')).toEqual([]);
  using second = open();
  expect(ids(second)).toEqual(['g1']);
  expect(second.find('g1')).toEqual({ ...grant('g1'), ended: undefined });
});

test('It is over at its last millisecond, also when no timer has fired, and stays over', () => {
  using grants = open();
  const changes: string[] = [];
  grants.onChange(({ id, ended }) => changes.push(`${id} ${ended?.how ?? 'given'}`));
  grants.give(grant('g1'));
  nowMs += HOUR_MS - 1;
  expect(ids(grants)).toEqual(['g1']);
  nowMs += 1;
  expect(ids(grants)).toEqual([]);
  grants.endDue();
  nowMs -= HOUR_MS;
  expect(ids(grants)).toEqual([]);
  using after = open();
  expect(ids(after)).toEqual([]);
  expect(changes).toEqual(['g1 given', 'g1 expired']);
});

test('Setting the clock back before a restart does not make it longer than it was given for', async () => {
  using before = open();
  before.give({ ...grant('g1'), expiresMs: nowMs + 50 });
  nowMs -= 24 * HOUR_MS;
  using after = open();
  const [kept] = after.active(ANN, 'prod');
  expect(kept?.id).toBe('g1');
  await expect.poll(() => ids(after), { interval: 20 }).toEqual([]);
  await expect.poll(() => after.find('g1')?.ended?.how).toBe('expired');
});

test('A revoked one is over at once and for good, and revoking it again changes nothing', () => {
  using grants = open();
  grants.give(grant('g1'));
  expect(grants.revoke('g1', 'Lea')).toBe(true);
  expect(ids(grants)).toEqual([]);
  expect(grants.revoke('g1', 'Mel')).toBe(false);
  expect(grants.revoke('nothing', 'Lea')).toBe(false);
  const ended = grants.find('g1');
  expect(ended?.ended).toEqual({ ms: nowMs, how: 'revoked', by: 'Lea' });
  expect(ended && accessEndText(ended)).toBe('the temporary grant g1 (fix) was revoked by Lea');
});

test.each([
  ['is gone', ''],
  ['is no longer for the person', FIX.replace('staff', 'others')],
  ['gives something else', FIX.replace('update', 'delete')],
  ['is no longer requestable', FIX.replace(/request: .*\n/, '')],
])('It ends for good when the policy in force %s', (_what, changed) => {
  using grants = open();
  grants.give(grant('g1'));
  grants.policyChanged(policyWith(FIX));
  expect(ids(grants)).toEqual(['g1']);
  grants.policyChanged(policyWith(changed));
  expect(ids(grants)).toEqual([]);
  grants.policyChanged(policyWith(FIX));
  expect(ids(grants)).toEqual([]);
  expect(grants.find('g1')?.ended?.how).toBe('policy');
});

test('A policy that now gives it for less time shortens it', () => {
  using grants = open();
  grants.give(grant('g1', 2));
  grants.policyChanged(policyWith(FIX.replace('2h', '30m')));
  expect(grants.active(ANN, 'prod')[0]?.expiresMs).toBe(nowMs + HOUR_MS / 2);
  nowMs += HOUR_MS / 2;
  expect(ids(grants)).toEqual([]);
});

test('An end that cannot be written counts at once, and is written when it can be', () => {
  using grants = open();
  grants.give(grant('g1'));
  store.database.exec('PRAGMA query_only = ON');
  expect(grants.revoke('g1', 'Lea')).toBe(true);
  expect(ids(grants)).toEqual([]);
  store.database.exec('PRAGMA query_only = OFF');
  grants.endDue();
  using after = open();
  expect(ids(after)).toEqual([]);
});

test('A grant that cannot be written is not given', () => {
  using grants = open();
  store.database.exec('PRAGMA query_only = ON');
  expect(() => grants.give(grant('g1'))).toThrow();
  expect(ids(grants)).toEqual([]);
  store.database.exec('PRAGMA query_only = OFF');
});
