import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const UPDATE = "UPDATE support_tickets SET body = 'seen' WHERE id = 1";

async function ask(duration: string, ...more: string[]): Promise<string> {
  const run = await bench.hoop(
    'engineer',
    'access',
    'request',
    'prod-db',
    '--for',
    duration,
    '--reason',
    'INC-4711',
    ...more,
  );
  expect(run.stderr).toContain('hoop approvals approve');
  expect(run.exitCode).toBe(0);
  return run.stdout.trim();
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function json(text: string): Record<string, unknown> {
  return JSON.parse(text);
}

describe('temporary access', () => {
  test('is asked for, approved by somebody else, used in an open session, and revoked with live effect', async () => {
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    await client.query({ name: 'update', text: UPDATE }).then(
      () => expect.unreachable('nobody has given it yet'),
      (error: unknown) =>
        expect(error).toMatchObject({
          code: '42501',
          hint: expect.stringContaining('hoop access request prod-db --grant ticket-cleanup'),
        }),
    );

    const id = await ask('1h');
    const own = await bench.hoop('engineer', 'approvals', 'approve', id);
    expect(own.stderr).toContain('cannot decide on your own request');
    expect(own.exitCode).toBe(4);
    const stranger = await bench.hoop('auditor', 'approvals', 'approve', id);
    expect(stranger.exitCode).toBe(4);

    const shown = await bench.hoop('dba', 'approvals', 'show', id);
    expect(shown.stdout).toContain('asks for   ticket-cleanup, for 1 h');
    expect(shown.stdout).toContain('gives      allow update on public.support_tickets');
    expect(shown.stdout).toContain('reason     INC-4711');
    const approved = await bench.hoop('dba', 'approvals', 'approve', id.slice(0, 6));
    expect(approved.stderr).toContain(`approved request ${id}`);
    expect(approved.exitCode).toBe(0);

    // The session was there before; the statement is one whose refusal was cached.
    expect((await client.query({ name: 'update2', text: UPDATE })).rowCount).toBe(1);
    const list = await bench.hoop('engineer', 'access', 'list');
    expect(list.stdout).toMatch(
      new RegExp(`${id} +you +prod-db +ticket-cleanup +(59 min|1 h) left`),
    );

    // A statement that runs when the right goes is stopped; one that was allowed is not again.
    const running = client.query(
      'UPDATE support_tickets SET body = body WHERE id = 1 AND pg_sleep(3600) IS NULL',
    );
    const stopped = expect(running).rejects.toMatchObject({ code: '57014' });
    await expect.poll(() => bench.running('pg_sleep(3600)'), { interval: 100 }).toBe(1);
    const revoked = await bench.hoop('dba', 'access', 'revoke', id);
    expect(revoked.exitCode).toBe(0);
    await stopped;
    await expect(client.query({ name: 'update2', text: UPDATE })).rejects.toMatchObject({
      code: '42501',
    });
    expect((await client.query('SELECT count(*) FROM orders')).rowCount).toBe(1);
    await client.end();
    await connection.close();
    expect(
      connection.lines.filter(({ event }) => event === 'access').map((line) => line['change']),
    ).toEqual(['given', 'ended']);

    const sessions = await bench.sessions('engineer');
    const session = sessions.find((one) => one['id'] === connection.session);
    expect(session).toMatchObject({ grants: [id] });
    const replay = await bench.hoop('engineer', 'sessions', 'replay', connection.session);
    expect(replay.stdout).toContain(`the temporary grant ${id} (ticket-cleanup) is valid until`);
    expect(replay.stdout).toContain('approved by dba@example.com');
    expect(replay.stdout).toContain(`temporary grant ${id})`);
    expect(replay.stdout).toContain(`${id} (ticket-cleanup) was revoked by dba@example.com`);
    const verified = await bench.hoop('engineer', 'sessions', 'verify', connection.session);
    expect(verified.exitCode).toBe(0);
  });

  test('ends by itself, in a session that is open', async () => {
    const id = await ask('12s');
    await bench.hoop('dba', 'approvals', 'approve', id);
    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    expect((await client.query(UPDATE)).rowCount).toBe(1);
    await expect
      .poll(
        () =>
          client.query(UPDATE).then(
            () => 'ran',
            (error: pg.DatabaseError) => error.code,
          ),
        {
          interval: 250,
        },
      )
      .toBe('42501');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    const list = await bench.hoop('engineer', 'access', 'list', '--all', '--json');
    expect(json(list.stdout)['grants']).toContainEqual(
      expect.objectContaining({ id, state: 'expired', mine: true }),
    );
  });

  test('a session that has nothing else ends with its grant', async () => {
    await bench.commitPolicy({
      'policies/audit-orders.yaml': `name: audit-orders
who: { groups: [outsiders, auditors] }
targets: { names: [prod-db] }
request: { maxDuration: 1h, approvers: [approvers] }
rules: [{ allow: { verbs: [select], relations: [public.orders] } }]
`,
      'policies/auditors.yaml': undefined,
    });
    const before = await bench.psql('auditor', 'SELECT 1');
    expect(before.exitCode).toBe(255);
    expect(before.stderr).toContain('hoop access request prod-db');
    const asked = await bench.hoop(
      'auditor',
      'access',
      'request',
      'prod-db',
      '--for',
      '1h',
      '--reason',
      'audit',
    );
    const id = asked.stdout.trim();
    await bench.hoop('dba', 'approvals', 'approve', id);
    await using connection = await bench.connect('auditor');
    const client = await connected(connection.url);
    expect((await client.query('SELECT count(*) FROM orders')).rowCount).toBe(1);
    const unknown = await bench.hoop('auditor', 'access', 'revoke', 'zzzz');
    expect(unknown).toMatchObject({ exitCode: 1 });
    expect(unknown.stderr).toContain('no active grant has an ID that starts with "zzzz"');
    const revoked = await bench.hoop('auditor', 'access', 'revoke', id.slice(0, 6), '--json');
    expect(JSON.parse(revoked.stdout)).toEqual({ v: 1, id, state: 'revoked' });
    await expect
      .poll(() => connection.lines.find(({ event }) => event === 'ended'))
      .toMatchObject({
        reason: 'revoked',
        message: `the temporary grant ${id} (audit-orders) was revoked by auditor@example.com`,
      });
    await expect(connected(connection.url)).rejects.toMatchObject({ severity: 'FATAL' });
  });

  test('a bot follows requests as NDJSON, and whoever waits is told of a denial', async () => {
    const id = await ask('10m');
    const lines: Record<string, unknown>[] = [];
    await using watch = await startHoop(['approvals', 'watch', '--json'], 'approval', {
      home: bench.home('dba'),
      onLine: (line) => lines.push({ ...line }),
    });
    expect(watch.ready).toMatchObject({
      v: 1,
      approval: { id, state: 'waiting', kind: 'access', mayDecide: true },
    });

    const silent = await bench.hoop('dba', 'approvals', 'deny', id);
    expect(silent.stderr).toContain('--reason');
    expect(silent.exitCode).toBe(2);
    const denied = await bench.hoop('dba', 'approvals', 'deny', id, '--reason', 'ask the owner');
    expect(denied.stderr).toContain(`denied request ${id}`);
    await expect
      .poll(() => lines.map(({ approval }) => Object(approval).state))
      .toEqual(['waiting', 'denied']);

    const waiting = bench.hoop(
      'engineer',
      ...['access', 'request', 'prod-db', '--for', '10m', '--reason', 'INC-4712', '--wait'],
    );
    await expect.poll(() => lines.length).toBe(3);
    const next = String(Object(lines[2]?.['approval']).id);
    await bench.hoop('dba', 'approvals', 'deny', next, '--reason', 'ask the owner');
    const ended = await waiting;
    expect(ended.stderr).toContain('was not granted: denied');
    expect(ended.stderr).toContain('dba@example.com: ask the owner');
    expect(ended.exitCode).toBe(4);
  });

  test('an id that nobody has, one that is none and one decided are errors of their own', async () => {
    const unknown = await bench.hoop('dba', 'approvals', 'show', '222222222222');
    expect(unknown.stderr).toContain('there is no such request');
    expect(unknown.exitCode).toBe(1);
    const garbage = await bench.hoop('dba', 'approvals', 'approve', '../../x');
    expect(garbage.exitCode).toBe(2);
    const empty = await bench.hoop('dba', 'approvals');
    expect(empty.stderr).toContain('nothing is waiting');
    expect(empty.exitCode).toBe(0);
    const all = await bench.hoop('dba', 'approvals', 'list', '--all');
    expect(all.stdout).toMatch(/denied +engineer@example.com +prod-db/);
    const id = /^(\S+) +denied/m.exec(all.stdout)?.[1] ?? '';
    const late = await bench.hoop('dba', 'approvals', 'approve', id);
    expect(late.stderr).toContain('no longer waiting');
    expect(late.exitCode).toBe(1);
  });

  test('survives a restart of the gateway, and ends with the commit that no longer lists it', async () => {
    const id = await ask('1h');
    await bench.hoop('dba', 'approvals', 'approve', id);
    await bench.demo.restartGateway('SIGKILL');
    const run = await bench.psql('engineer', UPDATE);
    expect(run.stdout).toContain('UPDATE 1');

    await using connection = await bench.connect('engineer');
    const client = await connected(connection.url);
    await client.query(UPDATE);
    await bench.commitPolicy({ 'policies/ticket-cleanup.yaml': undefined });
    await expect(client.query(UPDATE)).rejects.toMatchObject({ code: '42501' });
    await client.end();
    const list = await bench.hoop('engineer', 'access', 'list', '--all', '--json');
    expect(json(list.stdout)['grants']).toContainEqual(
      expect.objectContaining({ id, state: 'policy' }),
    );
  });
});
