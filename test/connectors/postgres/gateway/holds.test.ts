/** Statements that wait for approval: real policy, catalog, store and server; raw protocol. */
import { connect } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { StatementPart } from '../../../../src/api/approvals.ts';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { encodeCancelRequest } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import type { ApprovalRecord } from '../../../../src/gateway/approvals/approval-record.ts';
import { reconsiderStatements } from '../../../../src/gateway/approvals/policy-standing.ts';
import { DayBudget } from '../../../../src/gateway/index/day-budget.ts';
import type { ApprovalTerms, Grant } from '../../../../src/policy/types.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import {
  ada,
  approvalBench,
  erin,
  grantOfCommit,
  held,
  inForce,
  noticeOf,
  readyAgain,
  requestIn,
} from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
import {
  bind,
  describePortal,
  errors,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('SELECT 1');
const bench = approvalBench(target);

/** Of the catalog: each time that something is decided again. */
let readings = 0;
const source = (): CatalogSource => bench.engine.parts().catalog;
const catalog: CatalogSource = {
  current: () => source().current(),
  refresh: () => {
    readings += 1;
    return source().refresh();
  },
  lookAnew: () => source().lookAnew(),
  seenBy: async (...how) => await source().seenBy?.(...how),
};

beforeEach(async () => {
  bench.index().database.exec('DELETE FROM approvals');
  await sql('DROP TABLE IF EXISTS t; CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2), (3)');
});

function grantWith(terms: Partial<ApprovalTerms> = {}): Grant {
  return grantOfCommit(
    ['allow select, insert, create table, drop table on public.*', 'approve delete'],
    terms,
  );
}

function session(grant: () => Grant): Promise<Bench> {
  const { log } = collectLog();
  const lookups = new DayBudget('lookups', { store: bench.index().store, clock: Date.now, log });
  return bench.open(grant, { catalog, lookups });
}

const holding = (terms: Partial<ApprovalTerms> = {}): Promise<Bench> => {
  const grant = grantWith(terms);
  return session(() => grant);
};

async function approve(id: string): Promise<ApprovalRecord> {
  return await bench.approvals().decide(ada, id, { decision: 'approve' });
}

async function stateOf(id: string): Promise<string> {
  return (await bench.approvals().visible(erin, id)).state;
}

/** What came with the login is set aside. */
const greetings = new WeakMap<RawClient, readonly Received[]>();

async function open(started: Bench): Promise<RawClient> {
  const client = await RawClient.open(started.port);
  greetings.set(client, client.received.splice(0));
  return client;
}

const letters = (received: readonly Received[]): string =>
  received.flatMap(({ type }) => (type === 'S' || type === 'A' ? [] : [type])).join(' ');

function steps(started: Bench): string[] {
  return started.events.flatMap((event) => {
    switch (event.type) {
      case 'decision':
        return [`${event.effect}${event.code === undefined ? '' : ` ${event.code}`}`];
      case 'approval.held':
        return ['held'];
      case 'approval.vote':
        return [`${event.decision} by ${event.by.sub}`];
      case 'approval.end':
        return [event.outcome];
      case 'result':
        return [event.tag ?? 'no result'];
      default:
        return [];
    }
  });
}

test('a held Query tells who can approve and how, runs once approved, and what follows it waits', async () => {
  await using started = await holding();
  await using client = await open(started);
  client.socket.write(query('DELETE FROM t WHERE id = 1'));
  client.socket.write(query('SELECT count(*) FROM t'));
  const id = await held(client);
  const notice = noticeOf(client);
  expect(notice).toMatchObject({
    S: 'NOTICE',
    M: `DELETE on public.t is held for approval, request ${id}`,
    H: `An approver decides: hoop approvals approve ${id}. A cancel withdraws it.`,
    R: 'HOOP_APPROVAL_PENDING',
  });
  expect(notice['D']).toContain('p/rule-2 (policies/p.yaml:11) of policy commit-');
  expect(notice['D']).toContain('by one person of the group leads');
  // In this index nobody has ever logged in.
  expect(notice['D']).toContain(
    '. Nobody else in leads has logged in to this gateway yet. It waits until ',
  );
  expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  expect(letters(client.received)).toBe('N');
  expect(StatementPart.parse(await bench.approvals().details(id))).toMatchObject({
    text: 'DELETE FROM t WHERE id = 1',
    verbs: ['delete'],
    relations: ['public.t'],
    inTransaction: false,
    waits: true,
  });
  // What whoever decides is shown is in the recording, too.
  const { view } = StatementPart.parse(await bench.approvals().details(id));
  expect(started.events.find(({ type }) => type === 'approval.held')).toMatchObject({ view });
  expect(view).toMatchObject([
    {},
    { type: 'code', language: 'sql', text: 'DELETE FROM t WHERE id = 1' },
    { type: 'fields', fields: [{ name: 'touches', value: 'delete on public.t' }, {}] },
  ]);
  await approve(id);
  await client.until(readyAgain(2));
  expect(letters(client.received)).toBe('N C Z T D C Z');
  expect(rows(client.received)).toEqual([['2']]);
  expect(await stateOf(id)).toBe('used');
  expect(steps(started).filter((step) => step !== 'allow')).toEqual([
    'approve',
    'held',
    'approve by ada',
    'released',
    'DELETE 1',
    'SELECT 1',
  ]);
  expect(started.evidence.map(({ type }) => type)).toEqual(['held', 'decided']);
});

test('a denial looks native, names who and why, without anything that moves a terminal', async () => {
  await using started = await holding();
  await using client = await open(started);
  client.socket.write(query('DELETE FROM t'));
  const id = await held(client);
  await bench
    .approvals()
    .decide(ada, id, { decision: 'deny', reason: 'no WHERE\u001b[2J\nin production' });
  await client.until(readyAgain(1));
  expect(letters(client.received)).toBe('N E Z');
  expect(errors(client.received)[0]).toMatchObject({
    S: 'ERROR',
    C: '42501',
    M: 'DELETE on public.t was not approved',
    D: `ada@example.org denied request ${id}: no WHERE [2J in production.`,
    R: 'HOOP_APPROVAL_DENIED',
  });
  expect(rows(await client.ask([query('SELECT count(*) FROM t')]))).toEqual([['3']]);
  expect(steps(started).slice(0, 5)).toEqual([
    'approve',
    'held',
    'deny by ada',
    'denied',
    'refuse HOOP_APPROVAL_DENIED',
  ]);
});

test('what is held looks nothing up before it is released, and nothing at all when it is denied', async () => {
  const masked = grantOf({
    rules: ['allow select', 'approve delete'],
    masks: ['public.t.id full lookup'],
    inference: 'deny',
  });
  const used = () =>
    Number(bench.index().database.prepare('SELECT sum(used) AS n FROM lookups').get()?.['n'] ?? 0);
  await using started = await session(() => masked);
  await using client = await open(started);
  const before = used();
  client.socket.write(query('DELETE FROM t WHERE id = 1'));
  const denied = await held(client);
  expect(used()).toBe(before);
  await bench.approvals().decide(ada, denied, { decision: 'deny', reason: 'no' });
  await client.until(readyAgain(1));
  expect(used()).toBe(before);
  client.received.splice(0);
  client.socket.write(
    Buffer.concat([parse('DELETE FROM t WHERE id = $1'), bind({ values: ['2'] }), execute(), sync]),
  );
  await approve(await held(client));
  await client.until(readyAgain(1));
  expect(letters(client.received)).toBe('1 2 N C Z');
  expect(used()).toBe(before + 1);
  expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['1'], ['3']]);
});

