/** `hoop gateway start` and `hoop gateway check` as commands: what they print and when they end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import { gatewayCommand } from '../../../src/commands/gateway.ts';
import type { Io } from '../../../src/commands/io.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { createPolicyRepository } from '../../../src/demo/policy-repository.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ isPolicyFixed: true });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

function run(args: readonly string[]) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const notes: string[] = [];
  const stop = new AbortController();
  const io: Io = {
    stdout,
    stderr,
    stdin: new PassThrough(),
    env: { ...process.env, PROD_DB: postgres.password },
    cwd: bench.directory,
    signal: stop.signal,
    color: { stdout: false, stderr: false },
    quiet: false,
    note: (line) => notes.push(line),
    onSignal: () => () => undefined,
    onHangup: () => () => undefined,
    self: ['hoop'],
    setRaw: () => undefined,
    suspend: () => undefined,
    endBySignal: () => undefined,
    setExitCode: () => undefined,
  };
  const program = new Command('hoop').version('9.9.9').exitOverride();
  program.addCommand(gatewayCommand(io));
  const done = program.parseAsync(['gateway', ...args], { from: 'user' }).finally(() => {
    stdout.end();
    stderr.end();
  });
  return { done, stdout, stderr, notes, stop };
}

async function writeConfig(name: string, change: (lines: string) => string = (x) => x) {
  const file = join(bench.directory, `${name}.yaml`);
  await mkdir(join(bench.directory, name), { mode: 0o700 });
  const lines = `version: 1
name: ${name}
listen: 127.0.0.1:0
tls: { cert: cert.pem, key: key.pem }
dataDir: ${name}
policy: { repository: ${bench.policy.directory}, allowedSigners: ${bench.policy.allowedSigners} }
addresses: { prod-db: "${postgres.host}:${postgres.port}" }
credentials: { prod-db: { user: postgres, password: { env: PROD_DB } } }
`;
  await writeFile(file, change(lines));
  return `${name}.yaml`;
}

test('start prints where it listens, serves, and ends when it is told to', async () => {
  const { done, stdout, stderr, stop } = run([
    'start',
    '--json',
    '--config',
    await writeConfig('one'),
  ]);
  const log = text(stderr);
  const first: Buffer = await new Promise((resolve) => stdout.once('data', resolve));
  const event = JSON.parse(first.toString());
  expect(event).toEqual({
    event: 'listening',
    v: 1,
    url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+$/),
    gateway: 'one',
    rootKeyFingerprint: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/),
    firstStart: true,
  });
  stop.abort();
  await done;
  const lines = (await log).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).event)).toEqual([
    'policy.in_force',
    'approvers.never_logged_in',
    'gateway.started',
    'gateway.stopping',
    'gateway.stopped',
  ]);
  expect(await log).not.toContain(postgres.password);
});

test('SIGHUP stops no gateway: it reads its configuration again, and keeps what it has if that has a mistake', async () => {
  const config = join(bench.directory, await writeConfig('by-hangup'));
  const start = ['bin/hoop.js', 'gateway', 'start', '--json', '--config', config];
  const child = spawn(process.execPath, start, {
    env: { ...process.env, PROD_DB: postgres.password },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await once(child.stdout, 'data');
  const valid = await readFile(config, 'utf8');
  await writeFile(config, 'version: 2\n');
  child.kill('SIGHUP');
  await expect.poll(() => log).toContain('config.reload_failed');
  await writeFile(config, valid);
  child.kill('SIGHUP');
  await expect.poll(() => log).toContain('config.reloaded');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a gateway that %s stops in order ends with 0: its supervisor has not seen it fail',
  async (signal) => {
    const name = `by-${signal.toLowerCase()}`;
    const config = join(bench.directory, await writeConfig(name));
    const start = ['bin/hoop.js', 'gateway', 'start', '--json', '--config', config];
    const child = spawn(process.execPath, start, {
      env: { ...process.env, PROD_DB: postgres.password },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = text(child.stderr);
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
    // All of it is JSON, for programs that read the log.
    const events = (await log).trimEnd().split('\n');
    expect(events.map((line) => JSON.parse(line).event)).toContain('gateway.stopped');
  },
);

test('start without --json speaks to people, and shows the new root key once', async () => {
  const config = await writeConfig('two');
  for (const expected of [/new root key.*SHA256:/, /^root key SHA256:/]) {
    const { done, notes, stop, stdout } = run(['start', '--config', config]);
    await expect.poll(() => notes.length).toBe(2);
    expect(notes[0]).toMatch(/^gateway "two" listens on https:/);
    expect(notes[1]).toMatch(expected);
    stop.abort();
    await done;
    expect(await text(stdout)).toBe('');
  }
});

test('start with a broken configuration says where', async () => {
  const config = await writeConfig('three', (lines) => lines.replace('version: 1', 'version: 3'));
  await expect(run(['start', '--config', config]).done).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
    message: expect.stringContaining('three.yaml:1:10'),
  });
  await expect(run(['start', '--config', 'none.yaml']).done).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
  });
});

test('check tries certificate, credentials, policy and each target', async () => {
  const { done, stdout } = run(['check', '--json', '--config', await writeConfig('four')]);
  await done;
  const { checks } = JSON.parse(await text(stdout));
  expect(checks.map(({ check, ok }: { check: string; ok: boolean }) => [check, ok])).toEqual([
    ['tls', true],
    ['data directory', true],
    ['store', true],
    ['credentials', true],
    ['policy', true],
    // With a warning: nobody has logged in.
    ['approvers', true],
    // The provider gives the browser's client no device codes.
    [expect.stringMatching(/^provider http:/), true],
    ['target prod-db', true],
  ]);
  // The server has no such table: the target works, and its mask masks nothing.
  expect(checks.at(-1)).toMatchObject({
    warning: true,
    text: expect.stringContaining('prod-db: there is no column public.customers.email; it masks'),
  });
});

test.each([
  ['has expired', { now: new Date('2020-01-01') }, false, /^the certificate has expired: for 127/],
  ['ends soon', { days: 2 }, true, /^for 127\.0\.0\.1, until [\d-]+ \([12] days?\)$/],
] as const)('check does not pass a certificate that %s', async (_what, options, ok, said) => {
  const authority = createCertificateAuthority(options);
  const issued = issueServerCertificate(authority, { names: [], ips: ['127.0.0.1'] });
  const name = `certificate-${ok}`;
  await writeFile(join(bench.directory, `${name}.pem`), issued.certificate);
  await writeFile(join(bench.directory, `${name}.key`), issued.privateKey, { mode: 0o600 });
  const config = await writeConfig(name, (text) =>
    text.replace('cert: cert.pem, key: key.pem', `cert: ${name}.pem, key: ${name}.key`),
  );
  const { done, stdout } = run(['check', '--json', '--config', config]);
  await done.catch(() => undefined);
  const [tls] = JSON.parse(await text(stdout)).checks;
  expect(tls).toMatchObject({ check: 'tls', ok, text: expect.stringMatching(said) });
  expect(tls).toMatchObject({ hint: expect.stringContaining('Renew it') });
});

test('check only warns of a damaged file that a gateway starts without', async () => {
  const config = await writeConfig('damaged');
  const yaml = await readFile(join(bench.directory, config), 'utf8');
  const directory = resolve(bench.directory, /^dataDir: (.*)$/m.exec(yaml)?.[1] ?? '');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(directory, 'seen-approvers.json'), '{"v":1,', { mode: 0o600 });
  const { done, stdout } = run(['check', '--json', '--config', config]);
  await done;
  const { checks } = JSON.parse(await text(stdout));
  const approvers = checks.find(({ check }: { check: string }) => check === 'approvers');
  expect(approvers).toMatchObject({
    ok: true,
    warning: true,
    text: expect.stringContaining('seen-approvers.json'),
    hint: 'Delete the file: it fills again as people log in.',
  });
});

test('check writes each problem of a policy on a line of its own', async () => {
  const root = join(bench.directory, 'broken');
  await mkdir(root);
  const broken = await createPolicyRepository(root, {
    'hoop.yaml': 'version: 1\n',
    'policies/broken.yaml': 'name: broken\nsubjects: {}\n',
  });
  const config = await writeConfig('six', (lines) =>
    lines
      .replace(bench.policy.directory, broken.directory)
      .replace(bench.policy.allowedSigners, broken.allowedSigners),
  );
  const { done, stdout } = run(['check', '--config', config]);
  const output = text(stdout);
  await expect(done).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  expect(await output).toMatch(/^failed {2}policy: the policy has .* problems:/m);
  expect(await output).toMatch(/^ {8}policies\/broken\.yaml:1:1: who: missing/m);
  expect(await output).not.toContain('U+000A');
});

test('check looks at the data directory as start does, and makes none', async () => {
  const config = await writeConfig('seven');
  const path = join(bench.directory, 'seven');
  await chmod(path, 0o755);
  const open = run(['check', '--config', config]);
  const output = text(open.stdout);
  await expect(open.done).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  expect(await output).toMatch(
    /^failed {2}data directory: other users can reach .*\n {8}→ Make it private: chmod 700/m,
  );
  await rm(path, { recursive: true });
  const missing = run(['check', '--config', config]);
  const later = text(missing.stdout);
  await missing.done;
  expect(await later).toContain('ok      data directory: will be created at the first start\n');
  expect(existsSync(path)).toBe(false);
});

test('a start that failed was not the first one: the next one still tells of the new root key', async () => {
  const config = await writeConfig('eight');
  const path = join(bench.directory, 'eight');
  await chmod(path, 0o755);
  await expect(run(['start', '--config', config]).done).rejects.toMatchObject({
    code: 'HOOP_LOCAL_STATE',
  });
  await chmod(path, 0o700);
  const { done, notes, stop } = run(['start', '--config', config]);
  await expect.poll(() => notes.join('\n')).toContain('it has a new root key; tell your users');
  stop.abort();
  await done;
});

test('check names what does not work, and fails', async () => {
  const config = await writeConfig('five', (lines) =>
    lines.replace('env: PROD_DB', 'file: none.pw').replace(/"127.*"/, '"127.0.0.1:1"'),
  );
  const { done, stdout } = run(['check', '--config', config]);
  const output = text(stdout);
  await expect(done).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  expect(await output).toMatch(/^failed {2}credentials: cannot read/m);
  expect(await output).toMatch(/^failed {2}target prod-db: /m);
  expect(await output).toMatch(/^ok {6}policy: commit [0-9a-f]{12} signed by /m);
});
