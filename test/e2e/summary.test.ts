/** The summary of a job, from real sessions, and what a job's log looks like. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

function hoop(args: readonly string[], variables: Record<string, string> = {}) {
  return runHoop(args, { home: bench.home('engineer'), variables: { CI: 'true', ...variables } });
}

const READ = ['psql', '-X', '-c', 'SELECT id, email FROM customers LIMIT 2'];
const FAIL = [...READ, '-c', 'DROP TABLE orders'];

test('connect writes what its session did, with the denial and the state of the recording', async () => {
  const file = join(bench.demo.directory, 'connect.md');
  const run = await hoop(['connect', 'prod-db', '--summary', file, '--', ...FAIL]);
  expect(run.exitCode).toBe(1);
  expect(run.stderr).not.toContain('\x1b');
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(/1 session at `https:\/\/127\.0\.0\.1:\d+`; the command ended with 1/);
  expect(text).toMatch(/\| `[0-9a-f-]{36}` \| `prod-db` \| 2 \| \*\*1\*\* \| 0 \| 2 \|/);
  expect(text).toContain('`engineer@example.com`');
  expect(text).toContain('recording complete, signed by both sides');
  expect(text).toContain('(`HOOP_DENIED`, `engineers/no-structure`)');
  expect(text).not.toContain('DROP TABLE orders');
});

test('run appends to the page of a GitHub job by itself, and --no-summary does not', async () => {
  const page = join(bench.demo.directory, 'step.md');
  const variables = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: page };
  const first = await hoop(['run', '--target', 'prod-db', '--', ...READ], variables);
  expect(first.exitCode, first.stderr).toBe(0);
  await hoop(['connect', 'prod-db', '--', ...READ], variables);
  expect(readFileSync(page, 'utf8').match(/^### hoop$/gm)).toHaveLength(2);
  await hoop(['connect', 'prod-db', '--no-summary', '--', ...READ], variables);
  expect(readFileSync(page, 'utf8').match(/^### hoop$/gm)).toHaveLength(2);
});

test('HOOP_SUMMARY names the file elsewhere; outside of CI nothing is written', async () => {
  const file = join(bench.demo.directory, 'gitlab.md');
  await hoop(['connect', 'prod-db', '--', ...READ], { HOOP_SUMMARY: file });
  expect(readFileSync(file, 'utf8')).toContain('the command ended with 0');
  const page = join(bench.demo.directory, 'not-github.md');
  await hoop(['connect', 'prod-db', '--', ...READ], { GITHUB_STEP_SUMMARY: page });
  expect(existsSync(page)).toBe(false);
});

test('a command that puts a link in place of the file does not choose where hoop writes', async () => {
  const file = join(bench.demo.directory, 'replaced.md');
  const other = join(bench.demo.directory, 'other.txt');
  const run = await hoop(['run', '--', 'ln', '-sf', other, file], { HOOP_SUMMARY: file });
  expect(run.exitCode).toBe(0);
  expect(existsSync(other)).toBe(false);
});

test('a file that cannot be written is told before the session begins', async () => {
  const before = (await bench.sessions('engineer')).length;
  const run = await hoop(['connect', 'prod-db', '--summary', '/no/such/place.md', '--', ...READ]);
  expect(run).toMatchObject({ exitCode: 255, stdout: '' });
  expect(run.stderr).toContain('cannot write the job summary "/no/such/place.md"');
  expect(await bench.sessions('engineer')).toHaveLength(before);
  // One that only the environment names is no reason to fail a job.
  const env = await hoop(['connect', 'prod-db', '--', ...READ], {
    HOOP_SUMMARY: '/no/such/place.md',
  });
  expect(env.exitCode).toBe(0);
  expect(env.stderr).toContain('hoop: no job summary: ');
});
