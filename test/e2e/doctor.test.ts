/** `hoop doctor` as a person runs it, against a real gateway and what may be wrong with it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHoop } from '../../src/demo/hoop-process.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let empty: string;
beforeAll(async () => {
  bench = await openBench();
  empty = await mkdtemp(join(tmpdir(), 'hoop-doctor-'));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await rm(empty, { recursive: true, force: true });
});

interface Found {
  readonly exitCode: number | null;
  readonly stderr: string;
  /** By name; of `ok` ones only the status. */
  readonly checks: Readonly<Record<string, unknown>>;
}

async function doctor(home: string, variables: Record<string, string> = {}): Promise<Found> {
  const run = await runHoop(['doctor', '--json'], { home, variables });
  const document = JSON.parse(run.stdout);
  expect(document).toMatchObject({ v: 1, ok: run.exitCode === 0 });
  const checks = document.checks.map((check: { name: string; status: string }) => [
    check.name,
    check.status === 'ok' ? 'ok' : check,
  ]);
  return { exitCode: run.exitCode, stderr: run.stderr, checks: Object.fromEntries(checks) };
}

test('where nothing is wrong every check is ok, as text and as JSON', async () => {
  const found = await doctor(bench.home('engineer'));
  const names =
    'runtime crypto ports fence terminal git ssh-keygen psql gateway clock keys tls provider login groups tokens policy repository recordings';
  expect(found.checks).toEqual({
    ...Object.fromEntries(names.split(' ').map((name) => [name, 'ok'])),
    // The bench keeps tokens in files, where no keychain is touched.
    keychain: expect.anything(),
    ssh: expect.anything(),
    // As far as this machine has them; nobody is kept from working.
    sshd: expect.anything(),
    'ssh-crypto': expect.anything(),
  });
  expect(found).toMatchObject({ exitCode: 0, stderr: '' });
  const { stdout, exitCode } = await bench.hoop('engineer', 'doctor');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^✓ ok {7}login {7}engineer@example\.com, until \d{4}-/m);
  expect(stdout).not.toContain('\x1b');
});

test('a program that is missing is named, with what it is for', async () => {
  const found = await doctor(bench.home('engineer'), { PATH: empty });
  expect(found.exitCode).toBe(1);
  expect(found.checks).toMatchObject({
    git: { status: 'failed', hint: expect.stringContaining('Install "git"') },
    psql: { status: 'warning' },
    gateway: 'ok',
    policy: { status: 'failed', code: 'HOOP_MISSING_PROGRAM' },
  });
  expect(JSON.parse(found.stderr).error.code).toBe('HOOP_CHECK_FAILED');
});

test('a fence that cannot be put up is a warning, with what bwrap said', async () => {
  const fake = join(empty, 'fake-bwrap');
  await mkdir(fake);
  const script = '#!/bin/sh\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n';
  await writeFile(join(fake, 'bwrap'), script, { mode: 0o755 });
  const variables = { PATH: `${fake}:${process.env['PATH']}` };
  const found = await doctor(bench.home('engineer'), variables);
  expect(found.exitCode).toBe(0);
  expect(found.checks).toMatchObject({
    fence: {
      status: 'warning',
      code: 'HOOP_FENCE',
      hint: expect.stringMatching(/Permission denied.*works without --fence/s),
    },
  });
});

test('without a way to the gateway what rests on it is not looked at', async () => {
  const home = bench.home('engineer');
  const found = await doctor(home, { HOOP_GATEWAY: 'https://127.0.0.1:1' });
  expect(found.exitCode).toBe(1);
  expect(found.checks).toMatchObject({ gateway: { status: 'failed', code: 'HOOP_UNREACHABLE' } });
  expect(found.checks).not.toHaveProperty('login');
  expect((await doctor(empty)).checks).toMatchObject({
    gateway: { code: 'HOOP_NOT_LOGGED_IN', hint: expect.stringContaining('hoop login') },
  });
});

test('a gateway with another CA than ours is not believed', async () => {
  const variables = { HOOP_GATEWAY: bench.demo.gateway, HOOP_TOKEN_STORE: 'file' };
  expect((await doctor(empty, variables)).checks).toMatchObject({
    gateway: { status: 'failed', code: 'HOOP_GATEWAY_TLS', hint: expect.stringContaining('--ca') },
  });
});

test('a login that is over is said with how to get another', async () => {
  await bench.hoop('auditor', 'logout');
  const found = await doctor(bench.home('auditor'));
  expect(found.exitCode).toBe(1);
  expect(found.checks).toMatchObject({
    gateway: 'ok',
    login: { code: 'HOOP_NOT_LOGGED_IN', hint: expect.stringContaining('hoop login') },
  });
});

test('recordings that were left behind, and commits that are not in force, are warnings', async () => {
  await using connection = await bench.connect('engineer');
  connection.service.kill('SIGKILL');
  await connection.service.exited;
  await bench.demo.policy.commit({ files: {}, message: 'policy: not signed', unsigned: true });
  await waitFor(async () => {
    const { problem } = await bench.ask('engineer', (client, signal) => client.policy(signal));
    expect(problem).toBeDefined();
  });
  await waitFor(async () => {
    const found = await doctor(bench.home('engineer'));
    expect(found.exitCode).toBe(0);
    expect(found.checks).toMatchObject({
      policy: { status: 'warning', text: expect.stringContaining('is not signed') },
      repository: { status: 'warning' },
      recordings: { status: 'warning', text: '1 recording not signed by both sides yet' },
    });
  });
});