test('several statements in one Query are held as a whole, before any of them runs', async () => {
  await using started = await holding();
  await using client = await open(started);
  client.socket.write(query('INSERT INTO t VALUES (4); DELETE FROM t; SELECT count(*) FROM t'));
  const id = await held(client);
  expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  await approve(id);
  await client.until(readyAgain(1));
  expect(letters(client.received)).toBe('N C C T D C Z');
  expect(rows(client.received)).toEqual([['0']]);
});

describe('in the extended protocol', () => {
  const messages = [
    parse('DELETE FROM t WHERE id = $1'),
    bind({ values: ['2'] }),
    describePortal(),
    execute(),
    sync,
  ];

  test('it waits at Execute, after the answers to what came before, and holds no lock', async () => {
    await using started = await holding();
    await using client = await open(started);
    client.socket.write(Buffer.concat([...messages, query('SELECT count(*) FROM t')]));
    const id = await held(client);
    await client.until((received) => letters(received) === '1 2 n N');
    expect(StatementPart.parse(await bench.approvals().details(id)).parameters).toEqual([
      { format: 'text', value: '2', typeOid: 0 },
    ]);
    // The lock that Parse took would stop this; it does not wait, or the test would not end.
    await sql("SET lock_timeout = '5s'; ALTER TABLE t ADD COLUMN IF NOT EXISTS note text");
    await sql('ALTER TABLE t DROP COLUMN note');
    await approve(id);
    await client.until(readyAgain(2));
    expect(letters(client.received)).toBe('1 2 n N C Z T D C Z');
    expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['1'], ['3']]);
  });

  test('after a denial the rest up to Sync is skipped, and the next pipeline runs', async () => {
    await using started = await holding();
    await using client = await open(started);
    client.socket.write(
      Buffer.concat([
        ...messages.slice(0, -1),
        parse('SELECT 1'),
        bind(),
        execute(),
        sync,
        parse('SELECT 7'),
        bind(),
        execute(),
        sync,
      ]),
    );
    const id = await held(client);
    await bench.approvals().decide(ada, id, { decision: 'deny', reason: 'no' });
    await client.until(readyAgain(2));
    expect(letters(client.received)).toBe('1 2 n N E Z 1 2 D C Z');
    expect(rows(client.received)).toEqual([['7']]);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });

  test('in a pipeline that has run something it waits in that transaction, no longer than maxHold', async () => {
    await using started = await holding({ maxHoldSeconds: 1 });
    await using client = await open(started);
    client.socket.write(
      Buffer.concat([parse('INSERT INTO t VALUES (9)'), bind(), execute(), ...messages]),
    );
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('1 2 C 1 2 n N E Z');
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_APPROVAL_EXPIRED', C: '42501' });
    // The INSERT of the same pipeline is undone, as after any error.
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });

  test('a portal that is read in parts is approved once', async () => {
    const grant = grantOf({ rules: ['approve select on public.t'] });
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(
      Buffer.concat([parse('SELECT id FROM t'), bind(), execute('', 2), execute('', 2), sync]),
    );
    await approve(await held(client));
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('1 2 N D D s D C Z');
  });
});

