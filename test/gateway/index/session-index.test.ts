import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import { createLog } from '../../../src/gateway/base/log.ts';
import { AuditEvents, type EventSteps } from '../../../src/gateway/events/audit-events.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { SessionIndex } from '../../../src/gateway/index/session-index.ts';
import {
  type FoundStatement,
  SearchIndex,
  type SearchScope,
} from '../../../src/gateway/search/search-index.ts';
import { requireSession } from '../../../src/gateway/sessions/access.ts';
import { type Store, sql } from '../../../src/gateway/store/store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import type { RecordingEvent } from '../../../src/recording/formats/types.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const ID = '01890a5d-ac96-774b-bcce-b302099a8057';
const OTHER_ID = '01890a5d-ac96-774b-bcce-b302099a8058';
const ENGINEER: Principal = {
  kind: 'person',
  issuer: 'https://idp.test',
  sub: 'u1',
  name: 'engineer@example.com',
  email: undefined,
  groups: [],
  roles: [],
};
const AUDITOR: Principal = { ...ENGINEER, sub: 'u2', name: 'auditor', roles: ['auditor'] };
const APPROVER: Principal = { ...ENGINEER, sub: 'u3', name: 'dba', roles: ['approver'] };

const storesOf = testStores();
let stores: TestStores;
let store: Store;
let index: SessionIndex;
let now: number;
let faults: unknown[];

async function open(events: EventSteps = NO_EVENTS): Promise<void> {
  store = await stores.open();
  index = new SessionIndex(
    store,
    { id: 'node', term: 1 },
    () => now,
    (error) => faults.push(error),
    (kind) => kind === 'ssh',
    events,
  );
}

async function start(
  id = ID,
  principal = ENGINEER,
  target = 'prod-db',
  kind: 'postgres' | 'ssh' = 'postgres',
  program?: string,
): Promise<void> {
  await index.start({
    id,
    target,
    kind,
    principal,
    family: 'f1',
    run: undefined,
    parentRun: undefined,
    program,
    reason: 'look',
    policyCommit: 'c0ffee',
    recording: 'full',
    clientVersion: '0.1.0',
    startedMs: now,
    expiresMs: now + 1000,
  });
}

function decision(
  statement: number,
  effect: 'allow' | 'refuse' | 'fail' = 'allow',
  relation = 'public.customers',
): Extract<RecordingEvent, { type: 'decision' }> {
  return {
    type: 'decision',
    stream: 1,
    at: 10,
    statement,
    effect,
    verbs: ['select'],
    relations: [relation],
    columnsMasked: ['public.customers.email'],
    rules: [{ id: 'engineers/read', file: 'policies/e.yaml', line: 7 }],
    code: effect === 'refuse' ? 'HOOP_DENIED' : undefined,
    message: undefined,
    policyCommit: 'c0ffee',
  };
}

function result(statement: number, rows = 3): Extract<RecordingEvent, { type: 'result' }> {
  return {
    type: 'result',
    stream: 1,
    at: 10,
    statement,
    rows,
    maskedValues: 2,
    detected: { card: 1 },
    tag: 'SELECT 3',
    sqlState: undefined,
  };
}

