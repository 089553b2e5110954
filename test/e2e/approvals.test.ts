/** Held statements, end to end: real psql and pg, CLI, gateway, approver's CLI, both recordings. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment } from '../../src/demo/hoop-process.ts';
import { type Bench, type Connection, openBench } from './demo-bench.ts';

let bench: Bench;
let admin: pg.Client;

const POLICY = `name: orders-need-approval
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: deletes
    approve: { verbs: [delete], relations: [public.orders], maxHold: 2s }
  - name: agents-do-not-wait
    approve: { verbs: [delete], relations: [public.support_tickets], wait: no }
`;

beforeAll(async () => {
  bench = await openBench();
  admin = await connected(bench.demo.target.adminUrl);
  await bench.commitPolicy({ 'policies/orders-need-approval.yaml': POLICY });
});

afterAll(async () => {
  await admin.end();
  await bench[Symbol.asyncDispose]();
});

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function orders(): Promise<number> {
  const { rows } = await admin.query('SELECT count(*)::int AS n FROM public.orders');
  return rows[0].n;
}

/** The next line of `connect --json` with this event, from `from` on. */
async function event(connection: Connection, name: string, from = 0) {
  const find = () => connection.lines.slice(from).find((line) => line['event'] === name);
  await expect.poll(find).toBeDefined();
  return find() ?? {};
}

function decide(identity: string, decision: 'approve' | 'deny', id: unknown, ...more: string[]) {
  return bench.hoop(identity, 'approvals', decision, String(id), ...more, '--json');
}

describe('psql', () => {
  test('shows who can approve at once, waits, and goes on when another identity has approved', async () => {
    const before = await orders();
    await using connection = await bench.connect('engineer', '--reason', 'INC-7');
    const psql = spawn('psql', ['-X', '-v', 'VERBOSITY=verbose', connection.url], {
      env: childEnvironment({ home: bench.home('engineer') }),
    });
    const ended = once(psql, 'close');
    let stdout = '';
    let stderr = '';
    psql.stdout.on('data', (chunk) => {
      stdout += String(chunk);
    });
    psql.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    psql.stdin.end('DELETE FROM orders WHERE id = 1;\nSELECT count(*) FROM orders;\n');
    const held = await event(connection, 'held');
    const id = String(held['request']);
    await expect.poll(() => stderr).toContain(`hoop approvals approve ${id}`);
    expect(stderr).toContain(`DELETE on public.orders is held for approval, request ${id}`);
    expect(await orders()).toBe(before);

    const own = await decide('engineer', 'approve', id);
    expect(own.stderr).toContain('HOOP_APPROVAL_SELF');
    const shown = JSON.parse((await bench.hoop('dba', 'approvals', 'show', id, '--json')).stdout);
    expect(shown.approval ?? shown).toMatchObject({
      requester: { name: expect.stringContaining('engineer') },
      reason: 'INC-7',
      target: 'prod-db',
      statement: { text: 'DELETE FROM orders WHERE id = 1;', inTransaction: false },
    });
    expect(await orders()).toBe(before);
    // Who decides may see what session it comes from; a colleague not even that there is one.
    const start = connection.session.slice(0, 18);
    for (const typed of [connection.session, start]) {
      const seen = await bench.hoop('dba', 'sessions', 'show', typed);
      expect(seen.stdout).toMatch(/^state +live$/m);
      expect(seen.stdout).toMatch(/^reason +INC-7$/m);
    }
    const colleague = await bench.hoop('devin', 'sessions', 'show', connection.session);
    expect(colleague.stderr).toContain('there is no such session');
    expect(colleague.stderr).toContain('approvers while it is live (`--live`)');
    expect((await decide('dba', 'approve', id, '--reason', 'checked with Ada')).exitCode).toBe(0);
    const [exitCode] = await ended;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^DELETE 1$/m);
    expect(await orders()).toBe(before - 1);
    expect(await event(connection, 'decided')).toMatchObject({
      request: id,
      outcome: 'released',
      by: [expect.stringContaining('dba')],
      message: 'checked with Ada',
    });
    const { session } = connection;
    expect(await connection.close()).toBe(130);

    const replay = await bench.hoop('engineer', 'sessions', 'replay', session, '--no-tui');
    expect(replay.stdout).toContain(`is held for approval, request ${id}`);
    expect(replay.stdout).toMatch(/approved after .* by dba.*: checked with Ada/);
    const verified = await bench.hoop('engineer', 'sessions', 'verify', session);
    expect(verified.exitCode).toBe(0);
  });

  test('shows a denial as the server would, with who and why', async () => {
    await using connection = await bench.connect('engineer');
    const psql = spawn('psql', ['-X', connection.url, '-c', 'DELETE FROM orders'], {
      env: childEnvironment({ home: bench.home('engineer') }),
    });
    const ended = once(psql, 'close');
    let stderr = '';
    psql.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    const { request } = await event(connection, 'held');
    await decide('dba', 'deny', request, '--reason', 'all of them?');
    const [exitCode] = await ended;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('ERROR:  DELETE on public.orders was not approved');
    expect(stderr).toMatch(/DETAIL: {2}.*dba.* denied request .*: all of them\?/);
  });
});