describe('inside an open transaction', () => {
  test('it may wait maxHold and no longer; then the transaction has failed as after any error', async () => {
    await using started = await holding({ maxHoldSeconds: 1 });
    await using client = await open(started);
    await client.ask([query('BEGIN')]);
    client.socket.write(query('DELETE FROM t'));
    const answers = await client.ask([]);
    expect(letters(answers)).toBe('N E Z');
    expect(errors(answers)[0]?.['D']).toContain('inside an open transaction');
    expect(status(answers)).toBe('E');
    // Nothing is asked for what the server would refuse.
    const again = await client.ask([query('DELETE FROM t')]);
    expect(errors(again)[0]).toMatchObject({ C: '25P02' });
    expect(status(await client.ask([query('ROLLBACK')]))).toBe('I');
  });
});

describe('withdrawn, and never seen by the target:', () => {
  function cancelKey(client: RawClient): Uint8Array {
    const body = greetings.get(client)?.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
    return encodeCancelRequest({
      processId: body.readInt32BE(0),
      secretKey: Uint8Array.from(body.subarray(4)),
    });
  }

  test('a cancel', async () => {
    await using started = await holding();
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    connect(started.port, '127.0.0.1').end(cancelKey(client));
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({
      C: '57014',
      M: 'canceling statement due to user request',
    });
    expect(await stateOf(id)).toBe('withdrawn');
    await expect(approve(id)).rejects.toThrow('no longer waiting');
    expect(rows(await client.ask([query('SELECT count(*) FROM t')]))).toEqual([['3']]);
    expect(steps(started)).toContain('withdrawn');
  });

  test.each(['end', 'destroy'] as const)('the client leaves (%s)', async (how) => {
    await using started = await holding();
    const client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    if (how === 'end') client.socket.end(query('SELECT 1'));
    else client.socket.destroy();
    await started.idle();
    expect(await stateOf(id)).toBe('withdrawn');
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
    expect(steps(started)).toEqual(['approve', 'held', 'withdrawn']);
  });

  test('the session ends', async () => {
    await using started = await holding();
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    started.session.abort(new Error('over'));
    await started.idle();
    expect(await bench.approvals().visible(erin, id)).toMatchObject({
      state: 'withdrawn',
      outcome: 'the session ended',
    });
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });

  test('nobody answers in time', async () => {
    await using started = await holding({ timeoutSeconds: 1 });
    await using client = await open(started);
    const answers = await client.ask([query('DELETE FROM t')]);
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_APPROVAL_EXPIRED', C: '42501' });
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });
});

