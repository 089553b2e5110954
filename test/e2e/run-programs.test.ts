/** Many runs at once, and those that are killed. */
import {
  chmodSync,
  cpSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHoop } from '../../src/demo/hoop-process.ts';
import type { CommandResult } from '../cli/run-command.ts';
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
const verify = (session: string): Promise<CommandResult> =>
  verifyOffline(bench, directory, session);

/** What the gateway has noted of the cuts that both sides have signed. */
function signedCuts(session: string): string {
  const files = globSync('**/signed.cuts', { cwd: bench.demo.directory });
  const file = files.find((path) => path.includes(session));
  return file === undefined ? '' : readFileSync(join(bench.demo.directory, file), 'utf8');
}

test('psql takes its script from standard input, as without hoop', async () => {
  const psql = start('psql', '-XAt');
  psql.type('SELECT 40 + 2;\n\\echo in :DBNAME\n');
  await psql.sees('42\nin shop\n');
  psql.child.stdin?.end();
  expect(await psql.ended).toEqual([0, null]);
});

test('twenty runs at once each have their session, their answer and their recording', async () => {
  const before = (await bench.sessions('engineer')).length;
  const numbers = Array.from({ length: 20 }, (_, index) => index + 100);
  const runs = await Promise.all(
    numbers.map((number) =>
      bench.hoop('engineer', 'run', '--', 'psql', '-XAtc', `SELECT ${number}`),
    ),
  );
  const failed = runs.filter(({ exitCode }) => exitCode !== 0);
  expect(failed.map(({ output }) => output)).toEqual([]);
  expect(runs.map(({ stdout }) => stdout)).toEqual(numbers.map((number) => `${number}\n`));
  const all = await bench.sessions('engineer');
  const sessions = all.slice(0, all.length - before);
  expect(sessions).toHaveLength(20);
  expect(new Set(sessions.map(({ run }) => run)).size).toBe(20);
  expect(new Set(sessions.map(({ state }) => state))).toEqual(new Set(['uploaded']));
  const seventh = await verify(String(sessions[7]?.['id']));
  expect(seventh.stdout).toContain('verified (two-sided');
  expect(seventh.status).toBe(0);
});

describe('kill -9', () => {
  test('of the command in the middle of a statement leaves a recording that verifies', async () => {
    const live = start('psql', '-XAt');
    live.type("SELECT 'first';\n");
    await live.sees('first');
    live.type("SELECT pg_sleep(3600), 'killed-in-run';\n");
    await expect.poll(() => bench.running('killed-in-run')).toBe(1);
    process.kill(commandOf(live.child.pid), 'SIGKILL');
    expect(await live.ended).toEqual([null, 'SIGKILL']);
    await expect.poll(() => bench.running('killed-in-run')).toBe(0);
    const result = await verify(await newestSession(bench));
    expect(result.stdout).toContain('verified (two-sided');
    expect(result.status).toBe(0);
  });

  test('of hoop leaves one that verifies to the last cut and says so, and a login that the next run ends', async () => {
    const live = start('psql', '-XAt');
    live.type("SELECT 'before-' || 'the-cut';\n");
    await live.sees('before-the-cut');
    const session = await newestSession(bench);
    await expect.poll(() => signedCuts(session), { interval: 200 }).not.toBe('');
    live.type("SELECT 'after-' || 'the-cut';\n");
    await live.sees('after-the-cut');
    live.child.kill('SIGKILL');
    await live.ended;
    live.child.stdin?.end();
    const ended = async () =>
      (await bench.sessions('engineer')).find(({ id }) => id === session)?.['endReason'];
    await expect.poll(ended, { interval: 500 }).toBe('client_lost');

    const result = await verify(session);
    expect(result.stdout).toMatch(/two-sided up to cut \d+, then gateway only/);
    expect(result.status).toBe(2);
    const replay = await bench.hoop('engineer', 'sessions', 'replay', session, '--no-tui');
    expect(replay.stdout).toContain('before-the-cut');
    expect(replay.stdout).toContain('after-the-cut');

    const runs = join(bench.home('engineer'), 'runs');
    const [left] = readdirSync(runs);
    const state = join(runs, String(left));
    const kept = join(directory, 'kept');
    cpSync(state, kept, { recursive: true });
    chmodSync(kept, 0o700);
    const config = readFileSync(join(kept, 'config.json'), 'utf8');
    writeFileSync(join(kept, 'config.json'), config.replaceAll(state, kept));
    const asRun = () => runHoop(['whoami', '--json'], { home: kept });
    const alive = await asRun();
    expect(alive.exitCode, alive.output).toBe(0);
    expect(JSON.parse(alive.stdout)).toMatchObject({ run: { id: left } });
    const next = await bench.hoop('engineer', 'run', '--', 'true');
    expect(next.exitCode, next.output).toBe(0);
    expect(next.stderr).toContain(`earlier session ${session} is now signed by both sides`);
    expect(await asRun()).toMatchObject({ exitCode: 3, stdout: '' });
    expect(readdirSync(bench.home('engineer'))).not.toContain('runs');
    expect(readdirSync(join(bench.home('engineer'), 'run'))).toEqual([]);
    // The key went with the process: nobody can sign the rest any more.
    const delivered = await verify(session);
    expect(delivered.stdout).toMatch(/incomplete: two-sided up to cut \d+, then gateway only$/m);
    expect(delivered.status).toBe(2);
  });
});

function commandOf(hoop: number | undefined): number {
  const children = readFileSync(`/proc/${hoop}/task/${hoop}/children`, 'utf8')
    .trim()
    .split(' ')
    // The shell that waits for the end of hoop.
    .filter((pid) => !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('hoop-guardian'));
  expect(children).toHaveLength(1);
  return Number(children[0]);
}
