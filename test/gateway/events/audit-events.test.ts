/** What every reader of events may rely on, whichever database they are in. */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AuditEventSchema, type EventsReply } from '../../../src/api/events.ts';
import { AuditEvents, type NewEvent } from '../../../src/gateway/events/audit-events.ts';
import { readEvents } from '../../../src/gateway/events/read-events.ts';
import { all, change, get, type Store, sql } from '../../../src/gateway/store/store.ts';
import { collectLog } from '../collect-log.ts';
import { awayStore } from '../store/away-store.ts';
import { DRIVERS, SERVERS, type TestStores, testStores } from '../store/test-stores.ts';

const ADD = sql('INSERT INTO spent (digest, expires_ms) VALUES ($digest, $expiresMs)');
const COUNT = sql('SELECT count(*) AS count FROM audit_events');
/** Waits until the test lets go of it. */
const WAIT = sql('SELECT 1', 'SELECT 1 FROM pg_advisory_xact_lock_shared($lock)');
const START_MS = Date.UTC(2026, 9, 1);
const DAY_MS = 86_400_000;

const storesOf = testStores();
let stores: TestStores;
let store: Store;
let events: AuditEvents;
let nowMs = START_MS;

function openEvents(of: Store, keep = { days: 90, events: 1_000_000 }): Promise<AuditEvents> {
  const log = collectLog().log;
  return AuditEvents.open({
    store: of,
    gateway: 'test',
    owner: { id: 'node', term: 1 },
    keep,
    clock: () => nowMs,
    log,
  });
}

function begun(session: string): NewEvent {
  const who = {
    kind: 'person',
    issuer: 'https://id.example',
    sub: 'u1',
    name: 'Ana@Example',
  } as const;
  return {
    type: 'session.begin',
    ...{ who, session, target: 'orders', kind: 'postgres', recording: 'full' },
    expires: new Date(nowMs).toISOString(),
  };
}

const sessionsOf = (reply: Pick<EventsReply, 'events'>) =>
  reply.events.map(({ session }) => session);

/** All that there is after a cursor, as a reader asks for it. */
async function readOn(of: Store, after: string | undefined, limit = 7) {
  const found: EventsReply['events'] = [];
  let cursor = after;
  for (;;) {
    const reply = await readEvents(of, { after: cursor, limit });
    found.push(...reply.events);
    cursor = reply.cursor;
    if (!reply.more) return { events: found, cursor };
  }
}