describe('decided again when it is released:', () => {
  test('a commit that says the same about it does not void it, and is named when it is released', async () => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    grant = grantWith();
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)).toEqual([]);
    expect(started.events.find(({ type }) => type === 'approval.end')).toMatchObject({
      outcome: 'released',
      policyCommit: grant.commit,
    });
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test.each([
    ['groups', { groups: ['dba', 'leads'] }],
    ['count', { count: 2 }],
    ['time', { timeoutSeconds: 7200 }],
  ])('other terms (%s) void it', async (_, terms) => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    grant = grantWith(terms);
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({
      R: 'HOOP_APPROVAL_VOID',
      D: `Request ${id}: the policy has changed.`,
    });
    expect(await stateOf(id)).toBe('void');
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });

  test('a mask that is gone voids what was to return masked values', async () => {
    const masked = grantOf({ rules: ['approve select'], masks: ['public.t.id full'] });
    const open_ = { ...grantOf({ rules: ['approve select'] }), commit: 'later', generation: 'g2' };
    let grant: Grant = { ...masked, commit: 'earlier', generation: 'g1' };
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('SELECT id FROM t'));
    const id = await held(client);
    grant = open_;
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_APPROVAL_VOID' });
    expect(rows(client.received)).toEqual([]);
  });

  test('what a policy denies by then is denied', async () => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    grant = { ...grantOf({ rules: ['allow select', 'deny delete'] }), commit: 'later' };
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    expect(await stateOf(id)).toBe('void');
  });

  test('another table of the same name voids it', async () => {
    await using started = await holding();
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    await sql('ALTER TABLE t RENAME TO old_t; CREATE TABLE t (id int); INSERT INTO t VALUES (5)');
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]?.['D']).toBe(
      `Request ${id}: the tables or functions that it names have changed since the approval.`,
    );
    expect(await sql('SELECT count(*) FROM t')).toEqual([['1']]);
    await sql('DROP TABLE old_t');
  });
});

