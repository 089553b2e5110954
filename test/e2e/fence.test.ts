/** `hoop run --fence` with a real bwrap: what is not there inside and there outside, and what works. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HoopRun, runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** A script under `hoop run`, with or without the fence. */
function run(script: string, flags: readonly string[] = [], variables = {}): Promise<HoopRun> {
  const args = ['run', '--target', 'prod-db', ...flags, '--', 'sh', '-c', script];
  return runHoop(args, { home: bench.home('engineer'), variables });
}

describe('programs reach the target from inside', () => {
  test('psql, by its environment and by a URL', async () => {
    const script = 'psql -XAtc "SELECT 1" && psql -XAt "$HOOP_PROD_DB_URL" -c "SELECT 2"';
    const result = await run(script, ['--fence']);
    expect(result).toMatchObject({ stdout: '1\n2\n', exitCode: 0 });
  });
});
