import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { childEnvironment } from '../../src/demo/hoop-process.ts';
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
