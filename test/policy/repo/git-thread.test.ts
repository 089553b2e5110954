import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitOptions, runGit } from '../../../src/policy/repo/git.ts';
import { GitThread } from '../../../src/policy/repo/git-thread.ts';

let directory: string;
/** Processes that the main thread has started. */
let started = 0;
const count = (): void => {
  started += 1;
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-git-thread-'));
  started = 0;
  subscribe('child_process', count);
});
afterEach(() => {
  unsubscribe('child_process', count);
  rmSync(directory, { recursive: true, force: true });
});

function asked(args: readonly string[], more: Partial<GitOptions> = {}): GitOptions {
  const signal = new AbortController().signal;
  return { gitDir: join(directory, 'a.git'), args, env: process.env, signal, ...more };
}

const INIT = ['init', '--quiet', '--bare', '--template='];

test('git answers as it does without the thread, and the main thread starts no process', async () => {
  await using thread = new GitThread();
  expect(await thread.run(asked(INIT))).toMatchObject({ status: 0 });
  const input = Buffer.from('a policy\0with any bytes \xff', 'latin1');
  const written = await thread.run(asked(['hash-object', '-w', '--stdin'], { input }));
  const object = written.stdout.toString().trim();
  expect(started).toBe(0);
  for (const args of [
    ['cat-file', 'blob', object],
    ['cat-file', 'blob', 'nothing'],
  ]) {
    expect(await thread.run(asked(args))).toEqual(await runGit(asked(args)));
  }
  expect(started).toBe(2);
  expect((await thread.run(asked(['cat-file', 'blob', object]))).stdout.equals(input)).toBe(true);
});

test('a git that is not there is said in the same words', async () => {
  await using thread = new GitThread();
  const env = { PATH: directory };
  await expect(thread.run(asked(INIT, { env }))).rejects.toMatchObject({
    name: 'HoopError',
    code: 'HOOP_MISSING_PROGRAM',
    hint: expect.stringContaining('apt-get install git'),
  });
});

test('who aborts gets their own reason when git has ended, and the next git runs', async () => {
  await using thread = new GitThread();
  await thread.run(asked(INIT));
  const abort = new AbortController();
  // It reads until its input ends, which this one's does: only then would it write the object.
  const input = Buffer.alloc(32 * 1024 * 1024);
  const running = thread.run(
    asked(['hash-object', '-w', '--stdin'], { input, signal: abort.signal }),
  );
  abort.abort(new Error('the gateway stops'));
  await expect(running).rejects.toThrow('the gateway stops');
  expect(existsSync(join(directory, 'a.git'))).toBe(true);
  expect(await thread.run(asked(['rev-parse', '--is-bare-repository']))).toMatchObject({
    status: 0,
  });
});

test('a thread that has failed takes only its own questions along when it exits', async () => {
  await using thread = new GitThread();
  const made = Promise.withResolvers<Worker>();
  process.once('worker', made.resolve);
  const lost = thread.run(asked(INIT));
  const first = await made.promise;
  first.emit('error', new Error('out of memory'));
  await expect(lost).rejects.toMatchObject({ code: 'HOOP_POLICY_FETCH' });
  const next = thread.run(asked(['--version']));
  first.emit('exit', 1);
  await expect(next).resolves.toMatchObject({ status: 0 });
  await first.terminate();
});