describe('the pg driver', () => {
  test('waits with parameters, and cancels by its own cancel request without a trace at the target', async () => {
    const before = await orders();
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    const result = client.query('DELETE FROM orders WHERE id = $1', [2]);
    const { request } = await event(connection, 'held');
    const shown = await bench.hoop('dba', 'approvals', 'show', String(request), '--json');
    expect(shown.stdout).toMatch(/"value": ?"2"/);
    await decide('dba', 'approve', request);
    expect((await result).rowCount).toBe(1);
    expect(await orders()).toBe(before - 1);

    const seen = connection.lines.length;
    const canceled = client.query('DELETE FROM orders WHERE id = $1', [3]).catch((e: unknown) => e);
    const second = await event(connection, 'held', seen);
    const killer = new pg.Client({ connectionString: connection.url });
    // pg's own cancel: a connection of its own with the key of the other client.
    Reflect.get(killer, 'cancel').call(killer, client, Reflect.get(client, '_activeQuery'));
    expect(await canceled).toMatchObject({ code: '57014' });
    expect((await decide('dba', 'approve', second['request'])).stderr).toContain(
      'HOOP_APPROVAL_ENDED',
    );
    expect(await orders()).toBe(before - 1);
    await client.end();
  });

  test('inside a transaction waits no longer than the policy says', async () => {
    const before = await orders();
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    await client.query('BEGIN');
    await expect(client.query('DELETE FROM orders WHERE id = 4')).rejects.toMatchObject({
      code: '42501',
      routine: 'HOOP_APPROVAL_EXPIRED',
    });
    await client.query('ROLLBACK');
    expect(await orders()).toBe(before);
    await client.end();
  });

  test('with wait: no gets an error with the request, and runs once after approval, in another session too', async () => {
    const send = async (client: pg.Client, id: number) =>
      client.query('DELETE FROM support_tickets WHERE id = $1', [id]).then(
        ({ rowCount }) => rowCount,
        (error: pg.DatabaseError) => error,
      );
    let request: unknown;
    {
      await using connection = await bench.connect('engineer');
      const client = await connected(connection.url);
      expect(await send(client, 1)).toMatchObject({ routine: 'HOOP_APPROVAL_PENDING' });
      request = (await event(connection, 'held'))['request'];
      await client.end();
    }
    await decide('dba', 'approve', request);
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    expect(await send(client, 2)).toMatchObject({ routine: 'HOOP_APPROVAL_PENDING' });
    expect(await send(client, 1)).toBe(1);
    expect(await send(client, 1)).toMatchObject({ routine: 'HOOP_APPROVAL_PENDING' });
    // As one Query, too.
    const query = client.query('DELETE FROM support_tickets WHERE id = 3');
    await expect(query).rejects.toMatchObject({ routine: 'HOOP_APPROVAL_PENDING' });
    await client.end();
    // Each that was sent is one, whether it ran or not.
    await expect
      .poll(async () =>
        (await bench.sessions('engineer')).find(({ id }) => id === connection.session),
      )
      .toMatchObject({ statements: 4, denied: 3 });
  });

  test('a client that dies withdraws what it waited for', async () => {
    const before = await orders();
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    void client.query('DELETE FROM orders WHERE id = 5').catch(() => undefined);
    const { request } = await event(connection, 'held');
    Reflect.get(Reflect.get(client, 'connection'), 'stream').destroy();
    await expect
      .poll(async () => (await decide('dba', 'approve', request)).stderr)
      .toContain('HOOP_APPROVAL_ENDED');
    expect(await orders()).toBe(before);
  });
});

describe('a commit while a statement waits', () => {
  const file = 'policies/orders-need-approval.yaml';
  const denial =
    '  - { name: no-deletes, deny: { verbs: [delete], relations: [public.orders] } }\n';

  test('leaves it alone where it says the same about it, and ends it at once where it denies it', async () => {
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    const approved = client.query('DELETE FROM orders WHERE id = 6');
    const first = (await event(connection, 'held'))['request'];
    // Of other people, and rules of their own beside.
    await bench.commitPolicy({
      'policies/sales.yaml':
        'name: sales\nwho: { groups: [sales] }\ntargets: { names: [prod-db] }\nrules: [{ name: read, allow: { verbs: [select] } }]\n',
    });
    await bench.commitPolicy({ [file]: `${POLICY}  - { name: look, allow: { verbs: [show] } }\n` });
    expect((await decide('dba', 'approve', first)).exitCode).toBe(0);
    expect((await approved).rowCount).toBe(1);

    const seen = connection.lines.length;
    const refused = client.query('DELETE FROM orders WHERE id = 7').then(
      () => 'ran',
      (error: pg.DatabaseError) => error.routine,
    );
    const second = (await event(connection, 'held', seen))['request'];
    await bench.commitPolicy({ [file]: POLICY + denial });
    expect(await refused).toBe('HOOP_DENIED');
    const { stdout } = await bench.hoop('dba', 'approvals', 'show', String(second), '--json');
    expect(JSON.parse(stdout).approval.state).toBe('void');
    await client.end();
  });
});

test('a search tells apart what ran, what was denied, what was not approved in time and what was withdrawn', async () => {
  const found = async (...args: string[]) => {
    const { stdout } = await bench.hoop('auditor', 'sessions', 'search', ...args, '--json');
    const hits: { effect: string; approval?: { state: string; by: string[] } }[] =
      JSON.parse(stdout).hits;
    return hits.flatMap(({ approval }) => approval ?? []);
  };
  const by = (...args: string[]) => found(...args, '--limit', '200');
  for (const approvals of [
    await by('delete from orders'),
    await by('--touches', 'public.orders', '--user', 'engineer'),
  ]) {
    const states = new Set(approvals.map(({ state }) => state));
    expect(states).toEqual(new Set(['used', 'denied', 'expired', 'withdrawn', 'void']));
    const ran = approvals.find(({ state }) => state === 'used');
    expect(ran?.by).toEqual(['dba@example.com']);
  }
  const { stdout } = await bench.hoop('auditor', 'sessions', 'search', 'delete from orders');
  expect(stdout).toMatch(/ {2}approved by dba@example\.com$/m);
  expect(stdout).toMatch(/ {2}withdrawn before it was approved/m);
  expect(stdout).not.toContain('needed approval');
});
