/** Programs as they are under `hoop run`: agents, many at once, and those that are killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER, runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

function program(name: string): string {
  return fileURLToPath(new URL(`programs/${name}`, import.meta.url));
}

function run(...args: string[]) {
  return bench.hoop('engineer', 'run', '--target', 'prod-db', ...args);
}

/** `sessions verify` of what the gateway has, without the gateway. */
async function verify(session: string): ReturnType<typeof runHoop> {
  const file = join(bench.demo.directory, `${session}.hoop`);
  await bench.hoop('engineer', 'sessions', 'download', session, '--out', file);
  return runHoop(['sessions', 'verify', file], {
    home: bench.home('engineer'),
    variables: { HOOP_GATEWAY: 'https://127.0.0.1:9' },
  });
}

async function newestSession(): Promise<string> {
  return String((await bench.sessions('engineer'))[0]?.['id']);
}

interface Live {
  readonly child: ChildProcess;
  readonly closed: Promise<unknown[]>;
  /** Resolves when the command has printed this. */
  printed(text: string): Promise<void>;
  type(text: string): void;
}

function start(...command: string[]): Live {
  const child = spawn(
    process.execPath,
    [LAUNCHER, 'run', '--target', 'prod-db', '--', ...command],
    { env: childEnvironment({ home: bench.home('engineer') }), stdio: ['pipe', 'pipe', 'ignore'] },
  );
  let shown = '';
  child.stdout.on('data', (text) => {
    shown += String(text);
  });
  // A child that outlives hoop may have closed it.
  child.stdin.on('error', () => undefined);
  return {
    child,
    closed: once(child, 'exit'),
    printed: (text) => expect.poll(() => shown).toContain(text),
    type: (text) => child.stdin.write(text),
  };
}

describe('programs that know nothing of hoop', () => {
  test('a Python script with psycopg2', async () => {
    const result = await run('--', '/usr/bin/python3', program('agent.py'));
    expect(result.stdout).toMatch(/^customers [1-9]\d*\nemail \S+\n$/);
    expect(result.stderr).toContain('refused 42501');
    expect(result.exitCode).toBe(0);
    expect((await verify(await newestSession())).stdout).toContain('verified (two-sided');
  });

  test('a Node.js agent with pg, several connections and a mistake of its own', async () => {
    const result = await run('--', process.execPath, program('agent.mjs'));
    expect(result.stdout).toBe('counts true\nmistake 42703\nemails 2\n');
    expect(result.exitCode).toBe(0);
    const [session] = await bench.sessions('engineer');
    expect(session).toMatchObject({ state: 'uploaded' });
  });

  test('psql with a script on its standard input', async () => {
    const psql = start('psql', '-XAt');
    psql.type('SELECT 40 + 2;\n\\echo :DBNAME\n');
    await psql.printed('42\n');
    psql.child.stdin?.end();
    expect((await psql.closed)[0]).toBe(0);
  });
});

test('twenty runs at once each have their session, their answer and their recording', async () => {
  const before = (await bench.sessions('engineer')).length;
  const numbers = Array.from({ length: 20 }, (_, index) => index + 100);
  const runs = await Promise.all(
    numbers.map((number) => run('--', 'psql', '-XAtc', `SELECT ${number}`)),
  );
  expect(runs.map(({ stdout }) => stdout.trim())).toEqual(numbers.map(String));
  expect(new Set(runs.map(({ exitCode }) => exitCode))).toEqual(new Set([0]));
  const sessions = (await bench.sessions('engineer')).slice(0, -before || undefined);
  expect(sessions).toHaveLength(20);
  expect(new Set(sessions.map(({ state }) => state))).toEqual(new Set(['uploaded']));
  expect((await verify(String(sessions[7]?.['id']))).exitCode).toBe(0);
}, 300_000);

describe('kill -9', () => {
  test('of the command leaves a recording that verifies', async () => {
    const live = start('sh', '-c', 'echo "id $$"; exec psql -XAt');
    live.type("SELECT 'first';\n");
    await live.printed('first');
    live.type("SELECT pg_sleep(600), 'killed-in-run';\n");
    await expect.poll(() => bench.running('killed-in-run')).toBe(1);
    process.kill(commandOf(live.child.pid), 'SIGKILL');
    const [code, signal] = await live.closed;
    expect(signal === 'SIGKILL' || code === 137).toBe(true);
    await expect.poll(() => bench.running('killed-in-run')).toBe(0);
    const result = await verify(await newestSession());
    expect(result.stdout).toContain('verified (two-sided');
    expect(result.exitCode).toBe(0);
  }, 90_000);

  test('of hoop leaves one that verifies to the last cut, has the rest from the gateway, and says so', async () => {
    const live = start('psql', '-XAt');
    live.type("SELECT 'before-' || 'the-cut';\n");
    await live.printed('before-the-cut');
    const session = await newestSession();
    await expect
      .poll(() => signedCuts(session), { timeout: 60_000, interval: 200 })
      .not.toBe('');
    live.type("SELECT 'after-' || 'the-cut';\n");
    await live.printed('after-the-cut');
    live.child.kill('SIGKILL');
    await live.closed;
    live.child.stdin?.end();
    await expect
      .poll(async () => (await bench.sessions('engineer')).find(({ id }) => id === session)?.['endReason'], {
        timeout: 60_000,
        interval: 500,
      })
      .toBe('client_lost');
    const result = await verify(session);
    expect(result.stdout).toMatch(/two-sided to cut \d+ of \d+, then gateway only/);
    expect(result.exitCode).toBe(2);
    const replay = await bench.hoop('engineer', 'sessions', 'replay', session);
    expect(replay.stdout).toContain('before-the-cut');
    expect(replay.stdout).toContain('after-the-cut');
  }, 180_000);
});

/** What the gateway has noted of the cuts that both sides have signed. */
function signedCuts(session: string): string {
  const files = globSync('**/signed.cuts', { cwd: bench.demo.directory });
  const file = files.find((path) => path.includes(session));
  return file === undefined ? '' : readFileSync(join(bench.demo.directory, file), 'utf8');
}

function commandOf(hoop: number | undefined): number {
  const children = readFileSync(`/proc/${hoop}/task/${hoop}/children`, 'utf8').trim().split(' ');
  expect(children).toHaveLength(1);
  return Number(children[0]);
}
