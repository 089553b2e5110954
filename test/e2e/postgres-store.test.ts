/** A gateway that keeps its state in PostgreSQL, started as its operator would, with the CLI. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../postgres-template.ts';
import { type Bench, openBench } from './demo-bench.ts';

let server: EmbeddedPostgres;
let directory: string;
let store: pg.Client;
let bench: Bench;

beforeAll(async () => {
  server = await startTestPostgres();
  directory = await mkdtemp(join(tmpdir(), 'hoop-store-'));
  await writeFile(join(directory, 'password'), server.password, { mode: 0o600 });
  const first = new pg.Client({ connectionString: server.url() });
  await first.connect();
  await first.query(`CREATE DATABASE hoop TEMPLATE template0 ENCODING 'UTF8'`);
  await first.end();
  store = new pg.Client({ connectionString: server.url('hoop') });
  store.on('error', () => undefined);
  await store.connect();
  bench = await openBench({
    gatewayConfig: [
      'store:',
      `  url: postgres://${server.host}:${server.port}/hoop`,
      `  user: ${server.user}`,
      `  password: { file: ${join(directory, 'password')} }`,
      '  tls: { mode: disable }',
    ],
  });
  await bench.commitPolicy({
    'policies/orders-need-approval.yaml': `name: orders-need-approval
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: deletes
    approve: { verbs: [delete], relations: [public.orders] }
`,
  });
});

afterAll(async () => {
  await store.end();
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const count = async (table: string): Promise<number> =>
  Number((await store.query(`SELECT count(*) AS n FROM ${table}`)).rows[0].n);

test('logs in, records, holds, releases, replays and finds, and a restart forgets nothing', async () => {
  expect(await count('refresh_families')).toBeGreaterThan(1);
  const read = await bench.psql('engineer', 'SELECT id, email FROM customers ORDER BY id LIMIT 1');
  expect(read.exitCode, read.stderr).toBe(0);
  const [session] = await bench.sessions('engineer');
  await expect.poll(() => count('statements')).toBeGreaterThan(0);
  const replay = await bench.hoop('engineer', 'sessions', 'replay', String(session?.['id']));
  expect(replay.stdout).toContain('SELECT id, email FROM customers');
  const found = await bench.hoop(
    'engineer',
    'sessions',
    'search',
    'email FROM customers',
    '--json',
  );
  expect(found.stdout).toContain(String(session?.['id']));

  await using connection = await bench.connect('engineer', '--reason', 'INC-9');
  const client = new pg.Client({ connectionString: connection.url });
  client.on('error', () => undefined);
  await client.connect();
  const deleted = client.query('DELETE FROM orders WHERE id = 1');
  await expect.poll(() => connection.lines.some(({ event }) => event === 'held')).toBe(true);
  const held = connection.lines.find(({ event }) => event === 'held');
  const decided = await bench.hoop('dba', 'approvals', 'approve', String(held?.['request']));
  expect(decided.exitCode, decided.stderr).toBe(0);
  await deleted;
  await client.end();
  await connection.close();
  expect(await count('approval_votes')).toBe(1);

  const blocked = await bench.hoop('dba', 'access', 'block', 'devin', '--reason', 'left');
  expect(blocked.exitCode, blocked.stderr).toBe(0);
  await bench.demo.restartGateway('SIGKILL');
  expect((await bench.psql('engineer', 'SELECT 1')).exitCode).toBe(0);
  const ids = (await bench.sessions('engineer')).map(({ id }) => id);
  expect(ids).toContain(session?.['id']);
  expect((await bench.psql('devin', 'SELECT 1')).stderr).toMatch(/blocked|ended/);
});
