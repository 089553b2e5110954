/** `hoop mcp` as the official SDK's client starts it: real gateway, PostgreSQL and approvals. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

class Session implements AsyncDisposable {
  readonly client = new Client({ name: 'test', version: '1' });
  readonly transport: StdioClientTransport;
  stderr = '';

  constructor(home: string, args: readonly string[], cwd: string) {
    this.transport = new StdioClientTransport({
      command: process.execPath,
      args: [LAUNCHER, ...args],
      cwd,
      env: childEnvironment({ home }) as Record<string, string>,
      stderr: 'pipe',
    });
    this.transport.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
  }

  static open(home: string, ...args: string[]): Promise<Session> {
    return Session.openIn(process.cwd(), home, ...args);
  }

  static async openIn(cwd: string, home: string, ...args: string[]): Promise<Session> {
    const session = new Session(home, args, cwd);
    await session.client.connect(session.transport);
    return session;
  }

  /** @param progress gets the words of each notification */
  async call(name: string, input: Record<string, unknown>, progress: string[] = []) {
    const result = await this.client.callTool({ name, arguments: input }, undefined, {
      onprogress: ({ message = '' }) => progress.push(message),
      timeout: 120_000,
      resetTimeoutOnProgress: true,
    });
    return {
      isError: result.isError === true,
      said: result.structuredContent as Record<string, unknown>,
      text: JSON.stringify(result.content),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

const open = (...args: string[]) =>
  Session.open(bench.home('engineer'), 'mcp', '--target', 'prod-db', ...args);

const lastId = async (session: Session): Promise<number> => {
  const sql = 'SELECT max(id)::int4 AS id FROM orders';
  const { said } = await session.call('query', { sql });
  return Number((said['rows'] as number[][])[0]?.[0]);
};

test('rows come as structured content, bounded, and it is said what was left out', async () => {
  await using session = await open();
  const all = await session.call('query', {
    sql: 'SELECT id::int4, $1::text AS word FROM orders ORDER BY id',
    parameters: ['hello'],
    max_rows: 2,
  });
  expect(all.said).toMatchObject({
    status: 'ok',
    columns: [
      { name: 'id', type: 'int4' },
      { name: 'word', type: 'text' },
    ],
    rows: [
      [expect.any(Number), 'hello'],
      [expect.any(Number), 'hello'],
    ],
    cut: ['these are the first 2 rows (as requested); there are more'],
  });
  expect(JSON.parse(JSON.parse(all.text)[0].text)).toEqual(all.said);
  const long = await session.call('query', { sql: "SELECT repeat('x', 50000) FROM orders" });
  expect(long.said['cut']).toContainEqual(expect.stringContaining('values have more than 10000'));
  expect(JSON.stringify(long.said).length).toBeLessThan(130_000);
  const one = await session.call('query', { sql: 'SELECT true, NULL, 1.50::numeric' });
  expect(one.said).toMatchObject({ rows: [[true, null, '1.50']], cut: [], tag: 'SELECT 1' });
});

test('describe tells tables, columns and masks; masks and explain do theirs', async () => {
  await using session = await open();
  const { said } = await session.call('describe', {});
  expect(said['tables']).toContainEqual(
    expect.objectContaining({ schema: 'public', name: 'customers', kind: 'table' }),
  );
  const table = await session.call('describe', { table: 'customers' });
  expect(table.said['columns']).toContainEqual(
    expect.objectContaining({ name: 'email', mask: expect.any(String) }),
  );
  // A guessed argument is an error that names the right ones, not the answer to another question.
  const guessed = await session.client.callTool({
    name: 'describe',
    arguments: { relation: 'customers' },
  });
  expect(guessed.isError).toBe(true);
  expect(JSON.stringify(guessed.content)).toContain('The arguments are: target, schema, table.');
  const masks = await session.call('masks', {});
  expect(JSON.stringify(masks.said)).toContain('public.customers.email');
  const plan = await session.call('explain', { sql: 'SELECT * FROM orders' });
  expect(JSON.stringify(plan.said)).toContain('Scan');
});

test('explain runs nothing: clients let it pass unasked, since it says that it only reads', async () => {
  await using session = await open();
  for (const sql of [
    'ANALYZE SELECT count(*) FROM orders',
    'VERBOSE SELECT 1',
    '(ANALYZE) SELECT count(*) FROM orders',
    '/* */ ANALYSE SELECT count(*) FROM orders',
  ]) {
    const { isError, text } = await session.call('explain', { sql });
    expect(isError, text).toBe(true);
    expect(text).not.toContain('actual time');
  }
  const whole = await session.call('explain', { sql: '-- all of it\n(SELECT * FROM orders)' });
  expect(whole.isError, whole.text).toBe(false);
});

test('one row of very many columns, errors and notices that repeat values keep to the bound', async () => {
  await using session = await open();
  const columns = Array.from({ length: 1600 }, (_, at) => `repeat('x', 9000) AS c${at}`);
  const wide = await session.call('query', { sql: `SELECT ${columns.join(', ')}` });
  expect(wide.said['status'], wide.text.slice(0, 500)).toBe('ok');
  expect(JSON.stringify(wide.said['rows']).length).toBeLessThan(130_000);
  expect(wide.said['cut']).toEqual(['1600 values have more than 62 characters and were shortened']);
  const said = await session.call('query', { sql: "SELECT repeat('x', 500000)::int" });
  expect(said).toMatchObject({ isError: true });
  expect(said.text.length).toBeLessThan(30_000);
});

test('what is denied, and what the server refuses, are results and not faults', async () => {
  await using session = await open();
  // From then on the client holds answers to the schema of the tool.
  await session.client.listTools();
  const denied = await session.call('query', { sql: 'DROP TABLE orders' });
  expect(denied.isError).toBe(true);
  expect(denied.said).toMatchObject({
    status: 'denied',
    code: expect.stringMatching(/^HOOP_/),
    message: expect.any(String),
    hint: expect.any(String),
  });
  const wrong = await session.call('query', { sql: 'SELECT nothing_of_that_name FROM orders' });
  expect(wrong.said).toMatchObject({ status: 'error', sqlState: '42703' });
  const other = await session.call('query', { sql: 'SELECT 1', target: 'elsewhere' });
  expect(other.said).toMatchObject({
    code: 'HOOP_USAGE',
    hint: expect.stringContaining('prod-db'),
  });
  const unknown = await session.call('approval', { request: '7k3mq9xw2c4d', wait_seconds: 0 });
  expect(unknown.said).toMatchObject({ code: 'HOOP_APPROVAL_UNKNOWN' });
  // Only one statement: the second of a text would have no bound.
  const two = await session.call('query', { sql: 'SELECT 1; SELECT 2' });
  expect(two.isError).toBe(true);
});

test('a held statement is told with its request, survives the call, and runs once approved, once', async () => {
  await using session = await open();
  const id = await lastId(session);
  const input = { sql: 'DELETE FROM orders WHERE id = $1', parameters: [id], wait_seconds: 1 };
  const progress: string[] = [];
  const first = await session.call('query', input, progress);
  expect(first.isError).toBe(true);
  const request = String(first.said['request']);
  expect(first.said).toMatchObject({
    status: 'held',
    request: expect.stringMatching(/^[0-9a-z]{12}$/),
    rule: expect.stringMatching(/\/delete-orders$/),
    hint: expect.stringContaining(`hoop approvals approve ${request}`),
  });
  expect(progress[0]).toContain(`held for approval, request ${request}`);
  // Sent again while it waits it is the same request.
  expect((await session.call('query', input)).said['request']).toBe(request);
  const waits = await session.call('approval', { request, wait_seconds: 0 });
  expect(waits.said).toMatchObject({ state: 'waiting', request });
  const early = await bench.hoop('engineer', 'approvals', 'wait', request, '--timeout', '0');
  expect(early).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining(`request ${request} is still waiting`),
  });
  const self = await bench.hoop('engineer', 'approvals', 'approve', request, '--json');
  expect(self.stderr).toContain('HOOP_APPROVAL_SELF');
  const waiting = session.call('approval', { request, wait_seconds: 60 });
  const script = bench.hoop('engineer', 'approvals', 'wait', request, '--timeout', '60', '--json');
  const approved = await bench.hoop('dba', 'approvals', 'approve', request, '--yes');
  expect(approved.exitCode, approved.stderr).toBe(0);
  expect((await waiting).said).toMatchObject({ state: 'approved' });
  const waited = await script;
  expect(waited.exitCode, waited.stderr).toBe(0);
  expect(JSON.parse(waited.stdout).approval).toMatchObject({ id: request, state: 'approved' });
  const ran = await session.call('query', input);
  expect(ran.said).toMatchObject({ status: 'ok', tag: 'DELETE 1' });
  const again = await session.call('query', input);
  expect(again.said).toMatchObject({ status: 'held' });
  expect(again.said['request']).not.toBe(request);
  // With the server its run ends, and with that what it has asked for.
  const left = String(again.said['request']);
  await session.client.close();
  const over = await bench.hoop('engineer', 'approvals', 'wait', left, '--json');
  expect(over.exitCode, over.stderr).toBe(4);
  expect(JSON.parse(over.stdout).approval).toMatchObject({ state: 'withdrawn' });
});

