/** A request for access that ends, or whose approver is no longer one, while its grant is written. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AccessGrants } from '../../../src/gateway/access/access-grants.ts';
import { AccessRequests } from '../../../src/gateway/access/access-requests.ts';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { change, get, type Store, sql } from '../../../src/gateway/store/store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { requirePolicy } from '../../policy/with-connectors.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const ISSUER = 'https://idp.example';
const POLICY = requirePolicy(
  new Map(
    Object.entries({
      'hoop.yaml': `version: 1\nidentityProviders: [{ issuer: "${ISSUER}", clientId: hoop }]\n`,
      'targets/prod.yaml': 'name: prod\nkind: postgres\ndatabase: app\n',
      'policies/fix.yaml': `name: fix
who: { groups: [staff] }
targets: { names: [prod] }
request: { maxDuration: 2h, approvers: [leads] }
rules: [{ allow: { verbs: [update], relations: [public.orders] } }]
`,
    }),
  ),
);
const IN_FORCE = { commit: 'c1', committedAt: new Date(0), signer: 'lea', policy: POLICY };

function person(sub: string, groups: readonly string[]): Principal {
  return { kind: 'person', issuer: ISSUER, sub, name: sub, email: undefined, groups, roles: [] };
}
const ann = person('ann', ['staff']);
const lea = person('lea', ['leads']);

const storesOf = testStores();
let stores: TestStores;
let store: Store;
let approvals: Approvals;
let access: AccessGrants;
let requests: AccessRequests;
let isBlocked: boolean;

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = await stores.open();
    isBlocked = false;
    await open();
  });
  afterEach(async () => {
    close();
    await stores[Symbol.asyncDispose]();
  });

  const close = (): void => {
    approvals[Symbol.dispose]();
    access[Symbol.dispose]();
  };

  /** As a gateway that starts. */
  async function open(): Promise<void> {
    const { log } = collectLog();
    const clock = () => 1_700_000_000_000;
    approvals = await Approvals.open({
      events: NO_EVENTS,
      node: 'node',
      store: new ApprovalStore(store, new SealedJson(new Secret(new Uint8Array(32).fill(7)))),
      isAgent: () => false,
      isBlocked: () => isBlocked,
      log,
      clock,
    });
    access = await AccessGrants.open({ events: NO_EVENTS, store, clock, log });
    const policy = { current: () => IN_FORCE, inForce: () => IN_FORCE, onChange: () => undefined };
    requests = await AccessRequests.open({ policy, access, approvals, clock, log });
  }

  const ASKED = { v: 1, target: 'prod', durationSeconds: 3600, reason: 'order 17' } as const;

  async function approved(happens: (id: string) => Promise<unknown>): Promise<string> {
    const { id } = await requests.request(ann, ASKED);
    const use = approvals.use.bind(approvals);
    vi.spyOn(approvals, 'use').mockImplementation(async (...used) => {
      await happens(id);
      return use(...used);
    });
    await approvals.decide(lea, id, { decision: 'approve' });
    return id;
  }

  test('asked for twice at once, it is one request', async () => {
    const both = await Promise.allSettled([1, 2].map(() => requests.request(ann, ASKED)));
    const refused = both.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused).toEqual([expect.objectContaining({ code: 'HOOP_LIMIT' })]);
    expect(await approvals.list(ann, { isOpen: true, limit: 9 })).toHaveLength(1);
  });

  test('is given, and used up, where nothing comes between', async () => {
    const id = await approved(async () => undefined);
    expect(access.active(ann, 'prod')).toMatchObject([{ id }]);
    expect(await approvals.find(id)).toMatchObject({ state: 'used' });
  });

  test('cannot be given, and is not used up then: it is given when it is looked at again', async () => {
    await store.transaction(function* () {
      yield* change(sql('ALTER TABLE temporary_grants RENAME TO away'));
    });
    const { id } = await requests.request(ann, ASKED);
    await expect(approvals.decide(lea, id, { decision: 'approve' })).rejects.toThrow();
    expect(access.active(ann, 'prod')).toEqual([]);
    expect(await approvals.find(id)).toMatchObject({ state: 'approved' });
    await store.transaction(function* () {
      yield* change(sql('ALTER TABLE away RENAME TO temporary_grants'));
    });
    close();
    await open();
    expect(access.active(ann, 'prod')).toMatchObject([{ id }]);
    expect(await approvals.find(id)).toMatchObject({ state: 'used' });
  });

  test('holds as soon as anybody can hear that it was given', async () => {
    const held: number[] = [];
    const happened = approvals.changes.happened.bind(approvals.changes);
    vi.spyOn(approvals.changes, 'happened').mockImplementation(() => {
      held.push(access.active(ann, 'prod').length);
      happened();
    });
    await approved(async () => undefined);
    expect(held.at(-1)).toBe(1);
  });

  test('withdrawn before the store had to begin anew, it gives nothing', async () => {
    const transaction = store.transaction.bind(store);
    const given = sql('SELECT 1 FROM temporary_grants');
    const id = await approved(async (one) => {
      vi.spyOn(store, 'transaction').mockImplementation(async (work) => {
        let hasGiven = false;
        await transaction(function* () {
          yield* work();
          hasGiven = (yield* get(given)) !== undefined;
          throw new Error('deadlock detected');
        }).catch(() => undefined);
        if (hasGiven) {
          vi.mocked(store.transaction).mockImplementation(transaction);
          await approvals.end(one, 'withdrawn', 'withdrawn by the requester');
        }
        return transaction(work);
      });
    });
    expect(await approvals.find(id)).toMatchObject({ state: 'withdrawn' });
    expect(access.active(ann, 'prod')).toEqual([]);
  });

  test('withdrawn meanwhile, it gives nothing', async () => {
    const id = await approved((one) =>
      approvals.end(one, 'withdrawn', 'withdrawn by the requester'),
    );
    expect(access.active(ann, 'prod')).toEqual([]);
    expect(await access.find(id)).toBeUndefined();
    expect(await approvals.find(id)).toMatchObject({ state: 'withdrawn' });
  });

  test('nor does the word of somebody who was blocked meanwhile', async () => {
    const id = await approved(async () => {
      isBlocked = true;
    });
    expect(access.active(ann, 'prod')).toEqual([]);
    expect(await approvals.find(id)).toMatchObject({ state: 'void' });
  });
});
