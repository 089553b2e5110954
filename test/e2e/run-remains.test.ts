/** What a run without a fence leaves behind ends with it, however hoop ends, and nothing else does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { RunCgroup } from '../../src/run/run-cgroup.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  bench = await openBench();
  directory = await mkdtemp(join(tmpdir(), 'hoop-remains-'));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function isAlive(pid: number): boolean {
  try {
    // One that nobody has waited for yet has ended.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function pidIn(file: string): number {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** A shell text that starts a program in a session of its own, and writes its id. */
const leaves = (file: string, how = ''): string =>
  `${how} setsid sh -c 'echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 3600' </dev/null >/dev/null 2>&1 &
   while [ ! -e ${file} ]; do sleep 0.05; done`;

describe.runIf(process.platform === 'linux')('in the background of a run', () => {
  test.each([
    ['with a session of its own', ''],
    ['that ignores SIGTERM and SIGHUP', "trap '' TERM HUP;"],
  ])('a program %s ends with the run', async (name, how) => {
    const file = join(directory, name.replaceAll(' ', '-'));
    const other = spawn('sleep', ['3600'], { stdio: 'ignore' });
    const result = await bench.hoop('engineer', 'run', '--', 'sh', '-c', leaves(file, how));
    expect(result.exitCode, result.stderr).toBe(0);
    expect(result.stderr).toContain('ended programs that the run had left in the background');
    const pid = pidIn(file);
    expect(pid).toBeGreaterThan(1);
    expect(isAlive(pid)).toBe(false);
    // What the run did not start is none of its business.
    expect(isAlive(other.pid ?? 0)).toBe(true);
    other.kill('SIGKILL');
  });

  /** @param around a program and its words, before hoop's */
  const allEnds = async (where: string, around: readonly string[], hasCgroup: boolean) => {
    const file = join(directory, `killed-${where}`);
    const script = `${leaves(file)}; echo $$ > ${file}.child; exec sleep 3600`;
    const words = [process.execPath, LAUNCHER, 'run', '--', 'sh', '-c', script];
    const [program = '', ...args] = [...around, ...words];
    const outer: ChildProcess = spawn(program, args, {
      env: childEnvironment({ home: bench.home('engineer') }),
      stdio: 'ignore',
    });
    await waitFor(() => expect(pidIn(`${file}.child`)).toBeGreaterThan(1));
    const pids = [pidIn(file), pidIn(`${file}.child`)];
    const place = readFileSync(`/proc/${pids[0]}/cgroup`, 'utf8');
    expect(place.includes('hoop-run-')).toBe(hasCgroup);
    process.kill(hoopIn(outer.pid ?? 0), 'SIGKILL');
    await once(outer, 'exit');
    await waitFor(() => expect(pids.filter(isAlive)).toEqual([]));
  };

  // An ordinary user's login has a cgroup of the system's, unless systemd gave it one.
  test.runIf(process.getuid?.() === 0 || makesCgroups())(
    'everything ends when hoop itself is killed, in a cgroup of its own',
    () => allEnds('cgroup', [], true),
  );

  // As in a login over ssh, or in a container: the guardian goes by the environment.
  test('everything ends when hoop itself is killed, where no cgroup can be made', () => {
    const sealed = ['--ro-bind', '/sys/fs/cgroup', '/sys/fs/cgroup'];
    return allEnds('guardian', ['bwrap', '--dev-bind', '/', '/', ...sealed], false);
  });

  test('of one run leaves those of another alone', async () => {
    const file = join(directory, 'other');
    const script = `${leaves(file)}; read -r line`;
    const hoop = spawn(process.execPath, [LAUNCHER, 'run', '--', 'sh', '-c', script], {
      env: childEnvironment({ home: bench.home('engineer') }),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await waitFor(() => expect(pidIn(file)).toBeGreaterThan(1));
    expect((await bench.hoop('engineer', 'run', '--', 'true')).exitCode).toBe(0);
    expect(isAlive(pidIn(file))).toBe(true);
    hoop.stdin.end();
    await once(hoop, 'exit');
    expect(isAlive(pidIn(file))).toBe(false);
  });
});

function makesCgroups(): boolean {
  const made = RunCgroup.make(`test-${process.pid}`);
  if (made === undefined) return false;
  rmdirSync(made.directory);
  return true;
}

/** The launcher starts another Node.js where its own is too old. */
function hoopIn(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const found = children.map(Number).find((child) => {
    const words = child > 0 ? readFileSync(`/proc/${child}/cmdline`, 'utf8') : '';
    return /(hoop|main)\.js\0/.test(words);
  });
  return found ?? pid;
}
