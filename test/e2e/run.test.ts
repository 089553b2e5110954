/** `hoop run` with the real gateway, PostgreSQL and programs that know nothing of hoop. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

function run(...args: string[]) {
  return bench.hoop('engineer', 'run', ...args);
}

describe('sessions', () => {
  test('none is opened for a command that does not connect', async () => {
    const before = (await bench.sessions('engineer')).length;
    const result = await run('--', 'sh', '-c', 'echo out; exit 3');
    expect(result).toMatchObject({ exitCode: 3, stdout: 'out\n' });
    expect(await bench.sessions('engineer')).toHaveLength(before);
  });

  test('one is opened by the first connection, used by the second, and uploaded at the end', async () => {
    const before = (await bench.sessions('engineer')).length;
    const script = 'psql -XAtc "SELECT 1" && psql -XAt "$HOOP_PROD_DB_URL" -c "SELECT 2"';
    const result = await run('--target', 'prod-db', '--', 'sh', '-c', script);
    expect(result.stdout).toBe('1\n2\n');
    expect(result.exitCode).toBe(0);
    const sessions = await bench.sessions('engineer');
    expect(sessions).toHaveLength(before + 1);
    expect(sessions[0]).toMatchObject({ target: 'prod-db', state: 'uploaded', statements: 2 });
  });

  test('what is denied looks as it does everywhere, and the command goes on', async () => {
    const result = await run(
      '--',
      'psql',
      '-X',
      '-c',
      'DROP TABLE orders',
      '-c',
      'SELECT 5 AS five',
    );
    expect(result.stderr).toContain('ERROR:');
    expect(result.stdout).toContain('five');
  });
});
