/** `hoop run` around its child: programs that know nothing of hoop, and signals. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { childOf } from '../../src/run/child-of.ts';
import { type Bench, openBench } from './demo-bench.ts';
import {
  type LiveProgram,
  newestSession,
  startProgram,
  startRun,
  verifyOffline,
} from './live-program.ts';

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
    expect(result.stdout).toContain('verified (two-sided');
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

  test.each([
    { title: 'a run', flags: [], terminal: false },
    { title: 'a fenced run', flags: ['--fence'], terminal: false },
    { title: 'a run on a terminal', flags: [], terminal: true },
    { title: 'a fenced run on a terminal', flags: ['--fence'], terminal: true },
  ])('$title keeps one that comes while its program is being started', async (way) => {
    const words = [LAUNCHER, 'run', ...way.flags, '--', 'sleep', '600'];
    const options = { home: bench.home('engineer') };
    const shell = ['exec', process.execPath, ...words].map((word) => `'${word}'`).join(' ');
    const run = way.terminal
      ? startProgram('script', ['-qfec', shell.replaceAll("'exec'", 'exec'), '/dev/null'], options)
      : startProgram(process.execPath, words, options);
    const said = way.terminal ? run.child.stdout : run.child.stderr;
    // The last that hoop says before it starts the program.
    said?.once('data', () => {
      const hoop = way.terminal ? childOf(run.child.pid ?? 0) : run.child.pid;
      process.kill(hoop ?? 0, 'SIGTERM');
    });
    const [status, signal] = await run.ended;
    expect(signal ?? status, run.errors()).toBeOneOf([143, 'SIGTERM']);
  });
});
