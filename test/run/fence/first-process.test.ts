/** A command that traces process 1 of its own fence, so that it neither ends nor is ended by bwrap's end. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { locateHome } from '../../../src/home.ts';
import { Fence } from '../../../src/run/fence/fence.ts';
import { processesOf } from '../../e2e/processes-of.ts';

const HOLD = fileURLToPath(new URL('../../e2e/programs/hold-first.py', import.meta.url));

/** Not below /tmp, which is private inside. */
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(homedir(), '.hoop-first-'));
  for (const name of ['project', 'run', 'state']) mkdirSync(join(home, name));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

async function fenced(script: string) {
  const env = { HOME: home, PATH: process.env['PATH'], HOOP_HOME: join(home, 'hoop') };
  const fence = await Fence.open({
    ...{ env, cwd: join(home, 'project'), home: locateHome(env), hide: [], show: [], write: [] },
    runDirectory: join(home, 'run'),
    runState: join(home, 'state'),
    signal: new AbortController().signal,
  });
  const held = `python3 ${HOLD} "$0" > said & until [ -s said ]; do sleep 0.05; done; ${script}`;
  return { fence, run: (how: string) => fence.become(['sh', '-c', held, how], env) };
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('process 1', () => {
  test.each(['hold', 'free'])('of a command that has ended is ended, %s', async (how) => {
    const { fence, run } = await fenced('exit 7');
    await using _ = fence;
    expect(await (await run(how)).exited).toBe(7);
    await fence[Symbol.asyncDispose]();
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
});
