/**
 * A gateway that stands still for longer than its lease (SIGSTOP), with a second one on the same
 * PostgreSQL store: what has come meanwhile goes on only where nobody has taken it over.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEASE_MS } from '../../src/gateway/nodes/node-store.ts';
import { type Bench, type Connection, openBench } from './demo-bench.ts';
import { KillNeighbour } from './kill-neighbour.ts';
import { type KilledStore, openKilledStore } from './kill-store.ts';

const ENDS_AFTER_SECONDS = 1;

let secrets: string;
let store: KilledStore;
let bench: Bench;
let neighbour: KillNeighbour;
let target: pg.Client;

beforeAll(async () => {
  secrets = mkdtempSync(join(tmpdir(), 'hoop-stood-still-'));
  store = await openKilledStore('postgres', secrets);
  const more = [`  endSessionsAfterSeconds: ${ENDS_AFTER_SECONDS}`];
  bench = await openBench({ gatewayConfig: [...store.gatewayConfig, ...more] });
  target = new pg.Client({ connectionString: bench.demo.target.adminUrl });
  await target.connect();
  neighbour = await KillNeighbour.start(bench, target, store);
});
afterAll(async () => {
  bench.demo.gatewayProcess().kill('SIGCONT');
  await target.end();
  await neighbour[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  rmSync(secrets, { recursive: true, force: true });
});

const changed = async (note: string): Promise<number> => {
  const sql = 'SELECT 1 FROM public.orders WHERE status = $1';
  return (await target.query(sql, [note])).rows.length;
};

async function clientOf(connection: Connection): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: connection.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('SELECT 1');
  return client;
}

/** Beyond the lease, by any clock. */
const untilLeaseIsOver = () => sleep(LEASE_MS + ENDS_AFTER_SECONDS * 1000 + 1000);

async function nodeIsLive(): Promise<boolean> {
  const id = readFileSync(join(bench.demo.directory, 'gateway', 'node-id'), 'utf8').trim();
  const [rows = []] = await store.read('', `SELECT state FROM nodes WHERE id = '${id}'`);
  return rows[0]?.['state'] === 'live';
}

test('goes on with what waited, when nobody has taken it over', async () => {
  await using connection = await bench.connect('engineer');
  const client = await clientOf(connection);
  const gateway = bench.demo.gatewayProcess();
  gateway.kill('SIGSTOP');
  const sent = client.query(`UPDATE orders SET status = 'stood still' WHERE id = 1`);
  await untilLeaseIsOver();
  expect(await changed('stood still')).toBe(0);
  gateway.kill('SIGCONT');
  await sent;
  expect(await changed('stood still')).toBe(1);
  expect(await nodeIsLive()).toBe(true);
  await client.end();
});

test('forwards nothing of what waited, when it has been taken over', async () => {
  await using connection = await bench.connect('engineer');
  await using other = await neighbour.connect();
  const clients = [await clientOf(connection), await clientOf(connection)];
  const gateway = bench.demo.gatewayProcess();
  gateway.kill('SIGSTOP');
  const sent = clients.map((client, id) =>
    client.query(`UPDATE orders SET status = 'taken over' WHERE id = ${id + 1}`).catch(String),
  );
  await untilLeaseIsOver();
  const refused: string[] = [];
  await neighbour.takeOver((what, isTrue, seen) => {
    if (!isTrue) refused.push(`${what}: ${String(seen())}`);
  }, other);
  expect(refused).toEqual([]);
  gateway.kill('SIGCONT');
  await Promise.all(sent);
  expect(await changed('taken over')).toBe(0);
  expect(await nodeIsLive()).toBe(false);
});