test('tools are listed without a login, and a call says what is missing', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hoop-mcp-'));
  try {
    await using session = await Session.open(home, 'mcp');
    const { tools } = await session.client.listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual([
      'approval',
      'describe',
      'explain',
      'masks',
      'query',
    ]);
    const refused = await session.call('query', { sql: 'SELECT 1' });
    expect(refused).toMatchObject({ isError: true, said: { status: 'error' } });
    expect(refused.text).toContain('hoop login');
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

describe('who it is', () => {
  test('a run of its own, with the agent that it was started with; no password is in an argument', async () => {
    await using session = await open('--agent', 'devin');
    const { said } = await session.call('query', { sql: 'SELECT count(*) FROM orders' });
    expect(said).toMatchObject({ status: 'ok' });
    const [newest] = await bench.sessions('engineer');
    expect(newest).toMatchObject({ agent: 'devin', run: expect.any(String) });
    const { pid } = session.transport;
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    expect(argv.split('\0').filter(Boolean).slice(2)).toEqual([
      'mcp',
      '--target',
      'prod-db',
      '--agent',
      'devin',
    ]);
  });

  test('within a run it is that run, its agent and its targets, whatever its client says', async () => {
    const inner = `exec '${process.execPath}' '${LAUNCHER}' mcp`;
    const args = ['run', '--agent', 'devin', '--target', 'prod-db', '--', 'sh', '-c', inner];
    await using session = await Session.open(bench.home('engineer'), ...args);
    const { said } = await session.call('query', { sql: 'SELECT count(*) FROM orders' });
    expect(said, session.stderr).toMatchObject({ status: 'ok' });
    const [newest] = await bench.sessions('engineer');
    expect(newest).toMatchObject({ agent: 'devin', program: 'sh' });
    const masks = await session.call('masks', {});
    expect(JSON.stringify(masks.said)).toContain('public.customers.email');
  });

  test('an agent that the policy does not know is refused, in the answer', async () => {
    await using session = await open('--agent', 'nobody-knows');
    const refused = await session.call('query', { sql: 'SELECT 1' });
    expect(refused.said).toMatchObject({ code: 'HOOP_AGENT_UNKNOWN' });
  });
});

describe('in a fence', () => {
  let project: string;
  beforeAll(async () => {
    // Not below /tmp, which is private inside.
    project = await mkdtemp(join(homedir(), '.hoop-mcp-'));
  });
  afterAll(() => rm(project, { recursive: true, force: true }));

  const openFenced = (): Promise<Session> => {
    const inner = ['--', process.execPath, LAUNCHER, 'mcp'];
    const args = ['run', '--fence', '--agent', 'devin', '--target', 'prod-db', ...inner];
    return Session.openIn(project, bench.home('engineer'), ...args);
  };

  test('rows, a denial and a held statement reach the client; what asks the gateway says that it cannot', async () => {
    await using session = await openFenced();
    const { tools } = await session.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('query');
    const one = await session.call('query', { sql: 'SELECT 40 + 2' });
    expect(one.said, session.stderr).toMatchObject({ status: 'ok', rows: [[42]] });
    const [newest] = await bench.sessions('engineer');
    expect(newest).toMatchObject({ agent: 'devin', run: expect.any(String) });
    const table = await session.call('describe', { table: 'customers' });
    expect(JSON.stringify(table.said['columns'])).toContain('email');
    expect((await session.call('explain', { sql: 'SELECT * FROM orders' })).isError).toBe(false);
    const denied = await session.call('query', { sql: 'DROP TABLE orders' });
    expect(denied).toMatchObject({ isError: true, said: { status: 'denied' } });

    const masks = await session.call('masks', {});
    expect(masks, JSON.stringify(masks)).toMatchObject({ isError: true });
    expect(masks.text).toMatch(/fence/);
    const approval = await session.call('approval', { request: '7k3mq9xw2c4d', wait_seconds: 0 });
    expect(approval).toMatchObject({ isError: true });
    expect(approval.text).toMatch(/fence/);
  });

  test('an approval that comes when the call is over is used by the next of that statement, once', async () => {
    await using session = await openFenced();
    const id = await lastId(session);
    const input = { sql: 'DELETE FROM orders WHERE id = $1', parameters: [id], wait_seconds: 1 };
    const first = await session.call('query', input);
    expect(first.said, session.stderr).toMatchObject({ status: 'held' });
    const request = String(first.said['request']);
    const approved = await bench.hoop('dba', 'approvals', 'approve', request, '--yes');
    expect(approved.exitCode, approved.stderr).toBe(0);
    const other = await session.call('query', { ...input, parameters: [id - 1] });
    expect(other.said).toMatchObject({ status: 'held' });
    expect(other.said['request']).not.toBe(request);
    expect((await session.call('query', input)).said).toMatchObject({ tag: 'DELETE 1' });
    const again = await session.call('query', input);
    expect(again.said).toMatchObject({ status: 'held' });
    expect(again.said['request']).not.toBe(request);
  });
});
