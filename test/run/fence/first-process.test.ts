/** A command that traces process 1 of its own fence, so that it neither ends nor is ended by bwrap's end. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { locateHome } from '../../../src/home.ts';
import { Fence } from '../../../src/run/fence/fence.ts';
import { RunCgroup } from '../../../src/run/run-cgroup.ts';
import { processesOf } from '../../e2e/processes-of.ts';

const HOLD = fileURLToPath(new URL('../../e2e/programs/hold-first.py', import.meta.url));

/** Not below /tmp, which is private inside. */
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(homedir(), '.hoop-first-'));
  for (const name of ['project', 'run', basename(home)]) mkdirSync(join(home, name));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

async function fenced(script: string) {
  const env = { HOME: home, PATH: process.env['PATH'], HOOP_HOME: join(home, 'hoop') };
  const fence = await Fence.open({
    ...{ env, cwd: join(home, 'project'), home: locateHome(env), hide: [], show: [], write: [] },
    runDirectory: join(home, 'run'),
    // Named as the run is.
    runState: join(home, basename(home)),
    signal: new AbortController().signal,
  });
  const held = `python3 '${HOLD}' "$0" > said & until [ -s said ]; do sleep 0.05; done; ${script}`;
  return { fence, run: (how: string) => fence.become(['sh', '-c', held, how], env) };
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('process 1', () => {
  test.each(['hold', 'free'])('of a command that has ended is ended, %s', async (how) => {
    const { fence, run } = await fenced('exit 7');
    await using _ = fence;
    expect(await (await run(how)).exited).toBe(7);
    // Without a word to the fence: what is read next could be written by what has not ended.
    expect(processesOf(home)).toEqual([]);
  });

  test.each(['hold', 'free'])('is ended with the fence, %s', async (how) => {
    const { fence, run } = await fenced('touch ready; sleep 3600');
    await using _ = fence;
    const { exited } = await run(how);
    await expect.poll(() => existsSync(join(home, 'project/ready'))).toBe(true);
    await fence[Symbol.asyncDispose]();
    expect(await exited).toBe(137);
    expect(processesOf(home)).toEqual([]);
  });

  test('is ended with a command that is killed from outside, and all that it started', async () => {
    const { fence, run } = await fenced('setsid sleep 3600 & touch ready; sleep 3600');
    await using _ = fence;
    const { exited, kill } = await run('hold');
    await expect.poll(() => existsSync(join(home, 'project/ready'))).toBe(true);
    kill('SIGKILL');
    expect(await exited).toBe(137);
    await expect.poll(() => processesOf(home)).toEqual([]);
  });

  test('has no cgroup with hoop and what else the person runs, where another can be made', async () => {
    const { fence } = await fenced('');
    await using _ = fence;
    const probe = RunCgroup.make(`probe-${basename(home)}`);
    await probe?.remove();
    const { pid } = await fence.become(['/bin/sleep', '3600'], {});
    const ours = cgroupOf(process.pid);
    const below = join(ours, `hoop-run-${basename(home)}`);
    expect(cgroupOf(pid)).toBe(probe === undefined ? ours : below);
    expect(cgroupOf(process.pid)).toBe(ours);
    await fence[Symbol.asyncDispose]();
    const directory = probe?.directory.replace('probe-', '') ?? '';
    expect(existsSync(directory)).toBe(false);
  });
});

function cgroupOf(pid: number | undefined): string {
  return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
}
