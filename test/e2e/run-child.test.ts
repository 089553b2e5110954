/** `hoop run` around its child: programs that know nothing of hoop, and signals. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench } from './demo-bench.ts';
import { type LiveProgram, newestSession, startRun, verifyOffline } from './live-program.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-run-'));
  bench = await openBench();
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await bench?.[Symbol.asyncDispose]();
});

const start = (...command: string[]): LiveProgram => startRun(bench, ...command);

describe('programs that know nothing of hoop', () => {
  test('a Node.js script with pg reads the first variable that it knows', async () => {
    const script = join(directory, 'report.mjs');
    const pg = import.meta.resolve('pg');
    writeFileSync(
      script,
      `import pg from ${JSON.stringify(pg)};
       const one = new pg.Client({ connectionString: process.env.DATABASE_URL });
       const two = new pg.Client();
       await one.connect(); await two.connect();
       const { rows } = await one.query('SELECT card_number FROM customers LIMIT 1');
       console.log(JSON.stringify(rows));
       await two.query('DROP TABLE orders').catch((error) => console.log(error.code));
       await one.end(); await two.end();`,
    );
    const run = start(process.execPath, script);
    expect(await run.ended, run.errors()).toEqual([0, null]);
    expect(run.output()).toBe('[{"card_number":"****"}]\n42501\n');
  });

  test('a Python script with psycopg2 connects with what libpq finds', async () => {
    const script = join(directory, 'report.py');
    writeFileSync(
      script,
      `import os, psycopg2
connection = psycopg2.connect("")
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) > 0 FROM orders WHERE id = ANY(%s)", ([1, 2, 3],))
    print(cursor.fetchone()[0])
connection.close()
connection = psycopg2.connect("service=prod-db")
print(connection.info.dbname)
print(any("PASSWORD" in name for name in os.environ))
`,
    );
    const run = start('/usr/bin/python3', script);
    expect(await run.ended, run.errors()).toEqual([0, null]);
    expect(run.output()).toBe('True\nshop\nFalse\n');
  });
});

describe('signals', () => {
  test('a child that a signal ends is followed by hoop, with its recording delivered', async () => {
    const run = start('sh', '-c', 'psql -XAtc "SELECT 1"; kill -9 $$');
    expect(await run.ended, run.errors()).toEqual([null, 'SIGKILL']);
    const result = await verifyOffline(bench, directory, await newestSession(bench));
    expect(result.output).toContain('verified (two-sided');
  });

  test('a signal that would write a core of hoop is told by the exit status', async () => {
    expect(await start('sh', '-c', 'kill -SEGV $$').ended).toEqual([139, null]);
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2'] as const)(
    '%s reaches the child, and its exit status comes back',
    async (signal) => {
      const name = signal.slice(3);
      const run = start('sh', '-c', `trap "exit 9" ${name}; echo up; while :; do sleep 0.1; done`);
      await run.sees('up');
      run.child.kill(signal);
      expect(await run.ended, run.errors()).toEqual([9, null]);
    },
  );
});
