import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialVariables } from '../../src/demo/gateway-files.ts';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

const run = promisify(execFile);

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

test('a full disk on the client ends the session with the reason, and the recording is settled later', async () => {
  // What else hoop keeps is there then, and need not be written.
  expect((await bench.psql('engineer', 'SELECT 1')).exitCode).toBe(0);
  // RLIMIT_FSIZE of 24 KiB: ignoring SIGXFSZ makes the write fail, as on a full disk. A journal is no
  // larger than that for long, but what no cut covers is, after some hundred answers.
  const limited = 'trap "" XFSZ; ulimit -f 24; exec "$0" "$@"';
  const select = "SELECT 'row-' || g || repeat('x', 200) FROM generate_series(1, 200000) g";
  const psql = ['psql', '-X', '-A', '-t', '-v', 'FETCH_COUNT=50', '-c', select];
  const hoop = [process.execPath, 'bin/hoop.js', 'connect', 'prod-db', '--', ...psql];
  const failed: unknown = await run('bash', ['-c', limited, ...hoop], {
    env: childEnvironment({ home: bench.home('engineer') }),
    maxBuffer: 1 << 28,
  }).catch((error: unknown) => error);
  // As psql reports it: the connection broke.
  expect(failed).toMatchObject({ code: 2 });
  const stderr = String(Object(failed).stderr);
  expect(stderr).toContain('the recording cannot be written');
  expect(stderr).not.toMatch(/^\s+at /m);

  const next = await bench.psql('engineer', 'SELECT 1');
  expect(next.exitCode).toBe(0);
  const [, session] = await bench.sessions('engineer');
  expect(session).toMatchObject({ state: 'uploaded' });
});

/** `hoop` whose stderr is on a disk without room. @returns once it is listening */
async function startWithFullLog(args: readonly string[], env: NodeJS.ProcessEnv) {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [LAUNCHER, ...args, '--json'], {
    env,
    stdio: ['ignore', 'pipe', full],
  });
  closeSync(full);
  const exited = once(child, 'exit');
  let text = '';
  for await (const part of child.stdout ?? []) {
    text += String(part);
    if (text.includes('\n')) break;
  }
  const ready: Record<string, unknown> = JSON.parse(text.split('\n')[0] ?? '');
  expect(ready['event']).toBe('listening');
  return {
    ready,
    end: async () => {
      child.kill('SIGINT');
      return (await exited)[0];
    },
  };
}

test('a full disk under the log of a client ends no session', async () => {
  const env = childEnvironment({ home: bench.home('engineer') });
  const connect = await startWithFullLog(['connect', 'prod-db'], env);
  const client = new pg.Client({ connectionString: String(connect.ready['url']) });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  expect(await connect.end()).toBe(130);
  const [session] = await bench.sessions('engineer');
  expect(session).toMatchObject({ id: connect.ready['session'], state: 'uploaded' });
});

test('a full disk under the log of the gateway ends nobody’s session', async () => {
  const { directory, target } = bench.demo;
  const gateway = bench.demo.gatewayProcess();
  gateway.kill('SIGTERM');
  await gateway.exited;
  const env = childEnvironment({
    home: join(directory, 'gateway-home'),
    variables: credentialVariables({ 'prod-db': target }),
  });
  const config = join(directory, 'gateway.yaml');
  const logless = await startWithFullLog(['gateway', 'start', '--config', config], env);
  try {
    expect((await bench.psql('engineer', 'SELECT 1')).exitCode).toBe(0);
    expect((await bench.sessions('engineer'))[0]).toMatchObject({ state: 'uploaded' });
  } finally {
    expect(await logless.end()).toBe(0);
    await bench.demo.restartGateway();
  }
});
