import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Ends when its connection has ended, and prints what libpq was told of it. */
const LISTENER = `
import psycopg2, select, sys
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
print('waits', flush=True)
try:
    while True:
        select.select([connection], [], [])
        connection.poll()
except psycopg2.OperationalError:
    print(connection.notices)
`;

const LIMITED = `name: limited
who: { groups: [auditors] }
targets: { names: [prod-db] }
limits: { maxTime: 3s }
rules:
  - name: read-orders
    allow: { verbs: [select], relations: [public.orders] }
`;

describe('the life of a session', () => {
  test('the pg driver works with parameters, in text and in binary format', async () => {
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url });
    await client.connect();
    const text = await client.query(
      'SELECT id, full_name, card_number FROM customers WHERE id = $1',
      [2],
    );
    expect(text.rows[0]).toMatchObject({ id: 2 });
    expect(text.rows[0].card_number).not.toMatch(/\d{12}/);
    const binary = await client.query(
      Object.assign(
        { text: 'SELECT id, card_number FROM customers WHERE id = $1', values: [2] },
        { binary: true },
      ),
    );
    expect(binary.rows[0].id).toBe(2);
    expect(String(binary.rows[0].card_number)).not.toMatch(/\d{12}/);
    await client.end();
  });

  test('wrong password, no password, HTTP and garbage are refused, and the owner still gets in', async () => {
    await using connection = await bench.connect('engineer');
    const wrong = new URL(connection.url);
    wrong.password = 'wrong';
    await expect(new pg.Client({ connectionString: wrong.href }).connect()).rejects.toMatchObject({
      code: '28P01',
    });
    const none = new URL(connection.url);
    none.password = '';
    await expect(promisify(execFile)('psql', ['-X', '-w', none.href])).rejects.toThrow(
      'no password supplied',
    );
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
      '\u0016\u0003\u0001\u0000\u0001',
      '\u0000\u0000\u0000\u0001',
    ]) {
      const socket = await connection.socket();
      let answer = Buffer.alloc(0);
      socket.on('data', (data) => {
        answer = Buffer.concat([answer, data]);
      });
      socket.on('error', () => undefined);
      socket.write(bytes, 'latin1');
      await once(socket, 'close');
      expect(answer.length).toBeLessThan(200);
    }
    const client = new pg.Client({ connectionString: connection.url });
    await client.connect();
    await client.end();
    await connection.close();
    expect(connection.lines.find(({ event }) => event === 'closing')?.['refused']).toEqual({
      'wrong password': 1,
      'no password': 1,
      HTTP: 1,
      'direct TLS': 1,
      garbage: 1,
    });
  });

  test('a session ends when its time is up, says why on every open connection, and the port stays', async () => {
    await bench.commitPolicy({ 'policies/auditors.yaml': LIMITED });
    await using connection = await bench.connect('auditor');
    const client = new pg.Client({ connectionString: connection.url });
    const failure = once(client, 'error');
    client.on('error', () => undefined);
    await client.connect();
    const [error] = await failure;
    expect(error).toMatchObject({ code: '57P01' });
    expect(String(error.message)).toMatch(/ends a session after 3 s \(limits.maxTime\)/);
    await expect.poll(() => connection.lines.map((line) => line['event'])).toContain('uploaded');
    expect(connection.lines.find(({ event }) => event === 'ended')).toMatchObject({
      session: connection.session,
      reason: 'expired',
    });
    const next = new pg.Client({ connectionString: connection.url });
    next.on('error', () => undefined);
    await next.connect();
    expect(connection.lines.find(({ event }) => event === 'session')).toBeDefined();
    await connection.close();
    expect(connection.lines.map((line) => line['event'])).toContain('closing');
  });

  test('a policy that takes the access away ends live sessions within seconds', async () => {
    await using connection = await bench.connect('devin');
    const client = new pg.Client({ connectionString: connection.url });
    const failure = once(client, 'error');
    client.on('error', () => undefined);
    await client.connect();
    await client.query('SELECT 1');
    const repository = bench.demo.policy;
    await repository.commit({
      files: {
        'policies/engineers.yaml': (await import('../../src/demo/sample-policy.ts'))
          .samplePolicy({ issuer: bench.demo.issuer, clientId: 'hoop-cli' })
          ['policies/engineers.yaml']?.replace('[engineering, agents, dba]', '[engineering, dba]'),
      },
      message: 'policy: no agents',
    });
    const [error] = await failure;
    expect(error).toMatchObject({ code: '57P01' });
    // The port stays; each connection learns that there is no access any more.
    for (const _ of [1, 2]) {
      const refused = new pg.Client({ connectionString: connection.url });
      await expect(refused.connect()).rejects.toMatchObject({
        severity: 'FATAL',
        message: expect.stringContaining('no access to target "prod-db"'),
      });
    }
    expect(connection.service.log().match(/cannot be opened/g)).toHaveLength(1);
    await connection.close();
    const denied = await bench.hoop('devin', 'connect', 'prod-db', '--json');
    expect(denied.exitCode).toBe(4);
  });

  test('`sessions end` ends one’s own session from elsewhere, and everyone is told why', async () => {
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url });
    const failure = once(client, 'error');
    client.on('error', () => undefined);
    await client.connect();
    const run = await bench.hoop(
      'engineer',
      'sessions',
      'end',
      'last',
      '--reason',
      'INC-7',
      '--json',
    );
    const endMessage = 'the hoop session was ended by its owner: INC-7';
    expect(JSON.parse(run.stdout)).toEqual({
      v: 1,
      session: connection.session,
      endReason: 'closed',
      endMessage,
      logins: 0,
    });
    expect(run.exitCode).toBe(0);
    const [error] = await failure;
    expect(error).toMatchObject({ code: '57P01', message: endMessage });
    expect(await connection.service.exited).toBe(0);
    expect(connection.lines.find(({ event }) => event === 'closing')).toMatchObject({
      reason: 'closed',
      message: endMessage,
    });
    // Both sides have it: the client's record is countersigned, and the replay is read from it.
    const replay = await bench.hoop('engineer', 'sessions', 'replay', connection.session);
    expect(replay.stdout).toContain('✓ verified (two-sided');
    expect(replay.stdout).toContain(endMessage);
  });

  test('libpq gives a program that waits for notifications the reason, as FATAL of the server', async () => {
    await using connection = await bench.connect('engineer');
    // Debian's, which its packages are for; PATH may have another.
    const child = spawn('/usr/bin/python3', ['-c', LISTENER, connection.url]);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('waits');
    await bench.hoop('engineer', 'sessions', 'end', connection.session, '--reason', 'INC-7');
    expect((await lines.next()).value).toContain(
      'FATAL:  the hoop session was ended by its owner: INC-7',
    );
  });

  test('an approver ends another’s session with its statement; a colleague cannot, nor is one told of it', async () => {
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url });
    client.on('error', () => undefined);
    await client.connect();
    const cutOff = client.query('SELECT pg_sleep(3600)').catch((error: unknown) => error);
    await expect.poll(() => bench.running('pg_sleep(3600)')).toBe(1);
    const colleague = await bench.hoop('devin', 'sessions', 'end', connection.session);
    expect(colleague.exitCode).toBe(1);
    expect(colleague.stderr).toContain('there is no such session');
    const live = await bench.hoop('dba', 'sessions', 'list', '--live', '--json');
    expect(live.stdout).toContain(connection.session);
    const start = connection.session.slice(0, 18);
    const run = await bench.hoop('dba', 'sessions', 'kill', start, '--reason', 'maintenance');
    expect(run.exitCode).toBe(0);
    expect(await cutOff).toMatchObject({
      code: '57P01',
      message: expect.stringMatching(/ended by dba@\S+: maintenance$/),
    });
    expect(run.stderr).toMatch(/ended by dba@\S+: maintenance/);
    await expect
      .poll(() => connection.lines.find(({ event }) => event === 'ended'))
      .toMatchObject({
        session: connection.session,
        reason: 'revoked',
        message: expect.stringMatching(/ended by dba@\S+: maintenance$/),
      });
    const again = await bench.hoop('dba', 'sessions', 'end', connection.session);
    expect(again.exitCode).toBe(1);
    // Of sessions that have ended an approver is told nothing, by this way neither.
    expect(again.stderr).toContain('there is no such session');
  });

  test('Ctrl-C in `hoop connect` tells an open connection who closed the session', async () => {
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url });
    const failure = once(client, 'error');
    client.on('error', () => undefined);
    await client.connect();
    const closed = connection.close();
    const [error] = await failure;
    expect(error).toMatchObject({
      code: '57P01',
      message: 'the hoop session was closed by its owner',
    });
    expect(await closed).toBe(130);
  });
});
