/**
 * Statements that wait for approval in a run: agents give up after some minutes and send the same
 * again, so the request outlives the connection, and its approval is used once, by that run alone.
 */
import { connect } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeCancelRequest } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { reconsiderStatements } from '../../../../src/gateway/approvals/policy-standing.ts';
import type { ApprovalTerms, Grant } from '../../../../src/policy/types.ts';
import { waitFor } from '../../../wait-for.ts';
import {
  ada,
  approvalBench,
  erin,
  grantOfCommit,
  held,
  inForce,
  noticeOf,
  person,
  readyAgain,
  type SessionOptions,
} from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
import {
  bind,
  errors,
  execute,
  parse,
  query,
  RawClient,
  rows,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('SELECT 1');
const bench = approvalBench(target);

beforeEach(async () => {
  bench.index().database.exec('DELETE FROM approvals');
  // How many somebody may ask for in a while is counted anew.
  await bench.restart();
  await sql('DROP TABLE IF EXISTS t; CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2), (3)');
});

function grantWith(terms: Partial<ApprovalTerms> = {}): Grant {
  return grantOfCommit(
    ['allow select, insert on public.*', 'approve delete', 'allow set app.tenant'],
    terms,
  );
}

interface Who extends SessionOptions {
  readonly agent?: string;
  readonly grant?: () => Grant;
}

const standing = grantWith();

/** A session of a run. */
function session({ agent, grant = () => standing, ...who }: Who = {}): Promise<Bench> {
  const { principal = erin } = who;
  const acting = agent === undefined ? principal : { ...principal, agent };
  return bench.open(grant, { run: 'run-1', ...who, principal: acting });
}

async function open(started: Bench): Promise<RawClient> {
  const client = await RawClient.open(started.port);
  client.received.splice(0);
  return client;
}

/** Sends it, and gives up as soon as it is held. */
async function giveUp(started: Bench, message: Uint8Array): Promise<string> {
  await using client = await open(started);
  client.socket.write(message);
  const id = await held(client);
  client.socket.destroy();
  await waitFor(() => expect(bench.approvals().isAwaited(id)).toBe(false));
  return id;
}

const stateOf = async (id: string): Promise<string> =>
  (await bench.approvals().visible(erin, id)).state;
const approve = (id: string) => bench.approvals().decide(ada, id, { decision: 'approve' });
const left = async () => Number((await sql('SELECT count(*) FROM t'))[0]?.[0]);
const DELETE = query('DELETE FROM t WHERE id = 1');
const deleteOf = (id: string): Uint8Array =>
  Buffer.concat([parse('DELETE FROM t WHERE id = $1'), bind({ values: [id] }), execute(), sync]);

test('what a client gave up waits on, the same joins it from another session of the run, and runs once', async () => {
  await using first = await session();
  const id = await giveUp(first, deleteOf('2'));
  expect(await stateOf(id)).toBe('waiting');
  expect(first.events.flatMap((e) => (e.type === 'approval.end' ? [e.outcome] : []))).toEqual([
    'kept',
  ]);
  await using second = await session({ session: 'session-2' });
  await using client = await open(second);
  client.socket.write(deleteOf('2'));
  expect(await held(client)).toBe(id);
  expect(bench.approvals().isAwaited(id)).toBe(true);
  await approve(id);
  await client.until(readyAgain(1));
  expect(errors(client.received)).toEqual([]);
  expect(await stateOf(id)).toBe('used');
  expect(await sql('SELECT id FROM t ORDER BY id')).toEqual([['1'], ['3']]);
  // It is spent: the next is another request.
  expect(await giveUp(second, deleteOf('2'))).not.toBe(id);
});

test('an approval that comes when nobody waits is used by the next try, once, also after a restart', async () => {
  await using started = await session();
  const id = await giveUp(started, DELETE);
  await approve(id);
  await bench.restart();
  await reconsiderStatements(
    bench.approvals(),
    inForce(() => standing),
  );
  expect(await stateOf(id)).toBe('approved');
  await using again = await session();
  await using client = await open(again);
  const answers = await client.ask([DELETE]);
  expect(errors(answers)).toEqual([]);
  expect(answers.map(({ type }) => type)).not.toContain('N');
  expect(await left()).toBe(2);
  expect(again.evidence.map(({ type }) => type)).toEqual(['decided']);
  expect(await (await bench.restart()).use(id)).toBeUndefined();
  await using last = await session();
  expect(await giveUp(last, DELETE)).not.toBe(id);
});

test('of two that wait for one request the one that came last runs, and the other is told', async () => {
  await using started = await session();
  await using older = await open(started);
  older.socket.write(DELETE);
  const id = await held(older);
  await using newer = await open(started);
  newer.socket.write(DELETE);
  expect(await held(newer)).toBe(id);
  await approve(id);
  await Promise.all([older.until(readyAgain(1)), newer.until(readyAgain(1))]);
  expect(errors(newer.received)).toEqual([]);
  expect(errors(older.received)[0]).toMatchObject({
    C: '42501',
    R: 'HOOP_APPROVAL_VOID',
    D: `Request ${id}: it ran on another connection of this run that sent the same.`,
  });
  expect(await left()).toBe(2);
});

test('when the one that came last leaves, the other goes on waiting and runs', async () => {
  await using started = await session();
  await using older = await open(started);
  older.socket.write(DELETE);
  const id = await held(older);
  await using newer = await open(started);
  newer.socket.write(DELETE);
  await held(newer);
  newer.socket.destroy();
  await waitFor(() =>
    expect(started.events.filter(({ type }) => type === 'approval.end')).toHaveLength(1),
  );
  await approve(id);
  await older.until(readyAgain(1));
  expect(errors(older.received)).toEqual([]);
  expect(await left()).toBe(2);
});

test('nobody else finds it: another run, the person, another agent, another person, other values', async () => {
  await using started = await session({ agent: 'devin' });
  const id = await giveUp(started, deleteOf('1'));
  await approve(id);
  const others: readonly (readonly [Who, Uint8Array])[] = [
    [{ agent: 'devin', run: 'run-2' }, deleteOf('1')],
    [{ agent: 'devin', run: undefined }, deleteOf('1')],
    [{}, deleteOf('1')],
    [{ agent: 'codex' }, deleteOf('1')],
    [{ agent: 'devin', principal: person('bo', ['engineering']) }, deleteOf('1')],
    [{ agent: 'devin' }, deleteOf('2')],
    [{ agent: 'devin' }, query('DELETE FROM t WHERE id = 1')],
  ];
  for (const [who, message] of others) {
    await using other = await session(who);
    await using client = await open(other);
    client.socket.write(message);
    expect(await held(client)).not.toBe(id);
  }
  expect(await stateOf(id)).toBe('approved');
  expect(await left()).toBe(3);
});

test('a table that is another by then voids the approval', async () => {
  await using started = await session();
  const id = await giveUp(started, DELETE);
  await approve(id);
  await sql('DROP TABLE t; CREATE TABLE t (id int); INSERT INTO t VALUES (1)');
  expect(await giveUp(started, DELETE)).not.toBe(id);
  expect(await left()).toBe(1);
});

test('a commit that says something else voids what nobody waits for, and never runs it', async () => {
  let grant = grantWith();
  await using started = await session({ grant: () => grant });
  const id = await giveUp(started, DELETE);
  await approve(id);
  grant = grantWith({ count: 2 });
  await using client = await open(started);
  client.socket.write(DELETE);
  expect(await held(client)).not.toBe(id);
  await reconsiderStatements(
    bench.approvals(),
    inForce(() => grant),
  );
  expect(await stateOf(id)).toBe('void');
  expect(await left()).toBe(3);
});

test('with what it was asked for ends the run, and nothing of it can be approved', async () => {
  await using started = await session();
  await using other = await session({ run: 'run-2' });
  const id = await giveUp(started, DELETE);
  const kept = await giveUp(other, DELETE);
  await bench.approvals().endOfRun('run-1', 'the run has ended');
  expect(await stateOf(id)).toBe('withdrawn');
  await expect(approve(id)).rejects.toThrow('no longer waiting');
  expect(await stateOf(kept)).toBe('waiting');
});

test('a denial is told to the next try as well, without asking anybody again', async () => {
  await using started = await session();
  const id = await giveUp(started, DELETE);
  await bench.approvals().decide(ada, id, { decision: 'deny', reason: 'use the archive job' });
  await using client = await open(started);
  const answers = await client.ask([DELETE]);
  expect(answers.map(({ type }) => type)).toEqual(['E', 'Z']);
  const [error] = errors(answers);
  expect(error?.['R']).toBe('HOOP_APPROVAL_DENIED');
  // Drivers and servers of tools pass nothing on but the message.
  expect(error?.['M']).toContain('rule p/rule-2');
  expect(error?.['M']).toContain(`ada@example.org denied request ${id}: use the archive job.`);
  expect(error?.['M']).toContain('Talk to them before you send it again.');
});

test('the notice says all in its message: rule, request, what to do', async () => {
  await using started = await session();
  await using client = await open(started);
  client.socket.write(DELETE);
  const id = await held(client);
  const message = noticeOf(client)['M'];
  expect(message).toContain(
    `DELETE on public.t is held for approval, request ${id} [rule p/rule-2`,
  );
  expect(message).toContain(`hoop approvals approve ${id}`);
  expect(message).toContain('Send exactly the same statement again in this run');
});

test('a cancel ends the waiting alone: timeouts of drivers cancel', async () => {
  await using started = await session();
  const client = await RawClient.open(started.port);
  const body = client.received.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
  const secretKey = Uint8Array.from(body.subarray(4));
  client.received.splice(0);
  client.socket.write(DELETE);
  const id = await held(client);
  connect(started.port, '127.0.0.1').end(
    encodeCancelRequest({ processId: body.readInt32BE(0), secretKey }),
  );
  await client.until(readyAgain(1));
  expect(errors(client.received)[0]).toMatchObject({ C: '57014' });
  expect(await stateOf(id)).toBe('waiting');
  await approve(id);
  expect(errors(await client.ask([DELETE]))).toEqual([]);
  expect(await left()).toBe(2);
  client.socket.destroy();
});

test('in a transaction locks are held no longer than maxHold, and the request waits on', async () => {
  const grant = grantWith({ maxHoldSeconds: 1 });
  await using started = await session({ grant: () => grant });
  await using client = await open(started);
  await client.ask([query('BEGIN')]);
  const answers = await client.ask([DELETE]);
  const [error] = errors(answers);
  expect(error).toMatchObject({ R: 'HOOP_APPROVAL_PENDING', C: '42501' });
  expect(status(answers)).toBe('E');
  const id = /request ([0-9a-z]{12}) is waiting/.exec(error?.['M'] ?? '')?.[1] ?? 'none';
  expect(await stateOf(id)).toBe('waiting');
  await approve(id);
  await client.ask([query('ROLLBACK')]);
  await client.ask([query('BEGIN')]);
  expect(errors(await client.ask([DELETE]))).toEqual([]);
  expect(rows(await client.ask([query('SELECT count(*) FROM t')]))).toEqual([['2']]);
  expect(status(await client.ask([query('COMMIT')]))).toBe('I');
});

describe('an approval is not used where the same text stands for something else:', () => {
  const other: readonly {
    readonly why: string;
    readonly before?: readonly Uint8Array[];
    readonly startup?: Record<string, string>;
  }[] = [
    { why: 'dates are read in another order', before: [query("SET datestyle = 'SQL, DMY'")] },
    { why: 'it is another time here', before: [query("SET timezone = 'Pacific/Auckland'")] },
    { why: 'the application says another tenant', before: [query("SET app.tenant = '2'")] },
    {
      why: 'as part of a pipeline',
      before: [Buffer.concat([parse("SET app.tenant = '2'"), bind(), execute()])],
    },
    {
      why: 'for one transaction',
      before: [query('BEGIN'), query("SET LOCAL app.tenant = '2'")],
    },
    {
      why: 'an index leaves out rows beyond a number',
      before: [query('SET gin_fuzzy_search_limit = 10')],
    },
    { why: 'it came with the first packet', startup: { 'app.tenant': '2' } },
    {
      why: 'it came with the options of the first packet',
      startup: { options: '-c app.tenant=2' },
    },
  ];
  test.each(other)('$why', async ({ before = [], startup }) => {
    await using started = await session();
    const id = await giveUp(started, deleteOf('1'));
    await approve(id);
    await using client = await RawClient.open(started.port, startup);
    for (const message of before.slice(0, -1)) await client.ask([message]);
    client.received.splice(0);
    client.socket.write(Buffer.concat([...before.slice(-1), deleteOf('1')]));
    expect(await held(client)).not.toBe(id);
    expect(await stateOf(id)).toBe('approved');
    expect(await left()).toBe(3);
  });

  test('the database compares with NULL in another way by then', async () => {
    await using started = await session();
    const id = await giveUp(started, DELETE);
    await approve(id);
    await sql('ALTER DATABASE postgres SET transform_null_equals = on');
    expect(await giveUp(started, DELETE)).not.toBe(id);
    await sql('ALTER DATABASE postgres RESET transform_null_equals');
  });

  test('and who decides is shown what was set; the same setting finds the request again', async () => {
    await using started = await session();
    const ask = async (tenant: string): Promise<string> => {
      await using client = await open(started);
      await client.ask([query(`SET app.tenant = '${tenant}'`)]);
      client.received.splice(0);
      client.socket.write(DELETE);
      return await held(client);
    };
    const id = await ask('1');
    expect(await bench.approvals().details(id)).toMatchObject({
      settings: [{ name: 'app.tenant', value: '1' }],
    });
    expect(await ask('1')).toBe(id);
    expect(await ask('2')).not.toBe(id);
  });

  test('what is only about speed, names and limits is no other statement, nor is a new column', async () => {
    await using started = await session();
    const id = await giveUp(started, DELETE);
    await approve(id);
    await sql('ALTER TABLE t ADD COLUMN note text');
    await using client = await open(started);
    await client.ask([query("SET application_name = 'again'")]);
    await client.ask([query("SET statement_timeout = '1min'")]);
    await client.ask([query("SET work_mem = '8MB'")]);
    expect(errors(await client.ask([DELETE]))).toEqual([]);
    expect(await left()).toBe(2);
  });

  test('a column that has got the name of another one', async () => {
    await sql('DROP TABLE t; CREATE TABLE t (id int, old int); INSERT INTO t VALUES (1, 2)');
    await using started = await session();
    const id = await giveUp(started, DELETE);
    await approve(id);
    await sql('ALTER TABLE t RENAME id TO new; ALTER TABLE t RENAME old TO id');
    expect(await giveUp(started, DELETE)).not.toBe(id);
    expect(await left()).toBe(1);
  });

  test('another server under the name of the target, which may be a copy of the first', async () => {
    await using started = await session();
    const id = await giveUp(started, DELETE);
    await approve(id);
    const hosts = [{ host: 'db-2.example', port: 5432, shown: undefined }];
    await using moved = await session({ at: { hosts } });
    expect(await giveUp(moved, DELETE)).not.toBe(id);
    expect(await stateOf(id)).toBe('approved');
  });

  test('a prepared statement of the same text whose parameters have other types', async () => {
    const PREPARED = 'DELETE FROM t WHERE id::text = $1::text';
    const run = (type: number): Uint8Array[] => [
      Buffer.concat([parse(PREPARED, 's', [type]), sync]),
      query("EXECUTE s('01')"),
    ];
    await using started = await session();
    const ask = async (type: number): Promise<string> => {
      await using client = await open(started);
      const [first = sync, second = sync] = run(type);
      await client.ask([first]);
      client.received.splice(0);
      client.socket.write(second);
      return await held(client);
    };
    const TEXT = 25;
    const INT4 = 23;
    const id = await ask(TEXT);
    expect(await ask(TEXT)).toBe(id);
    expect(await ask(INT4)).not.toBe(id);
  });
});
