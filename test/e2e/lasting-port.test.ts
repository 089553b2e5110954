/** The local port of `hoop connect` outlives its sessions: one ends, the next connection opens another. */
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LAUNCHER, startHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, Connection, openBench } from './demo-bench.ts';
import { startProgram } from './live-program.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const ONE = 'SELECT 1 AS one';

function events(connection: Connection, event: string): Record<string, unknown>[] {
  return connection.lines.filter((line) => line['event'] === event);
}

async function ended(connection: Connection, count = 1): Promise<Record<string, unknown>> {
  await expect.poll(() => events(connection, 'ended').length).toBe(count);
  return events(connection, 'ended').at(-1) ?? {};
}

/** A pool of one connection, whose lost connections are errors that it survives. */
function poolOf(url: string): { pool: pg.Pool; lost: Error[] } {
  const lost: Error[] = [];
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on('error', (error) => lost.push(error));
  return { pool, lost };
}

describe('the port of `hoop connect`', () => {
  test('serves a pool again with the same URL after the gateway restarts, in a session of its own', async () => {
    await using connection = await bench.connect('engineer');
    const { pool, lost } = poolOf(connection.url);
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
    const held = await pool.connect();
    held.on('error', () => undefined);
    const open = held.query('SELECT pg_sleep(3600)').catch((error: unknown) => error);
    await expect.poll(() => bench.running('pg_sleep(3600)')).toBe(1);
    await bench.demo.restartGateway();
    // It had been sent, and is not sent again.
    expect(await open).toMatchObject({ severity: 'FATAL', code: '57P01' });
    held.release(true);
    expect(await ended(connection)).toMatchObject({
      session: connection.session,
      reason: 'gateway_shutdown',
    });
    expect(await bench.running('pg_sleep(3600)')).toBe(0);
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
    const [next] = events(connection, 'session');
    expect(next).toMatchObject({ target: 'prod-db', masked: expect.any(Array), v: 1 });
    expect(next?.['session']).not.toBe(connection.session);
    await pool.end();
    expect(await connection.close()).toBe(130);
    // Both are signed by both sides, each by itself.
    const uploaded = events(connection, 'uploaded');
    expect(uploaded.map(({ session }) => session).toSorted()).toEqual(
      [connection.session, next?.['session']].toSorted(),
    );
    expect(lost.length).toBeLessThanOrEqual(1);
    const both = await bench.sessions('engineer');
    expect(both.map(({ id }) => id)).toContain(next?.['session']);
  });

  test('stays while the gateway is killed and away: connections get the reason until it is back', async () => {
    await using connection = await bench.connect('engineer');
    const { pool } = poolOf(connection.url);
    await pool.query(ONE);
    bench.demo.gatewayProcess().kill('SIGKILL');
    await bench.demo.gatewayProcess().exited;
    expect(await ended(connection)).toMatchObject({ reason: 'partition' });
    await expect(pool.query(ONE)).rejects.toMatchObject({
      severity: 'FATAL',
      code: '08006',
      message: expect.stringContaining('cannot reach gateway'),
    });
    await bench.demo.restartGateway();
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
    await pool.end();
    await connection.close();
    expect(events(connection, 'uploaded')).toHaveLength(2);
  });

  test('ends a session that was idle for too long, and opens another for the next connection', async () => {
    await bench.commitPolicy({
      'policies/auditors.yaml': `name: idlers
who: { groups: [auditors] }
targets: { names: [prod-db] }
limits: { idleTime: 1s }
rules:
  - name: read-orders
    allow: { verbs: [select], relations: [public.orders] }
`,
    });
    await using connection = await bench.connect('auditor');
    expect(await ended(connection)).toMatchObject({ reason: 'idle' });
    const client = new pg.Client({ connectionString: connection.url });
    await client.connect();
    const gone = once(client, 'error');
    client.on('error', () => undefined);
    expect((await client.query('SELECT count(*) > 0 AS some FROM orders')).rows).toEqual([
      { some: true },
    ]);
    const [error] = await gone;
    expect(error).toMatchObject({ code: '57P01' });
    expect(await ended(connection, 2)).toMatchObject({ reason: 'idle' });
  });

  test('keeps the DATABASE_URL of a long-running command good across a restart of the gateway', async () => {
    const program = `
      const { createInterface } = require('node:readline');
      const pg = require(${JSON.stringify(join(import.meta.dirname, '../../node_modules/pg'))});
      const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1 });
      pool.on('error', () => undefined);
      createInterface({ input: process.stdin }).on('line', () =>
        pool.query('SELECT 1').then(
          ({ rowCount }) => console.log('rows ' + rowCount),
          ({ message }) => console.log('error ' + message),
        ),
      ).on('close', () => pool.end());
      console.log('started');
    `;
    const command = [process.execPath, '-e', program];
    const live = startProgram(
      process.execPath,
      [LAUNCHER, 'connect', 'prod-db', '--', ...command],
      { home: bench.home('engineer') },
    );
    await live.sees('started');
    live.type('\n');
    await live.sees(/rows 1\n$/);
    await bench.demo.restartGateway();
    await expect.poll(live.errors).toContain('the next connection opens a new session');
    live.type('\n');
    await live.sees(/(rows 1\n){2}$/);
    live.child.stdin?.end();
    expect(await live.ended).toEqual([0, null]);
    expect(live.errors().match(/\(recorded\)/g)).toHaveLength(2);
  });

  test('closes with its reason when the login behind it ends', async () => {
    await using connection = await bench.connect('dba');
    await bench.hoop('dba', 'logout');
    expect(await connection.service.exited).not.toBe(0);
    expect(events(connection, 'closing')).toMatchObject([{ reason: 'revoked' }]);
  });
});

describe('`hoop connect --forever`', () => {
  async function forever(...flags: string[]): Promise<Connection> {
    const lines: Record<string, unknown>[] = [];
    const args = ['connect', 'prod-db', '--forever', '--json', ...flags];
    const service = await startHoop(args, 'listening', {
      home: bench.home('engineer'),
      onLine: (line) => lines.push({ ...line }),
    });
    return new Connection(service, lines);
  }

  test('has the same URL after a restart, and opens a session for the first connection', async () => {
    let url: string;
    {
      await using first = await forever();
      ({ url } = first);
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.end();
      await first.close();
    }
    const client = new pg.Client({ connectionString: url });
    await expect(client.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await using again = await forever();
    expect(again.url).toBe(url);
    expect(again.service.ready).not.toHaveProperty('session');
    const { pool } = poolOf(url);
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
    expect(events(again, 'session')).toHaveLength(1);
    await pool.end();
    // Another start finds the port in use, and says so.
    const args = ['connect', 'prod-db', '--forever'];
    const second = await bench.hoop('engineer', ...args);
    expect(second.exitCode).not.toBe(0);
    expect(second.stderr).toContain('Another program listens there.');
    await again.close();
  });

  test('keeps the port when the session is ended by its owner, and refuses servers', async () => {
    await using connection = await forever();
    const client = new pg.Client({ connectionString: connection.url });
    client.on('error', () => undefined);
    await client.connect();
    await bench.hoop('engineer', 'sessions', 'end', 'last');
    expect(await ended(connection)).toMatchObject({ reason: 'closed' });
    const { pool } = poolOf(connection.url);
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
    await pool.end();
    const server = await bench.hoop('engineer', 'connect', 'web-1', '--forever');
    expect(server.exitCode).toBe(2);
    expect(server.stderr).toContain('hoop ssh-config --write');
  });
});
