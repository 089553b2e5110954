/** Requests for approval while something else comes in between, or the store fails behind a decision. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { commandApprovals } from '../../../src/gateway/approvals/command-approvals.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import type { ApprovalDemand, Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { type InterruptedStore, interruptedStore } from '../store/interrupted-store.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const ada: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  sub: 'ada',
  name: 'Ada',
  email: undefined,
  groups: ['dba'],
  roles: [],
};
const REQUEST = {
  kind: 'statement',
  requester: { ...ada, sub: 'erin', name: 'Erin' },
  target: 'prod-db',
  reason: undefined,
  session: 's1',
  run: 'r1',
  diesWithConnection: false,
  needs: [{ rule: 'p/deletes', groups: ['dba'], count: 1 }],
  waitsSeconds: 60,
  usableSeconds: 60,
  policyCommit: 'c1',
  binding: 'b1',
  details: {},
} as const;
const NOW_MS = 1_700_000_000_000;
const demand = (waits: boolean): ApprovalDemand => ({
  rule: { id: 'p/reboot', file: 'policies/p.yaml', line: 3 },
  terms: { groups: ['dba'], count: 1, timeoutSeconds: 60, waits, maxHoldSeconds: 30 },
  hint: undefined,
});
const COMMAND = { demands: [demand(true)], policyCommit: 'c1', stream: 1, at: 0 };
const DEADLINE = /SELECT min\(CASE state/;
/** What changes the state of one request begins so. */
const MOVE = /^SELECT id, node, kind[\s\S]*WHERE id = \$id$|^UPDATE approvals SET state/;

const storesOf = testStores();
let stores: TestStores;
let store: InterruptedStore;
let approvals: Approvals;
let logged: ReturnType<typeof collectLog>;

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = interruptedStore(await stores.open());
    logged = collectLog();
    approvals = await Approvals.open({
      events: NO_EVENTS,
      node: 'node',
      store: new ApprovalStore(store, new SealedJson(new Secret(new Uint8Array(32).fill(7)))),
      isAgent: () => false,
      isBlocked: () => false,
      log: logged.log,
      clock: () => NOW_MS,
    });
    await approvals.handle('statement', { needs: ({ needs }) => needs });
  });
  afterEach(async () => {
    approvals[Symbol.dispose]();
    await stores[Symbol.asyncDispose]();
  });

  const approve = (id: string) => approvals.decide(ada, id, { decision: 'approve' });
  const stateOf = async (id: string) => (await approvals.find(id))?.state;
  const fail = async (): Promise<void> => {
    throw new Error('the store is away');
  };

  test('who leaves while the store is away is in the operator’s log, and the request runs out', async () => {
    const made = await approvals.create({ ...REQUEST, run: undefined, diesWithConnection: true });
    store.before(MOVE, fail);
    await approvals.leave(made, 'the client left');
    expect(logged.text()).toContain('approval.leave_failed');
    expect(await stateOf(made.id)).toBe('waiting');
  });

  test.each([
    ['the run is over', () => approvals.endOfRun('r1', 'the run has ended'), 'withdrawn'],
    ['it is void', () => approvals.voidOpen('statement', 'not to be had', () => true), 'void'],
    [
      'a commit decides otherwise',
      () => approvals.policyChanged('statement', () => 'void'),
      'void',
    ],
  ])('what is approved just when %s ends nevertheless', async (_, end, state) => {
    const { id } = await approvals.create(REQUEST);
    store.before(MOVE, () => approve(id));
    await end();
    expect(await stateOf(id)).toBe(state);
    expect(await approvals.use(id)).toBeUndefined();
  });

  test.each([
    ['two connections of a run', { run: 'r1', waits: true }],
    ['two sessions that do not wait', { run: undefined, waits: false }],
  ])('of %s that ask for the same at once there is one request', async (_, { run, waits }) => {
    const ask = () =>
      commandApprovals<typeof COMMAND>(
        {
          approvals,
          ...{ session: 's1', run, principal: ada, reason: undefined, target: { name: 'web' } },
          prompt: () => undefined,
          policy: { grant: () => undefined, identityProviders: () => [] },
          clock: () => NOW_MS,
        },
        {
          format: 'test',
          bound: () => ['reboot'],
          shown: () => ({ verb: 'exec', text: 'reboot', user: 'root', touches: [] }),
        },
      ).ask({ ...COMMAND, demands: [demand(waits)] });
    const asked = await Promise.all([ask(), ask(), ask()]);
    expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
    expect(await approvals.list(ada, { isOpen: true, limit: 9 })).toHaveLength(1);
  });

  test('who waits at one node hears of the vote at another, and a start there withdraws nothing', async () => {
    const other = await Approvals.open({
      events: NO_EVENTS,
      node: 'other',
      store: new ApprovalStore(
        await stores.open(),
        new SealedJson(new Secret(new Uint8Array(32).fill(7))),
      ),
      isAgent: () => false,
      isBlocked: () => false,
      log: collectLog().log,
      clock: () => NOW_MS,
    });
    await other.handle('statement', { needs: ({ needs }) => needs });
    const { id } = await approvals.create({ ...REQUEST, run: undefined, diesWithConnection: true });
    const decided: string[] = [];
    approvals.wait(id, {
      decided: ({ state }) => decided.push(state),
      policyChanged: () => undefined,
    });
    const again = await Approvals.open({
      events: NO_EVENTS,
      node: 'other',
      store: new ApprovalStore(store, new SealedJson(new Secret(new Uint8Array(32).fill(7)))),
      isAgent: () => false,
      isBlocked: () => false,
      log: collectLog().log,
      clock: () => NOW_MS,
    });
    again[Symbol.dispose]();
    // A commit that there changes everything is the business of the node that holds it.
    await other.policyChanged('statement', () => 'decide again');
    expect(await stateOf(id)).toBe('waiting');
    expect(await other.details(id)).toEqual({});
    await other.decide(ada, id, { decision: 'approve' });
    await approvals.heard();
    expect(decided).toEqual(['approved']);
    expect((await approvals.use(id))?.state).toBe('used');
    expect(await other.use(id)).toBeUndefined();
    other[Symbol.dispose]();
  });

  test('what was used up is released, although the next deadline cannot be read then', async () => {
    const { id } = await approvals.create(REQUEST);
    await approve(id);
    store.before(MOVE, async () => store.before(DEADLINE, fail));
    expect(await approvals.use(id)).toMatchObject({ state: 'used' });
    expect(await approvals.use(id)).toBeUndefined();
  });

  test('where the store fails before, nothing is used up', async () => {
    const { id } = await approvals.create(REQUEST);
    await approve(id);
    store.before(MOVE, fail);
    await expect(approvals.use(id)).rejects.toThrow('the store is away');
    expect(await approvals.use(id)).toMatchObject({ state: 'used' });
  });
});
