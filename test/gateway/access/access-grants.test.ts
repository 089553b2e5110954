import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type AccessGrant,
  AccessGrants,
  accessEndText,
} from '../../../src/gateway/access/access-grants.ts';
import type { Store, Work } from '../../../src/gateway/store/store.ts';
import { requirePolicy } from '../../policy/with-connectors.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

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

const storesOf = testStores();
let stores: TestStores;
let nowMs: number;

async function open(): Promise<AccessGrants> {
  const store = await stores.open();
  return AccessGrants.open({ events: NO_EVENTS, store, clock: () => nowMs, log: collectLog().log });
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

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    nowMs = 1_700_000_000_000;
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  test('A temporary grant holds for its person on its target alone, and survives a restart', async () => {
    using first = await open();
    await first.give(grant('g1'));
    expect(ids(first)).toEqual(['g1']);
    expect(ids(first, { ...ANN, sub: 'bob' })).toEqual([]);
    expect(ids(first, { ...ANN, issuer: 'https://other.example' })).toEqual([]);
    expect(ids(first, ANN, 'test')).toEqual([]);
    using second = await open();
    expect(ids(second)).toEqual(['g1']);
    expect(await second.find('g1')).toEqual({ ...grant('g1'), ended: undefined });
  });

  test('It is over at its last millisecond, also when no timer has fired, and stays over', async () => {
    using grants = await open();
    const changes: string[] = [];
    grants.onChange(({ id, ended }) => changes.push(`${id} ${ended?.how ?? 'given'}`));
    await grants.give(grant('g1'));
    nowMs += HOUR_MS - 1;
    expect(ids(grants)).toEqual(['g1']);
    nowMs += 1;
    expect(ids(grants)).toEqual([]);
    grants.endDue();
    nowMs -= HOUR_MS;
    expect(ids(grants)).toEqual([]);
    await grants.list(ANN);
    using after = await open();
    expect(ids(after)).toEqual([]);
    expect(changes).toEqual(['g1 given', 'g1 expired']);
  });

  test('Setting the clock back before a restart does not make it longer than it was given for', async () => {
    using before = await open();
    await before.give({ ...grant('g1'), expiresMs: nowMs + 50 });
    nowMs -= 24 * HOUR_MS;
    before[Symbol.dispose]();
    using after = await open();
    const [kept] = after.active(ANN, 'prod');
    expect(kept?.id).toBe('g1');
    await expect.poll(() => ids(after), { interval: 20 }).toEqual([]);
    await expect.poll(async () => (await after.find('g1'))?.ended?.how).toBe('expired');
  });

  test('A revoked one is over at once and for good, and revoking it again changes nothing', async () => {
    using grants = await open();
    await grants.give(grant('g1'));
    expect(await grants.revoke('g1', 'Lea')).toBe(true);
    expect(ids(grants)).toEqual([]);
    expect(await grants.revoke('g1', 'Mel')).toBe(false);
    expect(await grants.revoke('nothing', 'Lea')).toBe(false);
    const ended = await grants.find('g1');
    expect(ended?.ended).toEqual({ ms: nowMs, how: 'revoked', by: 'Lea' });
    expect(ended && accessEndText(ended)).toBe('the temporary grant g1 (fix) was revoked by Lea');
  });

  test.each([
    ['is gone', ''],
    ['is no longer for the person', FIX.replace('staff', 'others')],
    ['gives something else', FIX.replace('update', 'delete')],
    ['is no longer requestable', FIX.replace(/request: .*\n/, '')],
  ])('It ends for good when the policy in force %s', async (_what, changed) => {
    using grants = await open();
    await grants.give(grant('g1'));
    grants.policyChanged(policyWith(FIX));
    expect(ids(grants)).toEqual(['g1']);
    grants.policyChanged(policyWith(changed));
    expect(ids(grants)).toEqual([]);
    grants.policyChanged(policyWith(FIX));
    expect(ids(grants)).toEqual([]);
    expect((await grants.find('g1'))?.ended?.how).toBe('policy');
  });

  test('A policy that now gives it for less time shortens it', async () => {
    using grants = await open();
    await grants.give(grant('g1', 2));
    grants.policyChanged(policyWith(FIX.replace('2h', '30m')));
    expect(grants.active(ANN, 'prod')[0]?.expiresMs).toBe(nowMs + HOUR_MS / 2);
    nowMs += HOUR_MS / 2;
    expect(ids(grants)).toEqual([]);
  });

  test('An end that cannot be written counts at once, and is written when it can be', async () => {
    const store = flaky(await stores.open());
    using grants = await AccessGrants.open({
      events: NO_EVENTS,
      store,
      clock: () => nowMs,
      log: collectLog().log,
    });
    await grants.give(grant('g1'));
    store.isBroken = true;
    expect(await grants.revoke('g1', 'Lea')).toBe(true);
    expect(ids(grants)).toEqual([]);
    store.isBroken = false;
    expect((await grants.list(ANN)).map(({ ended }) => ended?.how)).toEqual(['revoked']);
    using after = await open();
    expect(ids(after)).toEqual([]);
  });

  test('A grant that cannot be written is not given', async () => {
    const store = flaky(await stores.open());
    using grants = await AccessGrants.open({
      events: NO_EVENTS,
      store,
      clock: () => nowMs,
      log: collectLog().log,
    });
    store.isBroken = true;
    await expect(grants.give(grant('g1'))).rejects.toThrow('it is broken');
    expect(ids(grants)).toEqual([]);
  });

  test('What was given already is not given again', async () => {
    using grants = await open();
    await grants.give(grant('g1'));
    await grants.revoke('g1', 'Lea');
    await grants.give(grant('g1'));
    expect(ids(grants)).toEqual([]);
  });
});

/** A store that can be broken for those who write. */
function flaky(store: Store): Store & { isBroken: boolean } {
  const broken = {
    ...{ all: store.all.bind(store), get: store.get.bind(store) },
    async transaction<T>(work: () => Work<T>) {
      if (broken.isBroken) throw new Error('it is broken');
      return store.transaction(work);
    },
    checkWritable: store.checkWritable.bind(store),
    isBroken: false,
    isShared: store.isShared,
    async change(...asked: Parameters<Store['change']>) {
      if (broken.isBroken) throw new Error('it is broken');
      return store.change(...asked);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  return broken;
}