const rows = async (text: string) => (await store.all(sql(text))).map((row) => ({ ...row }));
const count = async (table: string): Promise<number> =>
  Number((await rows(`SELECT count(*) AS n FROM ${table}`))[0]?.['n']);

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    now = Date.UTC(2026, 0, 1);
    faults = [];
    await open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  test('what a process that died had not written is made anew from its recording, once', async () => {
    await start();
    const events: RecordingEvent[] = [
      decision(1),
      result(1),
      { type: 'lookups', stream: 1, at: 10, statement: 1, candidates: 4, left: 1 },
      decision(2, 'refuse'),
      decision(3),
      result(3, 5),
    ];
    // Two of them were written when it was killed.
    for (const event of events.slice(0, 2)) index.event(ID, event);
    await index.flush();
    await open();
    const recorded = async function* () {
      for (const [place, event] of events.entries()) yield { event, timeMs: now + place };
    };
    const before = { statements: 3, denied: 1, maskedValues: 4, lookups: 4 };
    for (const _ of ['a crash', 'a crash while it was made']) {
      await index.rebuild(ID, recorded());
      expect((await index.find(ID))?.summary).toMatchObject(before);
      expect(
        await rows('SELECT statement, effect, rows, time_ms FROM statements ORDER BY statement'),
      ).toEqual([
        { statement: 1, effect: 'allow', rows: 3, time_ms: now },
        { statement: 2, effect: 'refuse', rows: null, time_ms: now + 3 },
        { statement: 3, effect: 'allow', rows: 5, time_ms: now + 4 },
      ]);
    }
    expect(await index.live()).toEqual([ID]);
  });

  test('what the store has of a recording whose end the disk has lost stays when it is made anew', async () => {
    await start(ID, ENGINEER, 'web-1', 'ssh');
    const file = (path: string): RecordingEvent => ({
      ...{ type: 'ssh.file', stream: 1, channel: 0, at: 10, operation: 'remove', path, status: 0 },
    });
    const events: RecordingEvent[] = [
      decision(1),
      result(1),
      file('/a'),
      file('/a'),
      { type: 'lookups', stream: 1, at: 10, statement: 1, candidates: 4, left: 1 },
      // From here on the disk has lost it.
      decision(2, 'refuse'),
      decision(3),
      result(3, 5),
      file('/b'),
      { type: 'lookups', stream: 1, at: 10, statement: 3, candidates: 2, left: 1 },
    ];
    for (const event of events) index.event(ID, event);
    await index.flush();
    await open();
    const recorded = async function* () {
      for (const event of events.slice(0, 5)) yield { event, timeMs: now + 1 };
    };
    for (const _ of ['a crash', 'a crash while it was made']) {
      await index.rebuild(ID, recorded());
      expect((await index.find(ID))?.summary).toMatchObject({
        ...{ statements: 3, denied: 1, maskedValues: 4, lookups: 6 },
      });
      expect(
        await rows('SELECT statement, rows, results, time_ms FROM statements ORDER BY statement'),
      ).toEqual([
        { statement: 1, rows: 3, results: 1, time_ms: now + 1 },
        { statement: 2, rows: null, results: 0, time_ms: now },
        { statement: 3, rows: 5, results: 1, time_ms: now },
      ]);
      expect(await rows('SELECT path, time_ms FROM files ORDER BY path')).toEqual([
        { path: '/a', time_ms: now + 1 },
        { path: '/a', time_ms: now + 1 },
        { path: '/b', time_ms: now },
      ]);
      expect(await count('statement_classes')).toBe(2);
    }
  });

  test('refusals that a process which died had not told are told from the recording, once', async () => {
    await using events = await AuditEvents.open({
      store,
      gateway: 'gw',
      owner: { id: 'node', term: 1 },
      keep: { days: 90, events: 1000 },
      clock: () => now,
      log: createLog({ stream: new PassThrough(), json: true }),
    });
    await open(events);
    await start();
    const refused = Array.from({ length: 30 }, (_, at) => decision(at + 1, 'refuse'));
    // Two were written when it was killed; of the others it had told nobody.
    for (const event of refused.slice(0, 2)) index.event(ID, event);
    await index.flush();
    await open(events);
    const recorded = async function* () {
      for (const event of refused) yield { event, timeMs: now };
    };
    for (const _ of ['a crash', 'a crash while it was told']) {
      await index.rebuild(ID, recorded());
      const told = (
        await rows(
          "SELECT event FROM audit_events WHERE type = 'statement.refused' ORDER BY number",
        )
      ).map(({ event }) => JSON.parse(String(event)));
      // So many at once are told one by one, and the rest is one event.
      expect(told.map(({ statement, count: many }) => statement ?? `${many} more`)).toEqual([
        ...Array.from({ length: 22 }, (_, at) => at + 1),
        '8 more',
      ]);
      expect(told[2]).toMatchObject({ session: ID, code: 'HOOP_DENIED', stream: 1 });
    }
  });

  test('a session, its statements and its end come back as a summary', async () => {
    await start();
    index.event(ID, decision(1));
    index.event(ID, result(1));
    index.event(ID, decision(2, 'refuse'));
    // A typo is a statement, and nobody has denied it.
    index.event(ID, decision(3, 'fail'));
    now += 5000;
    await index.end(ID, {
      endedMs: now,
      reason: 'closed',
      message: 'closed by the client',
      upBytes: 12,
      downBytes: 34,
    });
    expect((await index.find(ID))?.summary).toEqual({
      id: ID,
      kind: 'postgres',
      target: 'prod-db',
      principal: 'engineer@example.com',
      reason: 'look',
      startedAt: '2026-01-01T00:00:00.000Z',
      endedAt: '2026-01-01T00:00:05.000Z',
      endReason: 'closed',
      endMessage: 'closed by the client',
      state: 'ended',
      statements: 3,
      denied: 1,
      maskedValues: 2,
      upBytes: 12,
      downBytes: 34,
      policyCommit: 'c0ffee',
    });
  });

  test('a statement that needs approval and is refused is one, also when it is sent again', async () => {
    await start();
    const asked = (statement: number, at: number) => ({
      ...decision(statement),
      effect: 'approve' as const,
      at,
    });
    const refused = (statement: number, at: number, code: string) => ({
      ...decision(statement, 'refuse'),
      code,
      at,
    });
    const counts = async () => {
      await index.flush();
      const { statements, denied } = (await index.find(ID))?.summary ?? {};
      return [statements, denied];
    };
    // A Query: what is held and what is refused is the same message.
    index.event(ID, asked(1, 10));
    index.event(ID, refused(2, 10, 'HOOP_APPROVAL_PENDING'));
    expect(await counts()).toEqual([1, 1]);
    // Sent again it is another, which runs.
    index.event(ID, asked(3, 20));
    expect(await counts()).toEqual([2, 1]);
    index.event(ID, result(3));
    // Refused by the policy, behind one that has run.
    index.event(ID, refused(4, 30, 'HOOP_DENIED'));
    index.event(ID, refused(5, 30, 'HOOP_DENIED'));
    expect(await counts()).toEqual([4, 3]);
    // A Parse that is asked about, and its Execute twice.
    index.event(ID, asked(6, 40));
    index.event(ID, refused(7, 50, 'HOOP_APPROVAL_DENIED'));
    index.event(ID, refused(8, 60, 'HOOP_APPROVAL_DENIED'));
    expect(await counts()).toEqual([6, 5]);
    // Nobody can approve it: that is said at once, of a statement of its own.
    index.event(ID, asked(9, 70));
    index.event(ID, refused(10, 80, 'HOOP_APPROVAL_UNAVAILABLE'));
    expect(await counts()).toEqual([8, 6]);
  });

  describe('a search without a text', () => {
    const asked = (statement: number, at: number, relation = 'public.customers') => ({
      ...decision(statement, 'allow', relation),
      effect: 'approve' as const,
      at,
    });
    const refused = (statement: number, at: number, code: string) => ({
      ...decision(statement, 'refuse'),
      relations: [],
      verbs: [],
      code,
      at,
    });
    const SCOPE: SearchScope = {
      owner: undefined,
      run: undefined,
      user: undefined,
      target: undefined,
      agent: undefined,
      program: undefined,
      touches: undefined,
      sinceMs: undefined,
      untilMs: undefined,
      detected: undefined,
      seenClear: false,
      denied: false,
    };

    async function listed(scope: Partial<SearchScope> = {}, limit = 50) {
      await index.flush();
      const all = { ...SCOPE, ...scope };
      const search = new SearchIndex(store);
      const number = (await search.session(all, ID))?.number ?? 0;
      const found: FoundStatement[] = [];
      for (;;) {
        const page = await search.statements(number, all, found.at(-1), limit);
        found.push(...page);
        if (page.length < limit) {
          return found.map(({ statement, effect, code, touches, timeMs }) => ({
            ...{ statement, effect, code, touches, timeMs },
          }));
        }
      }
    }

    test('finds sessions by the agent that acted, the requester and the program', async () => {
      const devin = { ...ENGINEER, agent: 'devin', requester: 'boss@example.com' };
      await start(ID, devin, 'prod-db', 'postgres', 'claude');
      const found = async (scope: Partial<SearchScope>) =>
        (await new SearchIndex(store).sessions({ ...SCOPE, ...scope }, undefined, 9)).length;
      const finding = {
        user: ['Devin', 'boss', 'BOSS@example.com', ENGINEER.name],
        other: ['dev'],
      };
      for (const user of finding.user) expect(await found({ user })).toBe(1);
      for (const user of finding.other) expect(await found({ user })).toBe(0);
      expect(await found({ program: 'Claude' })).toBe(1);
      expect(await found({ program: 'devin' })).toBe(0);
      expect(await found({ agent: 'claude' })).toBe(0);
      // Another person finds none of it, whatever they ask for.
      const owner = { issuer: ENGINEER.issuer, sub: 'other' };
      expect(await found({ owner, user: 'devin' })).toBe(0);
      expect(await found({ owner, program: 'claude' })).toBe(0);
    });

    test('lists a statement that was held and then refused once, as it is counted', async () => {
      await start();
      const begun = now;
      index.event(ID, asked(1, 10));
      await index.flush();
      now += 60_000;
      index.event(ID, refused(2, 10, 'HOOP_APPROVAL_DENIED'));
      index.event(ID, asked(3, 20));
      index.event(ID, result(3));
      index.event(ID, asked(4, 30, 'public.orders'));
      index.event(ID, refused(5, 40, 'HOOP_APPROVAL_DENIED'));
      index.event(ID, refused(6, 50, 'HOOP_APPROVAL_DENIED'));
      const touches = ['public.customers'];
      const all = [
        { statement: 6, effect: 'refuse', code: 'HOOP_APPROVAL_DENIED', touches: [], timeMs: now },
        {
          statement: 4,
          effect: 'refuse',
          code: 'HOOP_APPROVAL_DENIED',
          touches: ['public.orders'],
          timeMs: now,
        },
        { statement: 3, effect: 'approve', code: undefined, touches, timeMs: now },
        // Asked for then, and refused a minute later.
        {
          statement: 1,
          effect: 'refuse',
          code: 'HOOP_APPROVAL_DENIED',
          touches,
          timeMs: begun,
        },
      ];
      expect(await listed()).toEqual(all);
      expect(await listed({}, 1)).toEqual(all);
      expect((await index.find(ID))?.summary.statements).toBe(all.length);
      expect((await listed({ denied: true })).map(({ statement }) => statement)).toEqual([6, 4, 1]);
      expect((await listed({ touches: 'public.orders' })).map(({ code }) => code)).toEqual([
        'HOOP_APPROVAL_DENIED',
      ]);
    });

    test('finds who was shown a column in clear, who only used or wrote it, and who was refused it', async () => {
      const column = 'public.customers.email';
      const none = {
        asked: [],
        clear: [],
        looked: [],
        unknown: [],
        used: [],
        written: [],
        writes: [],
      };
      await start();
      const tell = (statement: number, facts: object, bytes: number) => {
        index.event(ID, { type: 'facts', stream: 1, facts: statement, ...none, ...facts });
        const told = { ...decision(statement), columnsMasked: [], facts: statement };
        index.event(ID, 'asked' in facts ? { ...told, effect: 'refuse' } : told);
        if (!('asked' in facts)) index.event(ID, { ...result(statement), bytes });
      };
      tell(1, { clear: [column] }, 50);
      tell(2, { clear: [column] }, 0);
      tell(3, { used: [column] }, 50);
      tell(4, { written: ['public.customers.*'] }, 0);
      tell(5, { asked: [column] }, 0);
      tell(6, { clear: ['public.customers.name'] }, 50);
      const numbers = async (scope: Partial<SearchScope>) =>
        (await listed(scope)).map(({ statement }) => statement);
      expect(await numbers({ touches: column })).toEqual([5, 4, 3, 2, 1]);
      expect(await numbers({ touches: column, seenClear: true })).toEqual([1]);
      expect(await numbers({ touches: column, denied: true })).toEqual([5]);
      expect(await numbers({ touches: 'public.customers.phone', seenClear: true })).toEqual([]);
      expect(await numbers({ touches: column, sinceMs: now + 1 })).toEqual([]);
    });

    test('takes no more rows at a time, however many lists of columns somebody makes', async () => {
      const column = 'public.customers.email';
      const none = { asked: [], looked: [], unknown: [], used: [], written: [], writes: [] };
      await start();
      for (let statement = 1; statement <= 4500; statement += 1) {
        // Two of three of the column, and each of them a list that no other has.
        const clear = [`public.customers.c${statement}`, ...(statement % 3 === 0 ? [] : [column])];
        const facts = statement % 256;
        index.event(ID, { type: 'facts', stream: 1, facts, ...none, clear });
        index.event(ID, { ...decision(statement), columnsMasked: [], facts });
        index.event(ID, { ...result(statement), bytes: 50 });
      }
      await index.flush();
      const lots: number[] = [];
      const counting: Store = {
        ...{ isShared: store.isShared, transaction: (work) => store.transaction(work) },
        all: async (asked, values) => {
          const found = await store.all(asked, values);
          lots.push(found.length);
          return found;
        },
        get: (asked, values) => store.get(asked, values),
        change: (asked, values) => store.change(asked, values),
        checkWritable: () => store.checkWritable(),
        [Symbol.asyncDispose]: async () => undefined,
      };
      const search = new SearchIndex(counting);
      const scope = { ...SCOPE, touches: column };
      const [of] = await search.sessions(scope, undefined, 50);
      const found: FoundStatement[] = [];
      do {
        const page = await search.statements(of?.number ?? 0, scope, found.at(-1), 1000);
        found.push(...page);
      } while (found.length < 3000);
      expect(found.map(({ statement }) => statement)).toEqual(
        Array.from({ length: 4500 }, (_, at) => 4500 - at).filter((at) => at % 3 !== 0),
      );
      expect(Math.max(...lots)).toBe(1000);
    });

    test('counts what cannot be told, so that nothing found is not taken for proof', async () => {
      const column = 'public.customers.email';
      const none = { ...{ asked: [], clear: [], looked: [], unknown: [] } };
      const nothing = { ...none, used: [], written: [], writes: [] };
      await start();
      const tell = (
        statement: number,
        facts: object,
        bytes: number | undefined,
        refuse = false,
      ) => {
        const all = { ...nothing, ...facts };
        const at = statement * 10;
        index.event(ID, { type: 'facts', stream: 1, facts: statement, ...all });
        const effect = refuse ? ('refuse' as const) : ('allow' as const);
        index.event(ID, {
          ...decision(statement),
          at,
          columnsMasked: [],
          facts: statement,
          effect,
        });
        if (bytes !== undefined) index.event(ID, { ...result(statement), at, bytes, detected: {} });
      };
      const everything = ['returned', 'used', 'written'];
      tell(1, { clear: [column], looked: ['card'] }, 50);
      tell(2, { unknown: everything, looked: ['card'] }, 0);
      tell(3, { unknown: ['used', 'written'], looked: ['card'] }, 0);
      tell(4, { clear: [column] }, 50);
      tell(5, { clear: [column], looked: ['card'] }, undefined);
      tell(6, { unknown: ['asked'] }, undefined, true);
      await index.flush();
      const search = new SearchIndex(store);
      const unknown = (scope: Partial<SearchScope>) => search.unknown({ ...SCOPE, ...scope });
      expect(await unknown({})).toBeUndefined();
      expect(await unknown({ touches: 'public.other.x' })).toBe(2);
      expect(await unknown({ touches: 'public.other.x', seenClear: true })).toBe(1);
      expect(await unknown({ touches: 'public.other.x', denied: true })).toBe(1);
      expect(await unknown({ detected: 'card' })).toBe(2);
      expect(await unknown({ detected: 'iban' })).toBe(3);
      expect(await unknown({ touches: column, sinceMs: now + 1 })).toBe(0);
      expect(await unknown({ touches: column, user: 'nobody' })).toBe(0);
      const crash = { endedMs: now, message: undefined, upBytes: 1, downBytes: 1 };
      await index.end(ID, { ...crash, reason: 'gateway_crash' });
      // What it was showing when the gateway was killed.
      expect(await unknown({ touches: column, seenClear: true })).toBe(2);
      expect(await unknown({ touches: 'public.other.x', seenClear: true })).toBe(1);
    });

    test('finds what returned values of a class, in clear or taken out', async () => {
      await start();
      const told = { ...decision(1), columnsMasked: [] };
      index.event(ID, told);
      index.event(ID, { ...result(1), bytes: 9, detected: { card: 2 }, seen: {} });
      index.event(ID, { ...told, statement: 2 });
      index.event(ID, { ...result(2), bytes: 9, detected: {}, seen: { card: 1, email: 1 } });
      const numbers = async (scope: Partial<SearchScope>) =>
        (await listed(scope)).map(({ statement }) => statement);
      expect(await numbers({ detected: 'card' })).toEqual([2, 1]);
      expect(await numbers({ detected: 'card', seenClear: true })).toEqual([2]);
      expect(await numbers({ detected: 'iban' })).toEqual([]);
    });

    test('finds what returned a class by when it did, also where no time of it was written', async () => {
      await start();
      const begun = now;
      const found = (at: number, seen: Record<string, number>) =>
        index.event(ID, { ...result(1), at, bytes: 9, detected: {}, seen });
      index.event(ID, decision(1));
      found(10, { card: 1 });
      await index.flush();
      const times = 'SELECT time_ms, last_ms, session IS NULL AS old FROM statement_classes';
      expect(await rows(times)).toMatchObject([{ time_ms: begun, last_ms: null }]);
      // Prepared, and executed by later messages: two in one batch, and one without a card.
      now += 3_600_000;
      const later = now;
      found(20, { card: 1 });
      found(30, { card: 2 });
      await index.flush();
      now += 3_600_000;
      found(40, {});
      await index.flush();
      expect(await rows(times)).toMatchObject([{ time_ms: begun, last_ms: later }]);
      const sessions = async (scope: Partial<SearchScope>) => (await listed(scope)).length;
      const card = { detected: 'card', seenClear: true };
      const ask = async () => [
        await sessions({ ...card, sinceMs: begun - 1, untilMs: begun + 1 }),
        await sessions({ ...card, sinceMs: later }),
        await sessions({ ...card, untilMs: begun - 1 }),
        await sessions({ ...card, sinceMs: later + 1 }),
      ];
      expect(await ask()).toEqual([1, 1, 0, 0]);
      // Of a gateway of the version before: by the times of the statement, which ran once more.
      await rows('UPDATE statement_classes SET session = NULL, time_ms = NULL, last_ms = NULL');
      expect(await ask()).toEqual([1, 1, 0, 1]);
    });

    test('finds what was prepared before a time and ran after it', async () => {
      await start();
      index.event(ID, decision(1));
      await index.flush();
      now += 3_600_000;
      const sinceMs = now - 1000;
      expect(await listed({ sinceMs })).toEqual([]);
      index.event(ID, { ...result(1), at: 99 });
      expect(await listed({ sinceMs, touches: 'public.customers' })).toHaveLength(1);
    });

    test('knows which request a statement waited for, also one that was prepared before', async () => {
      await start();
      const held = {
        type: 'approval.held',
        ...{ stream: 1, request: 'R1', needs: [], waits: true },
        ...{ waitsUntilMs: 0, binding: '', policyCommit: '' },
      } as const;
      index.event(ID, { ...decision(1), effect: 'approve', at: 10 });
      index.event(ID, { ...held, at: 10 });
      index.event(ID, { ...decision(2), at: 20 });
      await index.flush();
      index.event(ID, { ...held, at: 30, request: 'R2' });
      index.event(ID, { ...result(2), at: 30 });
      index.event(ID, { ...decision(3), at: 40 });
      index.event(ID, { ...result(3), at: 40 });
      await index.flush();
      expect(await rows('SELECT statement, approval FROM statements ORDER BY 1')).toEqual([
        { statement: 1, approval: 'R1' },
        { statement: 2, approval: 'R2' },
        { statement: 3, approval: null },
      ]);
    });

    test('lists and counts a statement whose result was withheld once, however late its end comes', async () => {
      await start();
      // All of one batch; then the end in a batch of its own.
      for (const [first, flush] of [
        [1, () => undefined],
        [3, () => index.flush()],
      ] as const) {
        index.event(ID, { ...decision(first), at: first });
        flush();
        index.event(ID, refused(first + 1, first, 'HOOP_RESULT_MISMATCH'));
        flush();
        index.event(ID, result(first));
      }
      expect(await listed()).toMatchObject([
        { statement: 3, effect: 'refuse', code: 'HOOP_RESULT_MISMATCH' },
        { statement: 1, effect: 'refuse', code: 'HOOP_RESULT_MISMATCH' },
      ]);
      expect((await index.find(ID))?.summary).toMatchObject({ statements: 2, denied: 2 });
    });

    test('lists acts on a server one by one: each is decided once', async () => {
      await start(ID, ENGINEER, 'web-1', 'ssh');
      index.event(ID, decision(1));
      index.event(ID, refused(2, 10, 'HOOP_APPROVAL_DENIED'));
      expect((await listed()).map(({ statement }) => statement)).toEqual([2, 1]);
      expect((await index.find(ID))?.summary.statements).toBe(2);
    });
  });

  test('what was done on a server is counted by kind', async () => {
    await start();
    const act = (statement: number, verb: string) =>
      index.event(ID, { ...decision(statement), verbs: [verb] });
    for (const [at, verb] of ['exec', 'exec', 'shell', 'sftp read'].entries()) {
      act(at + 1, verb);
    }
    await index.flush();
    expect(await index.acts(ID)).toEqual({ exec: 2, shell: 1, 'sftp read': 1 });
    expect(await index.acts(OTHER_ID)).toBeUndefined();
  });

  describe('a statement that touches 20,000 tables', () => {
    const relations = Array.from({ length: 20_000 }, (_, at) => `public.t${at}`);

    test('is written in lots between which others have their turn, and is found when it is whole', async () => {
      await start();
      index.event(ID, { ...decision(1), relations });
      index.event(ID, decision(2));
      const lots: number[] = [];
      for (let written = 0; (await count('statements')) < 2; ) {
        await new Promise((resolve) => setImmediate(resolve));
        const now = await count('touched_facts');
        if (now > written) lots.push(now - written);
        written = now;
        if (now < 20_003) expect(await count('statements')).toBe(0);
      }
      expect(lots.length).toBeGreaterThan(8);
      expect(Math.max(...lots)).toBeLessThanOrEqual(4000);
      expect(await count('touched_facts')).toBe(20_003 + 4);
      index.event(ID, { ...decision(3), relations });
      await index.flush();
      expect(await count('touched')).toBe(2);
    });

    test('is whole at once for whoever asks for all, and after a gateway that was killed amid it', async () => {
      await start();
      await store.change(sql("INSERT INTO touched (digest) VALUES ('~unfinished')"));
      await store.change(
        sql("INSERT INTO touched_facts SELECT 'relation', 'public.lost', id, NULL FROM touched"),
      );
      index.event(ID, { ...decision(1), relations });
      await index.flush();
      expect([
        await count('statements'),
        await count('touched'),
        await count('touched_facts'),
      ]).toEqual([1, 1, 20_003]);
      expect(faults).toEqual([]);
    });
  });

  test('what a statement touched can be searched by relation, mask and class', async () => {
    await start();
    index.event(ID, decision(1));
    index.event(ID, result(1));
    index.event(ID, result(1, 4));
    await index.flush();
    expect(
      await rows(
        `SELECT kind, name, extra FROM touched_facts
         JOIN statements USING (touched) ORDER BY kind`,
      ),
    ).toEqual([
      { kind: 'masked', name: 'public.customers.email', extra: null },
      { kind: 'relation', name: 'public.customers', extra: null },
      { kind: 'rule', name: 'engineers/read', extra: 'policies/e.yaml:7' },
      { kind: 'verb', name: 'select', extra: null },
    ]);
    expect(await rows('SELECT class, count FROM statement_classes')).toEqual([
      { class: 'card', count: 2 },
    ]);
    const [row] = await rows('SELECT rows, masked_values, tag FROM statements');
    expect(row).toEqual({ rows: 7, masked_values: 4, tag: 'SELECT 3' });
  });

  test('of a prompt the index has the id alone', async () => {
    await start();
    index.event(ID, { ...decision(1), prompt: 'p1' });
    index.event(ID, decision(2));
    await index.flush();
    const prompts = await rows('SELECT prompt FROM statements ORDER BY statement');
    expect(prompts.map((row) => row['prompt'])).toEqual(['p1', null]);
  });

  test('of a session it is known in which columns values were masked in what it returned', async () => {
    await start();
    index.event(ID, decision(1));
    index.event(ID, decision(2, 'refuse'));
    await index.flush();
    expect(await index.columnsMasked(ID), 'nothing has come back yet').toEqual([]);
    index.event(ID, result(1));
    await index.flush();
    expect(await index.columnsMasked(ID)).toEqual(decision(1).columnsMasked);
  });

  test('a result that comes in a later batch than its decision is added to its row', async () => {
    await start();
    index.event(ID, decision(1));
    index.event(ID, decision(2));
    await index.flush();
    index.event(ID, result(2));
    index.event(ID, result(1, 5));
    await index.flush();
    expect(await rows('SELECT statement, rows FROM statements ORDER BY statement')).toEqual([
      { statement: 1, rows: 5 },
      { statement: 2, rows: 3 },
    ]);
    expect(await count('touched')).toBe(1);
    expect((await index.find(ID))?.summary).toMatchObject({ statements: 2, maskedValues: 4 });
  });

  test('values that were looked up add up in the session; without any nothing is said', async () => {
    await start();
    expect((await index.find(ID))?.summary).not.toHaveProperty('lookups');
    const event = { type: 'lookups', stream: 1, at: 0, statement: undefined } as const;
    index.event(ID, { ...event, candidates: 1, left: 99 });
    index.event(ID, { ...event, candidates: 3, left: 96 });
    expect((await index.find(ID))?.summary).toMatchObject({ lookups: 4 });
  });

  test('an end does not overwrite an end', async () => {
    await start();
    const end = { endedMs: now, message: undefined, upBytes: 0, downBytes: 0 };
    await index.end(ID, { ...end, reason: 'revoked' });
    await index.end(ID, { ...end, reason: 'gateway_crash' });
    expect((await index.find(ID))?.summary.endReason).toBe('revoked');
  });

  test('a disputed session stays disputed when its manifest comes', async () => {
    await start();
    const end = { endedMs: now, message: undefined, upBytes: 0, downBytes: 0 };
    await index.end(ID, { ...end, reason: 'disputed' });
    expect(await index.withoutManifest(0)).toEqual([ID]);
    await index.uploaded(ID, { sha256: 'aa', lostBytes: 0 });
    expect((await index.find(ID))?.summary.state).toBe('disputed');
    expect(await index.withoutManifest(0)).toEqual([]);
  });

  test('a session without a manifest is overdue only after its time', async () => {
    await start();
    expect(await index.live()).toEqual([ID]);
    await index.end(ID, {
      endedMs: now,
      reason: 'client_lost',
      message: undefined,
      upBytes: 0,
      downBytes: 0,
    });
    expect(await index.live()).toEqual([]);
    expect(await index.withoutManifest(now - 1)).toEqual([]);
    expect(await index.withoutManifest(now + 1)).toEqual([ID]);
    await index.uploaded(ID, { sha256: 'aa', lostBytes: 0 });
    expect((await index.find(ID))?.summary.state).toBe('uploaded');
    expect((await index.find(ID))?.summary).not.toHaveProperty('lostBytes');
    expect(await index.withoutManifest(now + 1)).toEqual([]);
  });

  test.each(['uploaded', 'signedAlone'] as const)(
    'what its manifest says that was lost is in a summary once it is %s',
    async (signed) => {
      await start();
      const end = { endedMs: now, message: undefined, upBytes: 0, downBytes: 0 };
      await index.end(ID, { ...end, reason: 'gateway_crash' });
      await index[signed](ID, { sha256: 'aa', lostBytes: 57 });
      expect((await index.find(ID))?.summary.lostBytes).toBe(57);
    },
  );

  test('a list is filtered by owner and target, newest first', async () => {
    await start();
    now += 1000;
    await start(OTHER_ID, AUDITOR, 'other-db');
    const ids = (query: Partial<Parameters<SessionIndex['list']>[0]>) =>
      index
        .list({ owner: undefined, target: undefined, limit: 10, ...query })
        .then((found) => found.map(({ summary }) => summary.id));
    expect(await ids({})).toEqual([OTHER_ID, ID]);
    expect(await ids({ owner: ENGINEER })).toEqual([ID]);
    expect(await ids({ target: 'other-db' })).toEqual([OTHER_ID]);
    expect(await ids({ limit: 1 })).toEqual([OTHER_ID]);
    expect(await ids({ owner: ENGINEER, target: "x' OR 1=1 --" })).toEqual([]);
  });

  test('what was written survives closing and opening', async () => {
    await start();
    index.event(ID, decision(1));
    await index.flush();
    await stores.close();
    await open();
    expect((await index.find(ID))?.summary.statements).toBe(1);
    await store.checkWritable();
  });

  describe('a session of somebody else', () => {
    const ACCESS = ['own', 'read', 'end', 'show'] as const;
    const COLLEAGUE: Principal = { ...ENGINEER, sub: 'u4', name: 'colleague' };
    /** @param decides whose open requests this person may decide about. */
    const rights = async (principal: Principal, decides: readonly string[] = [], run?: string) => {
      const who = { principal, ...(run === undefined ? {} : { run: { id: run, depth: 1 } }) };
      const entries: [string, unknown][] = [];
      for (const access of ACCESS) {
        const asked = requireSession(
          { index, decides: async () => new Set(decides) },
          who,
          ID,
          access,
        );
        entries.push([
          access,
          await asked.then(
            () => true,
            (error: unknown) => (error instanceof HoopError ? error.code : error),
          ),
        ]);
      }
      return Object.fromEntries(entries);
    };
    const NOTHING = Object.fromEntries(ACCESS.map((access) => [access, 'HOOP_SESSION_UNKNOWN']));

    beforeEach(() => start());

    test('does not exist, nor for the same subject at another issuer', async () => {
      expect(await rights(ENGINEER)).toEqual({ own: true, read: true, end: true, show: true });
      expect(await rights(COLLEAGUE)).toEqual(NOTHING);
      expect(await rights({ ...ENGINEER, issuer: 'https://evil.test' })).toEqual(NOTHING);
    });

    test('auditors read', async () => {
      expect(await rights(AUDITOR)).toEqual({
        ...NOTHING,
        read: true,
        show: true,
        // They know of it: to be told that there is none would send them looking.
        end: 'HOOP_ACCESS_DENIED',
      });
    });

    test('approvers end, and see while it is live; its recording is not for them', async () => {
      const live = { ...NOTHING, end: true, show: true, read: 'HOOP_ACCESS_DENIED' };
      expect(await rights(APPROVER)).toEqual(live);
      await index.end(ID, {
        endedMs: now,
        reason: 'closed',
        message: 'm',
        upBytes: 0,
        downBytes: 0,
      });
      expect(await rights(APPROVER)).toEqual(NOTHING);
    });

    test('does not exist for a run that has not opened it, whoever started the run', async () => {
      expect(await rights(ENGINEER, [ID], 'another')).toEqual(NOTHING);
      expect(await rights(AUDITOR, [ID], 'another')).toEqual(NOTHING);
    });

    test('who may decide about a request of it sees, and does nothing else', async () => {
      const denied = 'HOOP_ACCESS_DENIED';
      const seen = { ...NOTHING, show: true, read: denied, end: denied };
      expect(await rights(COLLEAGUE, [ID])).toEqual(seen);
      expect(await rights(COLLEAGUE, [OTHER_ID])).toEqual(NOTHING);
    });
  });
});

