/** A gateway whose store goes away, and comes back. Real PostgreSQL, stopped as a machine stops. */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BLOCK_PATHS, BlockReply } from '../../../src/api/blocks.ts';
import { API_VERSION } from '../../../src/api/http.ts';
import { jsonBody } from '../../../src/client/gateway-client.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { requestSession, TestSession } from '../test-session.ts';

let server: EmbeddedPostgres;
let bench: GatewayBench;
let isStopped = false;

async function ask(text: string, database = 'hoop'): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** All of its processes: the server's own would be started anew by it. */
async function signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  const pids = name === 'SIGSTOP' ? await backends() : stopped;
  stopped = pids;
  for (const pid of pids) process.kill(pid, name);
  isStopped = name === 'SIGSTOP';
}
let stopped: number[] = [];
async function backends(): Promise<number[]> {
  const rows = await ask(
    `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'hoop'`,
  );
  return [server.processId, ...rows.map(({ pid }) => Number(pid))];
}

const happened = (name: string): boolean => bench.log.events.some(({ event }) => event === name);

async function storeSection(endSessionsAfterSeconds: number, database = 'hoop'): Promise<string> {
  const file = join(tmpdir(), `hoop-store-password-${process.pid}`);
  await writeFile(file, server.password, { mode: 0o600 });
  return `store:
  url: postgres://${server.host}:${server.port}/${database}
  user: ${server.user}
  password: { file: "${file}" }
  tls: { mode: disable }
  endSessionsAfterSeconds: ${endSessionsAfterSeconds}
`;
}

async function start(endSessionsAfterSeconds: number): Promise<void> {
  bench = await startGatewayBench({ config: await storeSection(endSessionsAfterSeconds) });
}

beforeEach(async () => {
  server = await startTestPostgres();
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  await client.query(`CREATE DATABASE hoop TEMPLATE template0 ENCODING 'UTF8'`);
  await client.end();
});
afterEach(async () => {
  if (isStopped) await signal('SIGCONT');
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('refuses sessions, ends those that live after the time that is set, and goes on when it is back', async () => {
  await start(2);
  const session = await TestSession.open(bench, 'engineer');
  await signal('SIGSTOP');
  await session.message('closing');
  expect(session.evidence.at(-1)).toMatchObject({
    type: 'closing',
    reason: 'store_unavailable',
    message: 'the gateway’s store has not answered for 2 s',
  });
  const client = await bench.client('engineer');
  await expect(requestSession(bench, client)).rejects.toMatchObject({
    code: 'HOOP_STORE_UNAVAILABLE',
  });
  await signal('SIGCONT');
  await expect.poll(() => happened('store.back'), { timeout: 60_000 }).toBe(true);
  const again = await TestSession.open(bench, client);
  await again.close();
});

test('a look at logins that fails ends nobody, and a block that cannot be written holds', async () => {
  await start(3600);
  const session = await TestSession.open(bench, 'engineer');
  const approver = await bench.client('dba');
  await signal('SIGSTOP');
  await bench.policy.commit({ files: { 'README.md': 'a commit' }, message: 'looks at all logins' });
  await expect.poll(() => happened('store.away'), { timeout: 60_000 }).toBe(true);
  await signal('SIGCONT');
  await expect.poll(() => happened('store.back'), { timeout: 60_000 }).toBe(true);
  expect(session.evidence.map(({ type }) => type)).not.toContain('closing');

  await ask('ALTER DATABASE hoop SET default_transaction_read_only = on', 'postgres');
  await ask(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hoop'`,
    'postgres',
  );
  const away = () => bench.log.events.filter(({ event }) => event === 'store.away').length;
  await expect.poll(away, { timeout: 60_000 }).toBeGreaterThan(1);
  const body = jsonBody({ v: API_VERSION, who: 'engineer@example.com', reason: 'INC-1' });
  const path = BLOCK_PATHS.blocks;
  const block = () => approver.json(BlockReply, { method: 'POST', path, body }, bench.signal);
  const reply = await block();
  expect(reply).toMatchObject({ isKept: false, sessions: 1, logins: 0 });
  await session.message('closing');
  expect(session.evidence.at(-1)).toMatchObject({ type: 'closing', reason: 'revoked' });
  await ask('ALTER DATABASE hoop RESET default_transaction_read_only', 'postgres');
  await ask(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hoop'`,
    'postgres',
  );
  await expect.poll(() => happened('access.block_kept'), { timeout: 60_000 }).toBe(true);
  expect(await ask('SELECT id FROM blocks')).toEqual([{ id: reply.block.id }]);
  // With it the logins end: else they would be there again when the block is lifted.
  const live = "SELECT id FROM refresh_families WHERE sub = 'engineer' AND revoked = 0";
  await expect.poll(() => ask(live), { timeout: 60_000 }).toEqual([]);
});

test('is not changed for another one in silence: who is blocked would be let in again', async () => {
  const options = { config: await storeSection(3600) };
  bench = await startGatewayBench(options);
  options.config = '';
  await expect(bench.restart()).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
    message: 'the gateway has kept its state in another database so far',
  });
  await ask('CREATE DATABASE other TEMPLATE template0', 'postgres');
  options.config = await storeSection(3600, 'other');
  await expect(bench.restart()).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  // Nothing was made that stands in the way back.
  options.config = await storeSection(3600);
  await bench.restart();
  await TestSession.open(bench, 'engineer').then((session) => session.close());
});
