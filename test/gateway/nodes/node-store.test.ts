/** Nodes on one store, on each driver: terms, leases, who may take over, what they hear of each other. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ApprovalRecord } from '../../../src/gateway/approvals/approval-record.ts';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { AuditEvents } from '../../../src/gateway/events/audit-events.ts';
import { readEvents } from '../../../src/gateway/events/read-events.ts';
import { SessionIndex } from '../../../src/gateway/index/session-index.ts';
import { NodeChanges } from '../../../src/gateway/nodes/node-changes.ts';
import { NodeCommands } from '../../../src/gateway/nodes/node-commands.ts';
import { NodeLease } from '../../../src/gateway/nodes/node-lease.ts';
import { LEASE_MS, NodeStore } from '../../../src/gateway/nodes/node-store.ts';
import { endLeftBehind } from '../../../src/gateway/sessions/end-left-behind.ts';
import { type Store, sql } from '../../../src/gateway/store/store.ts';
import { Secret } from '../../../src/secret.ts';
import { waitFor } from '../../wait-for.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const A = '00000000-0000-4000-8000-00000000000a';
const B = '00000000-0000-4000-8000-00000000000b';
const HERE = 'here:1:2';
/** What fifteen seconds do, without them. */
const RUN_OUT = sql('UPDATE nodes SET lease_until_ms = 1 WHERE id = $id');

const storesOf = testStores();
let stores: TestStores;
let store: Store;
/** Of another process. */
let elsewhere: Store;
let nodes: NodeStore;

