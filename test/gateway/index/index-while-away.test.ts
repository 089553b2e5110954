/** Rows of statements are written behind the statements: what the store does not take waits for it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HoopError } from '../../../src/errors.ts';
import { AuditEvents } from '../../../src/gateway/events/audit-events.ts';
import { readEvents } from '../../../src/gateway/events/read-events.ts';
import { SessionIndex } from '../../../src/gateway/index/session-index.ts';
import { integer, sql } from '../../../src/gateway/store/store.ts';
import type { RecordingEvent } from '../../../src/recording/formats/types.ts';
import { collectLog } from '../collect-log.ts';
import { type AwayStore, awayStore } from '../store/away-store.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const storesOf = testStores();
let stores: TestStores;
let store: AwayStore;
let index: SessionIndex;
let faults: unknown[];
let nowMs: number;

function decision(statement: number, effect: 'allow' | 'refuse' = 'allow'): RecordingEvent {
  return {
    type: 'decision',
    stream: 1,
    at: 10,
    statement,
    effect,
    verbs: ['select'],
    relations: ['public.customers'],
    columnsMasked: [],
    rules: [],
    code: effect === 'refuse' ? 'HOOP_DENIED' : undefined,
    message: undefined,
    policyCommit: 'c0ffee',
  };
}

function result(statement: number): RecordingEvent {
  return {
    type: 'result',
    stream: 1,
    at: 10,
    statement,
    rows: 3,
    maskedValues: 2,
    detected: {},
    tag: 'SELECT 3',
    sqlState: undefined,
  };
}

const COUNT = sql(
  'SELECT count(*) AS n, CAST(coalesce(sum(rows), 0) AS BIGINT) AS r FROM statements',
);
const SESSION = sql('SELECT statements AS n, masked_values AS m FROM sessions');

async function written(): Promise<unknown[]> {
  const row = await store.get(COUNT);
  const session = await store.get(SESSION);
  return [row?.['n'], row?.['r'], session?.['n'], session?.['m']].map(integer);
}

/** As readers of events count them. */
async function refusals(): Promise<number> {
  const { events } = await readEvents(store, { type: 'statement.refused', limit: 100 });
  return events.reduce((sum, { count = 1 }) => sum + Number(count), 0);
}

function lostOf(all: readonly unknown[]): number {
  const said = all.map((fault) => /has lost (\d+) rows/.exec((fault as HoopError).message)?.[1]);
  return said.reduce((sum, lost) => sum + Number(lost ?? 0), 0);
}

describe.each(DRIVERS)('the index in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = awayStore(await stores.open());
    faults = [];
    nowMs = 1;
    const owner = { id: 'node', term: 1 };
    const clock = () => nowMs;
    const events = await AuditEvents.open({
      ...{ store, gateway: 'gw', owner, clock, log: collectLog().log },
      keep: { days: 90, events: 1000 },
    });
    index = new SessionIndex(
      store,
      owner,
      clock,
      (error) => faults.push(error),
      () => false,
      events,
    );
    await index.start({
      id: 's',
      target: 'prod-db',
      kind: 'postgres',
      principal: {
        kind: 'person',
        issuer: 'https://idp.test',
        sub: 'u1',
        name: 'engineer',
        email: undefined,
        groups: [],
        roles: [],
      },
      family: 'f1',
      run: undefined,
      parentRun: undefined,
      program: undefined,
      reason: 'look',
      policyCommit: 'c0ffee',
      recording: 'full',
      clientVersion: '0.1.0',
      startedMs: 1,
      expiresMs: 2,
    });
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  test('loses no row to a store that is away for a while, and counts none twice', async () => {
    store.isAway = true;
    for (let one = 1; one <= 1200; one += 1) {
      index.event('s', decision(one));
      if (one % 2 === 0) index.event('s', result(one));
    }
    await expect(index.flush()).rejects.toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
    // Results that come while their decisions wait.
    for (let one = 1; one <= 1200; one += 2) index.event('s', result(one));
    await expect(index.flush()).rejects.toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
    store.isAway = false;
    await index.flush();
    await index.flush();
    expect(await written()).toEqual([1200, 3600, 1200, 2400]);
  });

  test('tries again by itself', async () => {
    store.isAway = true;
    index.event('s', decision(1));
    await expect.poll(() => faults.length).toBe(1);
    store.isAway = false;
    await expect.poll(async () => (await written())[0], { timeout: 20_000 }).toBe(1);
    expect(faults).toHaveLength(1);
  });

  test('tells the refusals that it has counted when the store is back, each once', async () => {
    for (let one = 1; one <= 30; one += 1) index.event('s', decision(one, 'refuse'));
    await index.flush();
    store.isAway = true;
    nowMs += 60_000;
    await expect(index.flush()).rejects.toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
    store.isAway = false;
    expect(await refusals()).toBe(20);
    nowMs += 60_000;
    await index.flush();
    expect(await refusals()).toBe(30);
    for (let one = 31; one <= 61; one += 1) index.event('s', decision(one, 'refuse'));
    await index.flush();
    store.isAway = true;
    const end = { endedMs: nowMs, message: 'over', upBytes: 1, downBytes: 2 };
    await expect(index.end('s', { ...end, reason: 'closed' })).rejects.toMatchObject({
      code: 'HOOP_STORE_UNAVAILABLE',
    });
    store.isAway = false;
    await index.flush();
    expect(await refusals()).toBe(61);
  });

  test('keeps no more for a store that is slow', async () => {
    const answer = Promise.withResolvers<void>();
    const { transaction } = store;
    store.transaction = async (work) => {
      await answer.promise;
      return transaction(work);
    };
    index.event('s', decision(1));
    const flushed = index.flush();
    for (let one = 2; one <= 25_000; one += 1) index.event('s', decision(one));
    expect(lostOf(faults)).toBeGreaterThanOrEqual(4000);
    answer.resolve();
    await flushed;
    await index.flush();
    expect((await written())[0]).toBe(25_000 - lostOf(faults));
  });

  test('says how many are lost when more wait than it keeps, the oldest first', async () => {
    store.isAway = true;
    for (let one = 1; one <= 25_000; one += 1) {
      index.event('s', decision(one));
      if (one === 600) await index.flush().catch(() => undefined);
    }
    await index.flush().catch(() => undefined);
    const sum = lostOf(faults);
    expect(sum).toBeGreaterThanOrEqual(5000);
    store.isAway = false;
    await index.flush();
    const [rows] = await written();
    expect(rows).toBe(25_000 - sum);
  });
});
