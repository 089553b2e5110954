/** The end of a login ends what hangs on it: sessions that are live, on this machine and on others. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { completeLogin } from '../../src/demo/complete-login.ts';
import { runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Another machine of the same person. */
async function logInElsewhere(name: string, directory: string): Promise<string> {
  const home = join(bench.demo.directory, 'homes', directory);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const account = bench.demo.accounts.find((one) => one.name === name);
  if (account === undefined) {
    throw new Error(`there is no account "${name}"`);
  }
  let page: Promise<void> | undefined;
  const { gateway, ca } = bench.demo;
  const login = await runHoop(['login', '--gateway', gateway, '--ca', ca, '--no-browser'], {
    home,
    variables: { HOOP_TOKEN_STORE: 'file' },
    onStderr: (line) => {
      const url = /https?:\/\/\S*client_id=\S+/.exec(line)?.[0];
      page ??= url === undefined ? undefined : completeLogin(url, account);
    },
  });
  await page;
  expect(login.exitCode, login.stderr).toBe(0);
  return home;
}

/** A statement that would run for a minute. @returns what it ended with */
async function startLong(url: string): Promise<{ ended: () => string | undefined }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  let ended: string | undefined;
  client.query('SELECT 4711, pg_sleep(3600) FROM orders LIMIT 1').then(
    () => {
      ended = 'done';
    },
    (error: unknown) => {
      ended = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    },
  );
  await expect.poll(() => bench.running('4711, pg_sleep')).toBe(1);
  return { ended: () => ended };
}

test('logout --all elsewhere ends a session in the middle of a statement, within 5 s', async () => {
  const elsewhere = await logInElsewhere('engineer', 'engineer-2');
  await using connection = await bench.connect('engineer');
  const long = await startLong(connection.url);
  const logout = await runHoop(['logout', '--all', '--json'], { home: elsewhere });
  expect(JSON.parse(logout.stdout)).toMatchObject({ endedAtGateway: true });
  await expect.poll(long.ended).toBe('57P01');
  await expect.poll(() => bench.running('4711, pg_sleep')).toBe(0);
  // Exit 3 rather than 4: the recording could not be delivered with a login that is over.
  expect([3, 4, 1]).toContain(await connection.service.exited);
  expect((await bench.hoop('engineer', 'whoami')).exitCode).toBe(3);
  const [last] = (await bench.sessions('auditor')).filter(({ id }) => id === connection.session);
  expect(last).toMatchObject({
    endReason: 'revoked',
    endMessage: 'the person logged out (`hoop logout`)',
  });
});

test('logout of one login ends its sessions, and those of the same person’s others go on', async () => {
  const first = await logInElsewhere('dba', 'dba-2');
  await using other = await bench.connect('dba');
  const { startHoop } = await import('../../src/demo/hoop-process.ts');
  await using own = await startHoop(['connect', 'prod-db', '--json'], 'listening', { home: first });
  const long = await startLong(String(own.ready['url']));
  expect((await runHoop(['logout'], { home: first })).exitCode).toBe(0);
  await expect.poll(long.ended).toBe('57P01');
  await own.exited;
  const client = new pg.Client({ connectionString: other.url });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  expect((await bench.hoop('dba', 'whoami')).exitCode).toBe(0);
});

test('a run whose login was ended says once that its recording is not delivered', async () => {
  const home = await logInElsewhere('dba', 'dba-3');
  const statement = 'SELECT 4712, pg_sleep(3600) FROM orders LIMIT 1';
  const run = runHoop(['run', '--target', 'prod-db', '--', 'psql', '-Xc', statement], { home });
  await expect.poll(() => bench.running('4712, pg_sleep')).toBe(1);
  expect((await runHoop(['logout', '--all'], { home: bench.home('dba') })).exitCode).toBe(0);
  const { exitCode, stderr } = await run;
  expect(exitCode).toBe(255);
  expect(stderr.match(/not signed by both sides/g), stderr).toHaveLength(1);
  expect(stderr).not.toContain('earlier session');
});