describe('an index in SQLite', () => {
  let directory: string;
  let opened: IndexStore;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hoop-index-'));
    now = Date.UTC(2026, 0, 1);
    faults = [];
    opened = IndexStore.open(join(directory, 'index.sqlite'));
    store = opened.store;
    index = new SessionIndex(
      store,
      { id: 'node', term: 1 },
      () => now,
      (error) => faults.push(error),
      (kind) => kind === 'ssh',
      NO_EVENTS,
    );
  });
  afterEach(async () => {
    opened[Symbol.dispose]();
    await rm(directory, { recursive: true });
  });

  describe('when the database is full', () => {
    /** No page can be added from here on; rows that exist can still be changed in place. */
    function fill(): void {
      const row = opened.database.prepare('PRAGMA page_count').get();
      opened.database.exec(`PRAGMA max_page_count = ${Number(row?.['page_count'])}`);
    }

    function statements(): void {
      for (let number = 1; number <= 400; number += 1) {
        index.event(ID, decision(number, 'allow', `public.t${number}`));
      }
    }

    const end = {
      endedMs: 0,
      reason: 'closed',
      message: undefined,
      upBytes: 1,
      downBytes: 2,
    } as const;

    test('a session whose statements cannot be written ends all the same, and can be looked up', async () => {
      await start();
      fill();
      statements();
      await index.end(ID, { ...end, endedMs: now });
      expect(faults).toHaveLength(1);
      expect((await index.find(ID))?.summary).toMatchObject({
        state: 'ended',
        endReason: 'closed',
      });
      statements();
      expect(
        await index.list({ owner: undefined, target: undefined, live: false, limit: 1 }),
      ).toHaveLength(1);
      // They wait, and each look at the index has tried to write them.
      expect(faults).toHaveLength(3);
      opened.database.exec('PRAGMA max_page_count = 1000000');
      await index.flush();
      const [row] = opened.database.prepare('SELECT count(*) AS n FROM statements').all();
      expect(row).toEqual({ n: 400 });
    });

    test('an end that cannot be written is written later', async () => {
      await start();
      opened.database.exec('PRAGMA query_only = ON');
      await expect(index.end(ID, { ...end, endedMs: now })).rejects.toThrow();
      expect((await index.find(ID))?.summary.state).toBe('live');
      opened.database.exec('PRAGMA query_only = OFF');
      expect((await index.find(ID))?.summary).toMatchObject({ state: 'ended', upBytes: 1 });
    });
  });

  test('a combination whose row was rolled back is written again', async () => {
    await start();
    index.event(ID, decision(1));
    opened.database.exec('PRAGMA query_only = ON');
    await expect(index.flush()).rejects.toThrow();
    opened.database.exec('PRAGMA query_only = OFF');
    index.event(ID, decision(2));
    await index.flush();
    expect(await count('touched')).toBe(1);
  });

  test('a second gateway cannot open the same index', async () => {
    expect(() => IndexStore.open(join(directory, 'index.sqlite'), 10)).toThrow(
      expect.objectContaining({ detail: 'Another gateway uses this data directory.' }),
    );
  });

  test('an index of a newer version is refused', async () => {
    opened.database.exec('PRAGMA user_version = 99');
    opened[Symbol.dispose]();
    expect(() => IndexStore.open(join(directory, 'index.sqlite'))).toThrow(/newer hoop/);
    // afterEach closes it: give it one that is open.
    opened = IndexStore.open(join(directory, 'second.sqlite'));
  });
});