describe('when a commit comes into force while it waits,', () => {
  /** As the gateway tells it: sessions have the new grant by then. */
  const tell = (grant: Grant): Promise<void> =>
    reconsiderStatements(
      bench.approvals(),
      inForce(() => grant),
    );

  test('that denies it, it is denied at once, whoever was about to decide', async () => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    grant = grantOfCommit(['allow select', 'deny delete']);
    await tell(grant);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    expect(await stateOf(id)).toBe('void');
  });

  test('that needs no approval any more, it is void at once and can be sent again', async () => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    grant = grantOfCommit(['allow select, delete']);
    await tell(grant);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({
      R: 'HOOP_APPROVAL_VOID',
      D: `Request ${id}: the policy has changed.`,
    });
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
    expect(letters(await client.ask([query('DELETE FROM t')]))).toContain('C');
  });

  test('with other rules beside, it is decided again and waits on, also in a second commit', async () => {
    let grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    for (const rule of ['deny truncate', 'deny drop']) {
      const before = readings;
      grant = {
        ...grantWith(),
        rules: [...grantWith().rules, ...grantOf({ rules: [rule] }).rules],
      };
      await tell(grant);
      await expect.poll(() => readings).toBeGreaterThan(before);
      expect(await stateOf(id)).toBe('waiting');
    }
    await approve(id);
    await client.until(readyAgain(1));
    expect(errors(client.received)).toEqual([]);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test('with other approvers, what the old ones have said counts no longer', async () => {
    let grant = grantWith({ count: 2 });
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    await approve(id);
    grant = grantWith({ groups: ['dba'], count: 1 });
    await tell(grant);
    await client.until(readyAgain(1));
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_APPROVAL_VOID' });
    expect(await stateOf(id)).toBe('void');
  });

  test('wait: no: what is given stays the same, and the approval does; else it is void', async () => {
    let grant = grantWith({ waits: false });
    await using started = await session(() => grant);
    await using client = await open(started);
    const id = requestIn(errors(await client.ask([query('DELETE FROM t')]))[0] ?? {});
    await approve(id);
    grant = grantWith({ waits: false });
    await tell(grant);
    expect(await stateOf(id)).toBe('approved');
    expect(errors(await client.ask([query('DELETE FROM t')]))).toEqual([]);
    expect(await stateOf(id)).toBe('used');
    const second = requestIn(errors(await client.ask([query('DELETE FROM t')]))[0] ?? {});
    await tell({ ...grant, rules: [...grant.rules, ...grantOf({ rules: ['deny drop'] }).rules] });
    expect(await stateOf(second)).toBe('void');
  });

  test('that knows people in another way, nothing waits on', async () => {
    const grant = grantWith();
    await using started = await session(() => grant);
    await using client = await open(started);
    client.socket.write(query('DELETE FROM t'));
    const id = await held(client);
    await reconsiderStatements(bench.approvals(), {
      grant: () => ({ grant }),
      identityProviders: () => ['another'],
    });
    await client.until(readyAgain(1));
    expect(await stateOf(id)).toBe('void');
  });
});

describe('what keeps its OID and does something else voids it:', () => {
  const grant = (): Grant =>
    grantOfCommit([
      'allow select, delete, set on public.*',
      'approve calls of public.clean',
      'approve delete',
    ]);
  const clean = (body: string): string =>
    `CREATE OR REPLACE FUNCTION clean() RETURNS int LANGUAGE sql AS '${body}; SELECT 1'`;
  const view = (where: string): string =>
    `CREATE OR REPLACE VIEW old AS SELECT id FROM t WHERE ${where}`;
  const drop = 'DROP VIEW IF EXISTS old; DROP FUNCTION IF EXISTS clean, fire CASCADE';

  test.each([
    ['a function', clean('DELETE FROM t WHERE id = 1'), 'SELECT clean()', clean('DELETE FROM t')],
    ['a view', view('id = 1'), 'DELETE FROM old', view('id > 0')],
    [
      'a table with a new trigger',
      "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
      'DELETE FROM t WHERE id = 1',
      'CREATE TRIGGER fire AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION fire()',
    ],
  ])('%s', async (_, before, statement, after) => {
    await sql(`${drop}; ${before}`);
    const current = grant();
    await using started = await session(() => current);
    await using client = await open(started);
    client.socket.write(query(statement));
    const id = await held(client);
    await sql(after);
    await approve(id);
    await client.until(readyAgain(1));
    const left = await sql('SELECT count(*) FROM t');
    await sql(drop);
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_APPROVAL_VOID' });
    expect(left).toEqual([['3']]);
  });

  test('code that looks names up elsewhere', async () => {
    const waiting = grant();
    const current: Grant = {
      ...waiting,
      rules: waiting.rules.map((rule) =>
        rule.approval === undefined
          ? rule
          : { ...rule, approval: { ...rule.approval, waits: false } },
      ),
    };
    await sql(`${drop}; ${clean('DELETE FROM t WHERE id = 1')};
      CREATE SCHEMA IF NOT EXISTS elsewhere`);
    await using started = await session(() => current);
    await using client = await open(started);
    const ask = (): Promise<readonly Received[]> => client.ask([query('SELECT public.clean()')]);
    const id = requestIn(errors(await ask())[0] ?? {});
    await approve(id);
    await client.ask([query('SET search_path = elsewhere, public')]);
    const other = errors(await ask())[0];
    await client.ask([query('RESET search_path')]);
    const same = letters(await ask());
    await sql(`DROP SCHEMA elsewhere; ${drop}`);
    expect(requestIn(other ?? {})).not.toBe(id);
    expect(same).toBe('T D C Z');
  });
});

