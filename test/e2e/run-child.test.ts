/** `hoop run` around its child: programs that know nothing of hoop, signals, the terminal, kill -9. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-run-'));
  bench = await openBench();
}, 240_000);
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await bench?.[Symbol.asyncDispose]();
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>;
  readonly output: () => string;
  readonly errors: () => string;
}

function start(program: string, args: readonly string[]): Running {
  const child = spawn(program, args, {
    env: childEnvironment({ home: bench.home('engineer') }),
    stdio: ['pipe', 'pipe', 'pipe'],
    // Without a terminal: what is sent to hoop alone is passed on.
    detached: true,
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(child, 'close').then(
    ([code, signal]): readonly [number | null, NodeJS.Signals | null] => [code, signal],
  );
  return { child, ended, output: () => output, errors: () => errors };
}

function startRun(...command: string[]): Running {
  return start(process.execPath, [LAUNCHER, 'run', '--', ...command]);
}

/** The newest session as an auditor's tool sees it. */
async function verifyNewest(): Promise<{ readonly status: number | null; readonly text: string }> {
  const [session] = await bench.sessions('engineer');
  const file = join(directory, `${String(session?.['id'])}.hoop`);
  const id = String(session?.['id']);
  await bench.hoop('engineer', 'sessions', 'download', id, '--out', file);
  const run = await bench.hoop('engineer', 'sessions', 'verify', file);
  return { status: run.exitCode, text: run.stdout + run.stderr };
}

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
    const run = startRun(process.execPath, script);
    expect(await run.ended, run.errors()).toEqual([0, null]);
    expect(run.output()).toBe('[{"card_number":"****"}]\n42501\n');
  }, 120_000);

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
    const run = startRun('/usr/bin/python3', script);
    expect(await run.ended, run.errors()).toEqual([0, null]);
    expect(run.output()).toBe('True\nshop\nFalse\n');
  }, 120_000);
});

describe('signals', () => {
  test('a child that a signal ends is followed by hoop, with its recording delivered', async () => {
    const run = startRun('sh', '-c', 'psql -XAtc "SELECT 1"; kill -9 $$');
    expect(await run.ended, run.errors()).toEqual([null, 'SIGKILL']);
    expect((await verifyNewest()).text).toContain('verified (two-sided');
  }, 120_000);

  test('a signal that would write a core of hoop is told by the exit status', async () => {
    expect(await startRun('sh', '-c', 'kill -SEGV $$').ended).toEqual([139, null]);
  }, 120_000);

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2'] as const)(
    '%s reaches the child, and its exit status comes back',
    async (signal) => {
      const name = signal.slice(3);
      const run = startRun(
        'sh',
        '-c',
        `trap "exit 9" ${name}; echo up; while :; do sleep 0.1; done`,
      );
      await expect.poll(run.output, { timeout: 30_000 }).toContain('up');
      run.child.kill(signal);
      expect(await run.ended, run.errors()).toEqual([9, null]);
    },
    120_000,
  );

  test('when hoop is killed the recording verifies to the last cut, and the next run delivers it', async () => {
    const run = startRun('sh', '-c', 'psql -XAtc "SELECT 1"; echo up; read x');
    await expect.poll(run.output, { timeout: 30_000 }).toContain('up');
    run.child.kill('SIGKILL');
    run.child.stdin?.end();
    await run.ended;
    await expect
      .poll(async () => (await bench.sessions('engineer'))[0]?.['endReason'], { timeout: 60_000 })
      .toBe('client_lost');
    const lost = await verifyNewest();
    expect(lost.status).toBe(2);
    expect(lost.text).toMatch(/two-sided up to cut \d+, then gateway only|one-sided/);
    const next = startRun('true');
    expect(await next.ended).toEqual([0, null]);
    expect(next.errors()).toContain('is uploaded now');
    const home = bench.home('engineer');
    expect(readdirSync(home)).not.toContain('runs');
    expect(readdirSync(join(home, 'run'))).toEqual([]);
  }, 120_000);
});

describe('on a terminal', () => {
  test('Ctrl-Z stops the job, fg goes on, Ctrl-C is the child’s, and hoop writes nothing into its output', async () => {
    const hoop = `'${process.execPath}' '${LAUNCHER}' -q run --`;
    const terminal = start('script', ['-qfec', 'exec bash --norc --noediting -i', '/dev/null']);
    const type = (text: string): void => void terminal.child.stdin?.write(text);
    const sees = (text: string | RegExp): Promise<void> =>
      expect.poll(terminal.output, { timeout: 60_000 }).toMatch(text);
    type("PS1='ready> '\n");
    await sees(/ready> $/);
    type(`${hoop} sh -c 'echo started; exec cat'\n`);
    await sees(/\nstarted\r/);
    type('\u001a');
    await sees(/Stopped[\s\S]*ready> $/);
    type('fg\n');
    type('again\n');
    // Once from the terminal's echo, once from cat.
    await sees(/again\r\n[\s\S]*again\r\n/);
    type('\u0003');
    // The terminal throws away what is typed before the shell has it back.
    await sees(/\^C[\s\S]*ready> $/);
    type('echo "status=$?"\n');
    await sees('status=130');
    // A program that stops itself, as editors do, does not leave the terminal to nobody.
    type(`${hoop} sh -c 'echo "here-$((1+1))"; kill -STOP $$; echo "back-$((1+1))"; exit 4'\n`);
    await sees('here-2');
    await sees(/Stopped[\s\S]*Stopped[\s\S]*ready> $/);
    type('fg\n');
    await sees(/back-2[\s\S]*ready> $/);
    type('echo "status=$?"; exit\n');
    await sees('status=4');
    await terminal.ended;
  }, 180_000);
});