describe.each(DRIVERS)('nodes of a store in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = await stores.open();
    elsewhere = await stores.open();
    nodes = new NodeStore(store);
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  const begin = (id = A, place = HERE, of = store) =>
    NodeLease.begin({ id, place, version: '0', nodes: new NodeStore(of), log: collectLog().log });

  test('each start is another term, and the one before it may do nothing any more', async () => {
    await using first = await begin();
    await using second = await begin(A, HERE, elsewhere);
    expect([first.owner, second.owner]).toEqual([
      { id: A, term: 1 },
      { id: A, term: 2 },
    ]);
    expect(await nodes.renew(first.owner)).toBe(false);
    expect(await nodes.renew(second.owner)).toBe(true);
    // A process that stops does not end the term of the next.
    await nodes.stop(first.owner);
    expect(await nodes.find(A)).toMatchObject({ term: 2, state: 'live' });
  });

  test('of two that start at once in one place each has a term of its own', async () => {
    const begun = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        new NodeStore(index % 2 === 0 ? store : elsewhere).begin(A, HERE, '0'),
      ),
    );
    const terms = begun.map((one) => (one.type === 'begun' ? one.term : 0));
    expect(terms.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('a copy of a data directory does not take the lease of a node that lives', async () => {
    // Nothing but the test renews it: a renewal that is under way would land behind what comes next.
    expect(await nodes.begin(A, HERE, '0')).toEqual({ type: 'begun', term: 1 });
    const lives = new AbortController();
    const renewed = (async () => {
      while (!lives.signal.aborted) {
        expect(await nodes.renew({ id: A, term: 1 })).toBe(true);
        await delay(50);
      }
    })();
    // It waits for the lease to run out, and sees that it is renewed instead.
    await expect(begin(A, 'there:1:2', elsewhere)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
    });
    lives.abort();
    await renewed;
    // Once it has run out, or its process has ended by itself, the place may be another.
    await store.change(RUN_OUT, { id: A });
    expect(await nodes.begin(A, 'there:1:2', '0')).toEqual({ type: 'begun', term: 2 });
    await nodes.stop({ id: A, term: 2 });
    expect(await nodes.begin(A, HERE, '0')).toEqual({ type: 'begun', term: 3 });
  });

  test('who is taken over hears of it before it signs anything', async () => {
    await using lease = await begin();
    await using _ = await begin(B, 'there:1:2', elsewhere);
    await lease.require();
    expect(await nodes.takeOver(A, B, endLeftBehind(NO_EVENTS))).toMatchObject({ state: 'live' });
    await store.change(RUN_OUT, { id: A });
    // Its lease has run out, and nobody has taken it over: it goes on.
    expect(await nodes.renew(lease.owner)).toBe(true);
    await store.change(RUN_OUT, { id: A });
    expect(await nodes.takeOver(A, B, endLeftBehind(NO_EVENTS))).toMatchObject({
      type: 'taken over',
      term: 2,
    });
    lease.url = 'https://a';
    await waitFor(() => expect(lease.lost.aborted).toBe(true));
    await expect(lease.require()).rejects.toMatchObject({ code: 'HOOP_NODE_LOST' });
    expect(await nodes.find(A)).toMatchObject({ state: 'taken over', takenBy: B });
    // Twice is once; a node that nobody knows is none.
    expect(await nodes.takeOver(A, B, endLeftBehind(NO_EVENTS))).toMatchObject({
      state: 'taken over',
    });
    expect(await nodes.takeOver('none', B, endLeftBehind(NO_EVENTS))).toBeUndefined();
    // And when it comes back it is another term.
    expect(await nodes.begin(A, HERE, '0')).toEqual({ type: 'begun', term: 3 });
  });

  test('a takeover ends the live sessions of that node alone, and its own late end changes nothing', async () => {
    await using a = await begin();
    await using b = await begin(B, 'there:1:2', elsewhere);
    const indexOf = (of: Store, lease: NodeLease) =>
      new SessionIndex(
        of,
        lease.owner,
        Date.now,
        () => undefined,
        () => false,
        NO_EVENTS,
      );
    const [indexA, indexB] = [indexOf(store, a), indexOf(elsewhere, b)];
    await indexA.start(session('a1'));
    await indexB.start(session('b1'));
    expect([await indexA.live(), await indexB.live()]).toEqual([['a1'], ['b1']]);
    await expect(indexB.claim('a1')).rejects.toMatchObject({ code: 'HOOP_OTHER_NODE' });
    await indexA.claim('a1');
    await store.change(RUN_OUT, { id: A });
    await using events = await AuditEvents.open({
      ...{ store: elsewhere, gateway: 'gw', owner: b.owner, clock: Date.now },
      ...{ keep: { days: 90, events: 1000 }, log: collectLog().log },
    });
    const requests = new ApprovalStore(store, new SealedJson(new Secret(randomBytes(32))));
    await requests.run(function* () {
      yield* requests.insert({ ...HELD, id: 'dies' }, {});
      yield* requests.insert({ ...HELD, id: 'stays', diesWithConnection: false }, {});
    });
    await using changes = await NodeChanges.open(elsewhere, collectLog().log);
    const heard: string[] = [];
    changes.on('approvals', () => void heard.push('approvals'));
    expect(await nodes.takeOver(A, B, endLeftBehind(events))).toMatchObject({
      sessions: 1,
      requests: 1,
    });
    await changes.look();
    // Those that wait at other nodes. A store in one file has no other.
    expect(heard).toEqual(store.isShared ? ['approvals'] : []);
    const who = { issuer: 'i', sub: 's', name: 'n' };
    expect((await readEvents(store, { limit: 10 })).events).toMatchObject([
      { type: 'node.taken_over', node: B, taken: A, sessions: 1, requests: 1 },
      { type: 'approval.state', who, session: 'a1', request: 'dies', state: 'withdrawn' },
      { type: 'session.end', who, session: 'a1', reason: 'gateway_crash' },
    ]);
    await expect(indexA.claim('a1')).rejects.toMatchObject({ code: 'HOOP_OTHER_NODE' });
    const end = { endedMs: 5, message: 'late', upBytes: 0, downBytes: 0 };
    await indexA.end('a1', { ...end, reason: 'closed' });
    expect((await indexB.find('a1'))?.summary).toMatchObject({ endReason: 'gateway_crash' });
    expect((await indexB.find('b1'))?.summary).toMatchObject({ state: 'live' });
    // What nobody has signed yet is signed where it lies.
    expect(await indexB.withoutManifest(Number.MAX_SAFE_INTEGER)).toEqual([]);
    await using again = await begin();
    expect(await indexOf(store, again).withoutManifest(Number.MAX_SAFE_INTEGER)).toEqual(['a1']);
    await indexOf(store, again).claim('a1');
  });

  test('what was asked before the process stood still does not say whose the node is now', async () => {
    let nowMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    await using lease = await begin();
    const answer = Promise.withResolvers<boolean>();
    const renew = vi.spyOn(NodeStore.prototype, 'renew').mockReturnValueOnce(answer.promise);
    lease.url = 'https://a';
    nowMs = LEASE_MS;
    await store.change(RUN_OUT, { id: A });
    await nodes.takeOver(A, B, endLeftBehind(NO_EVENTS));
    const signing = lease.require();
    answer.resolve(true);
    await expect(signing).rejects.toMatchObject({ code: 'HOOP_NODE_LOST' });
    expect(renew).toHaveBeenCalledTimes(2);
    vi.restoreAllMocks();
  });

  test('a session that another node ends is ended, whoever it says that has asked', async () => {
    const commands = new NodeCommands(store, A, Date.now);
    const by = { issuer: 'i', sub: 's', name: 'n' };
    const ask = { reason: 'revoked', message: 'ended by n' } as const;
    await commands.end(A, { session: 's1', ...ask, by });
    await commands.end(A, { session: 's2', ...ask });
    await store.change(
      sql(`UPDATE node_commands SET ended_by = '{"kind":"robot"}' WHERE session = 's2'`),
    );
    const taken: unknown[] = [];
    await commands.take((command) => void taken.push(command));
    expect(taken).toEqual([
      { session: 's1', ...ask, by },
      { session: 's2', ...ask, by: undefined },
    ]);
  });

  test('a lease is of the clock of the store', async () => {
    await using _ = await begin();
    const left = (await nodes.find(A))?.leaseLeftMs ?? 0;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(LEASE_MS);
  });
});

const HELD: ApprovalRecord = {
  ...{ id: 'dies', node: A, kind: 'statement', state: 'waiting', target: 'prod-db' },
  requester: { issuer: 'i', sub: 's', name: 'n' },
  ...{ session: 'a1', reason: undefined, diesWithConnection: true, needs: [], votes: [] },
  ...{ policyCommit: 'c0ffee', binding: 'b', createdMs: 1, waitsUntilMs: 2, usableSeconds: 3 },
  ...{ usableUntilMs: undefined, endedMs: undefined, outcome: undefined },
};

function session(id: string): Parameters<SessionIndex['start']>[0] {
  return {
    id,
    target: 't',
    kind: 'postgres',
    principal: {
      kind: 'person',
      issuer: 'i',
      sub: 's',
      name: 'n',
      email: undefined,
      groups: [],
      roles: [],
    },
    family: 'f',
    run: undefined,
    parentRun: undefined,
    program: undefined,
    reason: undefined,
    policyCommit: 'c',
    recording: 'full',
    clientVersion: '0',
    startedMs: 1,
    expiresMs: 2,
  };
}