describe('wait: no', () => {
  test('fails with the request, runs once when it is sent again after approval', async () => {
    await using started = await holding({ waits: false });
    await using client = await open(started);
    const first = await client.ask([query('DELETE FROM t WHERE id = 1')]);
    expect(letters(first)).toBe('E Z');
    expect(errors(first)[0]).toMatchObject({ C: '42501', R: 'HOOP_APPROVAL_PENDING' });
    const id = requestIn(errors(first)[0] ?? {});
    expect(errors(first)[0]?.['H']).toContain(`hoop approvals show ${id}`);
    const second = await client.ask([query('DELETE FROM t WHERE id = 1')]);
    expect(requestIn(errors(second)[0] ?? {})).toBe(id);
    await approve(id);
    // What was approved is this text; the approval lasts over the end of the connection.
    await using other = await open(started);
    expect(errors(await other.ask([query('DELETE FROM t WHERE id = 2')]))).toHaveLength(1);
    expect(letters(await other.ask([query('DELETE FROM t WHERE id = 1')]))).toBe('C Z');
    const third = await other.ask([query('DELETE FROM t WHERE id = 1')]);
    expect(errors(third)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    expect(requestIn(errors(third)[0] ?? {})).not.toBe(id);
    expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['2'], ['3']]);
  });

  test('an approval for one set of parameters is none for another', async () => {
    await using started = await holding({ waits: false });
    await using client = await open(started);
    const send = (value: string): Promise<readonly Received[]> =>
      client.ask([
        parse('DELETE FROM t WHERE id = $1'),
        bind({ values: [value] }),
        execute(),
        sync,
      ]);
    const id = requestIn(errors(await send('1'))[0] ?? {});
    await approve(id);
    const other = errors(await send('2'))[0];
    expect(other).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    expect(requestIn(other ?? {})).not.toBe(id);
    expect(letters(await send('1'))).toBe('1 2 C Z');
    expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['2'], ['3']]);
  });

  test('whoever was told no is not asked for again at once', async () => {
    await using started = await holding({ waits: false });
    await using client = await open(started);
    const first = await client.ask([query('DELETE FROM t')]);
    const id = requestIn(errors(first)[0] ?? {});
    await bench.approvals().decide(ada, id, { decision: 'deny', reason: 'add a WHERE' });
    const second = await client.ask([query('DELETE FROM t')]);
    expect(errors(second)[0]).toMatchObject({
      R: 'HOOP_APPROVAL_DENIED',
      D: `ada@example.org denied request ${id}: add a WHERE.`,
    });
  });
});

describe('prepared statements of SQL', () => {
  test('PREPARE is not held; EXECUTE is, each time, and shows what it executes', async () => {
    await using started = await holding();
    await using client = await open(started);
    const prepared = await client.ask([query('PREPARE d(int) AS DELETE FROM t WHERE id = $1')]);
    expect(letters(prepared)).toBe('C Z');
    client.socket.write(query('EXECUTE d(1)'));
    const id = await held(client);
    expect(StatementPart.parse(await bench.approvals().details(id))).toMatchObject({
      text: 'EXECUTE d(1)',
      prepared: ['PREPARE d(int) AS DELETE FROM t WHERE id = $1'],
    });
    await approve(id);
    await client.until((received) => letters(received).endsWith('N C Z'));
    expect(await sql('SELECT count(*) FROM t')).toEqual([['2']]);
  });

  test('Bind and Execute of a name that PREPARE made are held', async () => {
    await using started = await holding({ waits: false });
    await using client = await open(started);
    await client.ask([query('PREPARE d AS DELETE FROM t')]);
    const answers = await client.ask([bind({ statement: 'd' }), execute(), sync]);
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    expect(await sql('SELECT count(*) FROM t')).toEqual([['3']]);
  });
});