describe.each(DRIVERS)('events in %s', (driver) => {
  beforeEach(async () => {
    nowMs = START_MS;
    stores = await storesOf(driver);
    store = await stores.open();
    events = await openEvents(store);
  });
  afterEach(async () => {
    await events[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
  });

  test('are there with what they tell of, or not at all', async () => {
    const work = (digest: string, session: string) =>
      store.transaction(function* () {
        yield* events.add(begun(session));
        yield* change(ADD, { digest, expiresMs: 1 });
      });
    await work('a', 's1');
    await expect(work('a', 's2')).rejects.toThrow(/unique/i);
    await work('b', 's3');
    const reply = await readEvents(store, { limit: 10 });
    expect(sessionsOf(reply)).toEqual(['s1', 's3']);
    for (const event of reply.events) AuditEventSchema.parse(event);
    expect(reply.events[0]).toMatchObject({
      gateway: 'test',
      node: 'node',
      term: 1,
      time: '2026-10-01T00:00:00.000Z',
    });
  });

  test('a reader misses none and gets none twice, however slow the writers are', async () => {
    const handles = [store, await stores.open(), await stores.open(), await stores.open()];
    const writers = handles.map(async (handle, writer) => {
      for (let round = 0; round < 30; round += 1) {
        await handle.transaction(function* () {
          yield* events.add(begun(`${writer}.${round}.a`));
          // As long as others begin and end meanwhile.
          if (stores.url !== undefined && (round + writer) % 3 === 0) {
            yield* get(sql('SELECT 1', 'SELECT 1 FROM pg_sleep($seconds)'), { seconds: 0.02 });
          }
          yield* events.add(begun(`${writer}.${round}.b`));
        });
      }
    });
    const seen: (string | undefined)[] = [];
    let cursor: string | undefined;
    let isOver = false;
    const read = async () => {
      const page = await readOn(store, cursor);
      seen.push(...sessionsOf(page));
      cursor = page.cursor;
    };
    const over = Promise.all(writers).then(() => {
      isOver = true;
    });
    while (!isOver) {
      await read();
      await new Promise(setImmediate);
    }
    await over;
    await read();
    const expected = handles.flatMap((_, writer) =>
      Array.from({ length: 30 }, (_, round) => [`${writer}.${round}.a`, `${writer}.${round}.b`]),
    );
    expect(seen.toSorted()).toEqual(expected.flat().toSorted());
    // Of one writer they come in order.
    expect(seen.filter((one) => one?.startsWith('2.'))).toEqual(
      expected.flat().filter((one) => one.startsWith('2.')),
    );
  });

  test('what a slow transaction has written before others comes before them, when it is over', async () => {
    const superuser =
      stores.url === undefined ? undefined : new pg.Client({ connectionString: stores.url });
    await superuser?.connect();
    await superuser?.query('SELECT pg_advisory_lock(7)');
    const written = Promise.withResolvers<void>();
    const slow = store.transaction(function* () {
      yield* events.add(begun('slow'));
      written.resolve();
      yield* all(WAIT, { lock: 7 });
    });
    await written.promise;
    const other = await stores.open();
    await other.transaction(() => events.add(begun('fast')));
    const before = await readOn(store, undefined);
    // SQLite has one writer: there the slow one is over by then.
    expect(sessionsOf(before)).toEqual(stores.url === undefined ? ['slow', 'fast'] : []);
    await superuser?.query('SELECT pg_advisory_unlock(7)');
    await slow;
    await superuser?.end();
    const after = await readOn(store, before.cursor);
    expect([...sessionsOf(before), ...sessionsOf(after)].toSorted()).toEqual(['fast', 'slow']);
  });

  test('can be asked for by type, session, person and time, in pages that come to an end', async () => {
    for (let index = 0; index < 25; index += 1) {
      nowMs += 60_000;
      await events.write(begun(`s${index % 5}`));
      await events.write({ type: 'policy.in_force', signer: 'x', commit: `c${index}` });
    }
    const some = await readEvents(store, { limit: 3, type: 'policy.*' });
    expect(some.events.map(({ commit }) => commit)).toEqual(['c0', 'c1', 'c2']);
    expect(some.more).toBe(true);
    const rest = await readEvents(store, {
      limit: 100,
      type: 'policy.in_force',
      after: some.cursor,
    });
    expect(rest.events.map(({ commit }) => commit)).toEqual(
      Array.from({ length: 22 }, (_, index) => `c${index + 3}`),
    );
    expect(rest.more).toBe(false);
    expect(sessionsOf(await readEvents(store, { limit: 100, session: 's2' }))).toHaveLength(5);
    // As they are shown, and as they are typed.
    expect((await readEvents(store, { limit: 100, user: 'ana@example' })).events).toHaveLength(25);
    expect((await readEvents(store, { limit: 100, user: 'U1' })).events).toHaveLength(25);
    expect((await readEvents(store, { limit: 100, user: 'ana' })).events).toHaveLength(0);
    const begunByAgent = begun('s9');
    const who = { ...begunByAgent.who, agent: 'devin', requester: 'Boss' };
    await events.write({ ...begunByAgent, who } as NewEvent);
    for (const user of ['Devin', 'boss']) {
      expect(sessionsOf(await readEvents(store, { limit: 100, user }))).toEqual(['s9']);
    }
    const since = new Date(START_MS + 20 * 60_000).toISOString();
    const late = await readEvents(store, { limit: 100, since, type: 'session.begin' });
    expect(sessionsOf(late)).toEqual(['s4', 's0', 's1', 's2', 's3', 's4', 's9']);
    const future = await readEvents(store, { limit: 100, since: '2030-01-01T00:00:00Z' });
    expect(future.events).toEqual([]);
    const newest = await readEvents(store, { limit: 100, newest: 2, type: 'session.begin' });
    expect(sessionsOf(newest)).toEqual(['s4', 's9']);
    await events.write(begun('next'));
    expect(sessionsOf(await readEvents(store, { limit: 9, after: newest.cursor }))).toEqual([
      'next',
    ]);
    await expect(readEvents(store, { limit: 9, type: 'session.nothing' })).rejects.toMatchObject({
      code: 'HOOP_USAGE',
    });
  });

  test('a store without any has a cursor all the same, and what comes is after it', async () => {
    const empty = await readEvents(store, { limit: 10, newest: 10 });
    expect(empty).toMatchObject({ events: [], more: false });
    await events.write(begun('first'));
    expect(sessionsOf(await readEvents(store, { limit: 10, after: empty.cursor }))).toEqual([
      'first',
    ]);
  });

  test('what was forgotten is said to whom it was for, and to nobody else', async () => {
    const kept = await openEvents(store, { days: 30, events: 12 });
    for (let day = 0; day < 20; day += 1) {
      nowMs = START_MS + day * DAY_MS;
      await kept.write(begun(`day${day}`));
    }
    const { cursor: old } = await readEvents(store, { limit: 3 });
    const { cursor: edge } = await readEvents(store, { limit: 8 });
    const { cursor: last } = await readOn(store, undefined);
    await kept.prune();
    expect(sessionsOf(await readOn(store, undefined))).toHaveLength(12);
    await expect(readEvents(store, { limit: 9, after: old })).rejects.toMatchObject({
      code: 'HOOP_EVENTS_FORGOTTEN',
      detail: expect.stringContaining('2026-10-08'),
    });
    // It has seen all that is gone.
    expect(sessionsOf(await readOn(store, edge))).toHaveLength(12);
    expect(sessionsOf(await readOn(store, last))).toEqual([]);
    const since = new Date(START_MS).toISOString();
    expect(await readEvents(store, { limit: 9, since })).toMatchObject({
      forgottenUntil: '2026-10-08T00:00:00.000Z',
    });
    nowMs += 60 * DAY_MS;
    await kept.prune();
    expect(await store.get(COUNT)).toEqual({ count: 0 });
    expect(sessionsOf(await readOn(store, last))).toEqual([]);
    await kept.write(begun('again'));
    expect(sessionsOf(await readOn(store, last))).toEqual(['again']);
    await expect(readEvents(store, { limit: 9, after: edge })).rejects.toMatchObject({
      code: 'HOOP_EVENTS_FORGOTTEN',
    });
  });

  test('a cursor that was never given is refused: another store, another place, another time', async () => {
    await events.write(begun('one'));
    const { cursor } = await readEvents(store, { limit: 1 });
    const [id, position, number, time = ''] = cursor.split('.');
    for (const other of [
      `00000000.${position}.${number}.${time}`,
      `${id}.${position}.zz.${time}`,
      `${id}.${position}.${number}.${time.slice(0, -1)}`,
      `${id}.zzzzzzzzzzz.zzzzzzzzzzz.${time}`,
    ]) {
      await expect(readEvents(store, { limit: 9, after: other })).rejects.toMatchObject({
        code: 'HOOP_EVENTS_CURSOR',
      });
    }
  });

  test('what cannot be written now is written later, in its order', async () => {
    let isBroken = true;
    const broken: Store = {
      ...forwarding(store),
      transaction: (work) =>
        isBroken ? Promise.reject(new Error('away')) : store.transaction(work),
    };
    isBroken = false;
    const away = await openEvents(broken);
    isBroken = true;
    away.tell(begun('a'));
    await expect(away.flush()).rejects.toThrow('away');
    away.tell(begun('b'));
    isBroken = false;
    await away.flush();
    expect(sessionsOf(await readEvents(store, { limit: 9 }))).toEqual(['a', 'b']);
  });
});

describe.each(SERVERS)('events in %s, restored from a dump of another server', (server) => {
  test('new ones come after old ones, and old cursors are refused', async () => {
    await using own = await storesOf(server);
    const database = await own.open();
    await using first = await openEvents(database);
    await first.write(begun('before'));
    const { cursor } = await readEvents(database, { limit: 9 });
    // As if the other server had come much further.
    await database.change(sql('UPDATE audit_events SET position = position + 1000000000'));
    expect(sessionsOf(await readOn(database, undefined))).toEqual([]);
    await using restored = await openEvents(database);
    await restored.write(begun('after'));
    expect(sessionsOf(await readOn(database, undefined))).toEqual(['before', 'after']);
    await expect(readEvents(database, { limit: 9, after: cursor })).rejects.toMatchObject({
      code: 'HOOP_EVENTS_CURSOR',
    });
  });
});

function forwarding(of: Store): Store {
  return {
    isShared: of.isShared,
    transaction: (work) => of.transaction(work),
    all: (...asked) => of.all(...asked),
    get: (...asked) => of.get(...asked),
    change: (...asked) => of.change(...asked),
    checkWritable: () => of.checkWritable(),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test('while the store is away they wait, which the log says once', async () => {
  await using own = await storesOf('sqlite');
  const away = awayStore(await own.open());
  const { log, events: logged } = collectLog();
  await using waiting = await AuditEvents.open({
    store: away,
    gateway: 'test',
    owner: { id: 'node', term: 1 },
    keep: { days: 90, events: 1_000_000 },
    clock: () => START_MS,
    log,
  });
  const failures = () => logged.filter(({ event }) => event === 'events.write_failed').length;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    for (const [session, times] of [
      ['a', 1],
      ['b', 2],
    ] as const) {
      away.isAway = true;
      waiting.tell(begun(session));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(failures()).toBe(times);
      away.isAway = false;
      await vi.advanceTimersByTimeAsync(1000);
      expect(await away.get(COUNT)).toEqual({ count: times });
    }
  } finally {
    vi.useRealTimers();
  }
});

test('what comes while too many wait for the store is counted, and the count is told', async () => {
  await using own = await storesOf('sqlite');
  const away = awayStore(await own.open());
  await using waiting = await openEvents(away);
  away.isAway = true;
  for (let one = 0; one < 2500; one += 1) {
    waiting.tellLimited(`login ${one % 500}`, 'x', {
      type: 'login.refused',
      code: 'HOOP_TOKEN_EXPIRED',
    });
    if (one % 1000 === 0) await waiting.flush().catch(() => undefined);
  }
  away.isAway = false;
  await waiting.flush();
  nowMs += 60_000;
  await waiting.flush();
  const { events: told } = await readOn(away, undefined, 1000);
  expect(told.reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(2500);
});

test.each([
  ['session.refused', 'target'],
  ['policy.refused', 'commit'],
] as const)('one %s for different ones names no %s', async (type, member) => {
  await using own = await storesOf('sqlite');
  const database = await own.open();
  await using counting = await openEvents(database);
  for (let one = 0; one < 40; one += 1) {
    const event: NewEvent = { type, code: 'HOOP_ACCESS_DENIED', [member]: `${one}` };
    counting.tellLimited('someone', `${one}`, event);
  }
  nowMs += 60_000;
  await counting.flush();
  const { events: told } = await readOn(database, undefined, 100);
  for (const event of told) expect(AuditEventSchema.safeParse(event).error).toBeUndefined();
  expect(told.filter((event) => event[member] === undefined)).toMatchObject([{ count: 12 }]);
});
