/** `hoop connect --tls`: what a person types, and what programs find in their environment. */
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

test('psql as the command checks the certificate and reaches the target through TLS', async () => {
  const run = await bench.hoop(
    'engineer',
    ...['connect', 'prod-db', '--tls', '--', 'psql', '-X', '-c', '\\conninfo'],
    ...['-c', 'SELECT count(*) > 0 AS works FROM customers'],
  );
  expect(run.stdout).toContain('SSL connection (protocol: TLSv1.3');
  expect(run.stdout).toMatch(/works\s+-+\s+t/);
  expect(run.exitCode).toBe(0);
});

test('a running session takes its own CA and no connection without TLS, and removes its files', async () => {
  const connection = await bench.connect('engineer', '--tls');
  const { sslmode, sslrootcert } = connection.service.ready;
  expect(sslmode).toBe('verify-full');
  const caFile = String(sslrootcert);
  expect(statSync(caFile).mode & 0o777).toBe(0o600);

  const client = new pg.Client({ connectionString: connection.url });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();

  const plain = new URL(connection.url);
  plain.search = '?sslmode=disable';
  await expect(
    promisify(execFile)('psql', ['-X', '-d', plain.href, '-c', 'SELECT 1']),
  ).rejects.toThrow('accepts only TLS connections');
  await connection.close();
  expect(connection.lines.find(({ event }) => event === 'closing')).toMatchObject({
    refused: { 'no TLS': 1 },
  });
  expect(existsSync(caFile)).toBe(false);
});

test.each([
  ['--tls with a socket', ['--socket', '--tls'], '--socket and --tls exclude each other'],
  ['--allow-uid with a socket', ['--socket', '--allow-uid', '1'], '--socket and --allow-uid'],
  ['a uid that is a name', ['--allow-uid', 'alice'], 'A uid is a number'],
])('%s is refused before there is a session', async (_title, flags, message) => {
  const run = await bench.hoop('engineer', 'connect', 'prod-db', ...flags, '--', 'true');
  expect(run.stderr).toContain(message);
  // 255: with a command, failures of hoop's own.
  expect([2, 255]).toContain(run.exitCode);
  expect(run.stdout).toBe('');
});