describe('the estimated effect', () => {
  async function estimateOf(messages: readonly Uint8Array[]) {
    await using started = await holding();
    await using client = await open(started);
    client.send(messages);
    const id = await held(client);
    for (;;) {
      const { cursor } = bench.approvals().changes;
      const { estimate } = StatementPart.parse(await bench.approvals().details(id));
      if (estimate.state !== 'pending') return estimate;
      await bench.approvals().changes.since(cursor, new AbortController().signal);
    }
  }

  test('is what the planner expects, with the parameters that were sent', async () => {
    await sql('INSERT INTO t SELECT 7 FROM generate_series(1, 97); ANALYZE t');
    const estimate = await estimateOf([
      parse('DELETE FROM t WHERE id = $1'),
      bind({ values: ['7'] }),
      execute(),
      sync,
    ]);
    expect(estimate).toMatchObject({ state: 'known', rows: 97 });
    expect(estimate).toMatchObject({ plan: expect.stringContaining('Delete on t') });
  });

  test.each([
    [
      'a function of somebody',
      'CREATE FUNCTION own(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (1); RETURN 1; END $$; CREATE INDEX ON t (own(id))',
      'DELETE FROM t',
    ],
    ['row security', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY', 'DELETE FROM t'],
    ['a volatile function', '', 'DELETE FROM t WHERE id < random()'],
    ['a view', 'CREATE VIEW v AS SELECT * FROM t', 'DELETE FROM v'],
    ['several statements', '', 'DELETE FROM t; SELECT 1'],
  ])('is not made where there is %s', async (_what, setup, text) => {
    await sql(`CREATE TABLE IF NOT EXISTS ran (id int); TRUNCATE t; ${setup}`);
    const estimate = await estimateOf([query(text)]);
    expect(estimate).toMatchObject({ state: 'none', why: expect.any(String) });
    expect(await sql('SELECT count(*) FROM ran')).toEqual([['0']]);
    await sql('DROP VIEW IF EXISTS v; DROP TABLE t; DROP FUNCTION IF EXISTS own');
  });
});

test.each([
  ['statistics', 'CREATE TABLE t (id int); CREATE STATISTICS ON (id + own(1)), id FROM t'],
  ['a partition key', 'CREATE TABLE t (id int) PARTITION BY RANGE ((id + own(1)))'],
])('planning folds constants in %s, and so there is no estimate', async (_what, setup) => {
  await sql(`DROP TABLE t; CREATE FUNCTION own(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    ${setup}`);
  await using started = await holding();
  await using client = await open(started);
  client.send([query('DELETE FROM t')]);
  const id = await held(client);
  for (;;) {
    const { cursor } = bench.approvals().changes;
    const { estimate } = StatementPart.parse(await bench.approvals().details(id));
    if (estimate.state !== 'pending') {
      expect(estimate).toEqual({ state: 'none', why: 't has code of its own' });
      break;
    }
    await bench.approvals().changes.since(cursor, new AbortController().signal);
  }
  await sql('DROP TABLE t; DROP FUNCTION own');
});

test('a statement that is parsed behind the Bind of a held one is not what runs', async () => {
  await using started = await holding();
  await using client = await open(started);
  client.send([
    parse('DELETE FROM t WHERE id = 1'),
    bind({ values: [] }),
    parse('DELETE FROM t'),
    execute(),
    sync,
  ]);
  await approve(await held(client));
  await client.until(readyAgain(1));
  expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['2'], ['3']]);
});

test('a held portal is not bound again where its names mean something else', async () => {
  await using started = await holding();
  await using client = await open(started);
  const set = await client.ask([query('SET search_path = elsewhere, public')]);
  expect(errors(set)).toEqual([]);
  client.received.splice(0);
  client.send([parse('DELETE FROM t'), bind({ values: [] }), execute(), sync]);
  const id = await held(client);
  await sql('CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (id int)');
  await sql('INSERT INTO elsewhere.t VALUES (9)');
  await approve(id);
  await client.until((received) => received.some(({ type }) => type === 'Z'));
  const left = await sql('SELECT count(*) FROM elsewhere.t');
  await sql('DROP SCHEMA elsewhere CASCADE');
  expect(left).toEqual([['1']]);
  expect(await stateOf(id)).toBe('void');
});

test('what an approver cannot be expected to read is refused', async () => {
  await using started = await holding();
  await using client = await open(started);
  const text = `DELETE FROM t WHERE id IN (${Array.from({ length: 20_000 }, (_, id) => id).join()})`;
  const answers = await client.ask([query(text)]);
  expect(errors(answers)[0]).toMatchObject({ C: '54000', R: 'HOOP_TOO_LARGE' });
});
