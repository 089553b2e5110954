/** A CI job and a pod: nobody has logged in, and the token of the platform is enough. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HoopRun, runHoop } from '../../src/demo/hoop-process.ts';
import { samplePolicy } from '../../src/demo/sample-policy.ts';
import { TestPlatform } from '../auth/workload/test-platform.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let actions: TestPlatform;
/** A runner that was made for this job. */
let home: string;
/** With the policy of the demo, before the tests change it. */
let demoJob: HoopRun;
let demoJobRefused: HoopRun;
const homes: string[] = [];

beforeAll(async () => {
  bench = await openBench();
  actions = await TestPlatform.start();
  const { ci } = bench.demo;
  demoJob = await runHoop(
    ['connect', 'prod-db', '--', 'psql', '-XAtc', 'SELECT count(*) > 0 FROM orders'],
    { home: ci.home, variables: ci.env },
  );
  demoJobRefused = await runHoop(
    ['connect', 'prod-db', '--', 'psql', '-XAtc', 'SELECT full_name FROM customers'],
    { home: ci.home, variables: ci.env },
  );
  const { issuer } = bench.demo;
  const hoop = samplePolicy({ issuer, clientId: 'hoop-cli' })['hoop.yaml'];
  const entry = (name: string, platform: string, claims: object) =>
    JSON.stringify({
      name,
      platform,
      issuer: actions.issuer.issuer,
      claims,
      show: ['run_id'],
      principal: `${name}/{run_id}`,
      groups: ['engineering'],
    });
  const github = entry('deploy', 'github', { repository_id: '100', ref: 'refs/heads/main' });
  const other = entry('release', 'github', { repository_id: '100', ref: 'refs/tags/v1' });
  const devin = JSON.stringify({
    name: 'devin',
    platform: 'devin',
    issuer: actions.issuer.issuer,
    claims: { org_id: 'org-1' },
    requester: 'user_email',
    groups: ['agents'],
  });
  await bench.commitPolicy({
    'hoop.yaml': `${hoop}workloads: [${github}, ${other}, ${devin}]\n`,
  });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await actions[Symbol.asyncDispose]();
  for (const path of homes) {
    rmSync(path, { recursive: true, force: true });
  }
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'hoop-test-runner-'));
  homes.push(home);
  actions.requests.length = 0;
  actions.answer = async ({ url }) => ({
    body: JSON.stringify({ value: await token({ aud: url.searchParams.get('audience') ?? '' }) }),
  });
});

function token(changes: JWTPayload = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return actions.issuer.mint({
    iss: actions.issuer.issuer,
    aud: `${bench.demo.gateway}/workload`,
    sub: 'repo:org/app:ref:refs/heads/main',
    repository_id: '100',
    ref: 'refs/heads/main',
    event_name: 'push',
    run_id: '7',
    iat: now,
    exp: now + 300,
    jti: `${Math.random()}`,
    ...changes,
  });
}

function step(variables: Record<string, string>, ...args: string[]): Promise<HoopRun> {
  return runHoop(args, {
    home,
    variables: {
      HOOP_GATEWAY: bench.demo.gateway,
      HOOP_CA: bench.demo.ca,
      HOOP_TOKEN_STORE: 'file',
      ...variables,
    },
  });
}

function inActions(...args: string[]): Promise<HoopRun> {
  return step(
    {
      GITHUB_ACTIONS: 'true',
      ACTIONS_ID_TOKEN_REQUEST_URL: `${actions.url}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-secret',
    },
    ...args,
  );
}

test('the demo has a job of a CI, which may read orders and nothing else', () => {
  expect(demoJob).toMatchObject({ exitCode: 0, stdout: 't\n' });
  expect(demoJobRefused.exitCode).not.toBe(0);
  expect(demoJobRefused.stderr).toContain('not allowed by policy');
});

describe('a step of GitHub Actions', () => {
  test('works on the database without a login, as the workload that the policy names', async () => {
    const psql = await inActions('connect', 'prod-db', '--', 'psql', '-XAtc', 'SELECT 42');
    expect(psql).toMatchObject({ exitCode: 0, stdout: '42\n' });
    const list = await inActions('sessions', 'list', '--json');
    const [session] = JSON.parse(list.stdout).sessions;
    expect(session).toMatchObject({ principal: 'workload:deploy/7', state: 'uploaded' });
    const verified = await inActions('sessions', 'verify', session.id);
    expect(verified.stdout + verified.stderr).toContain('workload:deploy/7');
    expect(verified.exitCode).toBe(0);
    // One token for all of it: the login is kept for the job.
    expect(actions.requests).toHaveLength(1);
  });

  test('keeps its key where only its user can read it', async () => {
    await inActions('whoami');
    const directory = join(home, 'workloads');
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    }
  });

  test('explains which entry was used and why another was not', async () => {
    const { stdout, exitCode } = await inActions('whoami', '--explain', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      used: 'github',
      login: { found: false },
      audience: `${bench.demo.gateway}/workload`,
      claims: { ref: 'refs/heads/main', repository_id: '100' },
      whoami: {
        kind: 'workload',
        workload: {
          entry: 'deploy',
          entries: [
            { name: 'deploy', fits: true },
            { name: 'release', fits: false, problems: [expect.stringContaining('"ref" is')] },
            { name: 'devin', fits: false, problems: [expect.stringContaining('"org_id"')] },
          ],
        },
      },
    });
    expect(stdout).not.toContain('request-secret');
  });

  test('shows the platforms also where no gateway is named and nobody has logged in', async () => {
    const nowhere = await runHoop(['whoami', '--explain'], {
      home,
      variables: { GITHUB_ACTIONS: 'true', HOOP_TOKEN_STORE: 'file' },
    });
    expect(nowhere.exitCode).toBe(3);
    expect(nowhere.stdout).toContain('gateway   none is known');
    expect(nowhere.stdout).toMatch(/^ {2}github +unusable: .*\n.*id-token/m);
    expect(nowhere.stdout).toMatch(/^ {2}gitlab +not here: /m);
    const bare = await runHoop(['whoami', '--explain', '--json'], { home, variables: {} });
    expect(bare.exitCode).toBe(3);
    const { gateway, login, platforms, error } = JSON.parse(bare.stdout);
    expect([gateway, login.found, error.code]).toEqual([undefined, false, 'HOOP_NOT_LOGGED_IN']);
    expect(platforms.length).toBeGreaterThan(9);
    expect(actions.requests).toEqual([]);
  });

  test('has nothing of others interpreted by the runner', async () => {
    const hostile = '##[error]x\n::set-output name=a::b';
    actions.answer = async () => ({
      body: JSON.stringify({ value: await token({ ref: hostile, '::notice::x': 'y' }) }),
    });
    const { stdout, stderr } = await inActions('whoami', '--explain');
    expect(stdout).toContain('##⟪U+005B⟫error]x');
    expect(stdout).toContain('  :⟪U+003A⟫notice::x: y');
    expect(stdout + stderr).not.toMatch(/##\[|^\s*::/m);
  });

  test('on another branch is refused with the claim that differs, and with status 4', async () => {
    actions.answer = async () => ({
      body: JSON.stringify({ value: await token({ ref: 'refs/heads/x:environment:prod' }) }),
    });
    const refused = await inActions('connect', 'prod-db', '--', 'psql', '-c', 'SELECT 1');
    expect(refused.stderr).toContain('"ref" is "refs/heads/x:environment:prod"');
    const explained = await inActions('whoami', '--explain');
    expect(explained.exitCode).toBe(4);
    expect(explained.stdout).toContain('ref: refs/heads/x:environment:prod');
    expect(explained.stderr).toContain('no entry of workloads');
  });

  test('compares the root key of the gateway where it is told', async () => {
    const wrong = await step(
      { HOOP_TOKEN: await token(), HOOP_GATEWAY_KEY: 'SHA256:another' },
      'whoami',
    );
    expect(wrong.stderr).toContain('an unexpected root key');
    expect(wrong.exitCode).not.toBe(0);
  });
});

describe('an agent with a login of its own', () => {
  test('is recorded with whom it works for, as its issuer says, and told so when it is denied', async () => {
    const variables = {
      HOOP_TOKEN: await token({
        sub: 'devin:org-1',
        repository_id: undefined,
        org_id: 'org-1',
        user_email: 'ann@example.com',
      }),
    };
    const shown = 'workload:devin (for ann@example.com, says its issuer)';
    const whoami = await step(variables, 'whoami');
    expect(whoami.stdout).toContain(shown);
    const psql = (sql: string) => step(variables, 'connect', 'prod-db', '--', 'psql', '-XAtc', sql);
    expect(await psql('SELECT 42')).toMatchObject({ exitCode: 0, stdout: '42\n' });
    // What people could ask for, it is not told to ask for, nor to be somebody else.
    const denied = await psql('UPDATE support_tickets SET id = id');
    expect(denied.stderr).toContain(`Requested by ${shown}.`);
    expect(denied.stderr).toContain('Allowed here: select');
    expect(denied.stderr).not.toMatch(/outside the run|access request|without the agent/);
    const nowhere = await step(variables, 'connect', 'other-db', '--', 'psql');
    expect(nowhere.stderr).not.toMatch(/in the run|access request/);
    const list = await step(variables, 'sessions', 'list');
    expect(list.stdout).toContain('workload:devin (for ann@example.com');
    const { sessions } = JSON.parse((await step(variables, 'sessions', 'list', '--json')).stdout);
    const requester = { name: 'ann@example.com', claimedBy: 'issuer' };
    expect(sessions[0]).toMatchObject({ principal: 'workload:devin', isAgent: true, requester });
    const { id } = sessions[0];
    expect((await step(variables, 'sessions', 'show', id)).stdout).toContain(shown);
    const replay = await step(variables, 'sessions', 'replay', id);
    expect(replay.stdout).toContain(`${shown} (devin:org-1 at `);
    const lines = (await step(variables, 'sessions', 'replay', id, '--json')).stdout.split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ requester });
    expect(lines.some((line) => line.includes('"session.open"') && line.includes('ann@'))).toBe(
      true,
    );
    const why = await step(variables, 'sessions', 'why', id);
    expect(why.exitCode).toBe(0);
  });
});

describe('hoop logout in a job', () => {
  test('ends the login at the gateway as well, and the next step logs in anew', async () => {
    const given = { HOOP_TOKEN: await token() };
    expect((await step(given, 'whoami')).exitCode).toBe(0);
    const kept = () =>
      readdirSync(join(home, 'workloads')).map((name) =>
        JSON.parse(readFileSync(join(home, 'workloads', name), 'utf8')),
      );
    const [before] = kept();
    expect(before.login.accessToken).toEqual(expect.any(String));
    const ended = await step(given, 'logout', '--json');
    expect(JSON.parse(ended.stdout)).toMatchObject({ wasLoggedIn: true, endedAtGateway: true });
    expect(kept()).toEqual([{ v: 1, key: before.key }]);
    // What was copied before is good for nothing now.
    const [name = ''] = readdirSync(join(home, 'workloads'));
    const path = join(home, 'workloads', name);
    writeFileSync(path, JSON.stringify(before), { mode: 0o600 });
    const copied = await step(given, 'whoami');
    expect(copied.exitCode).not.toBe(0);
    expect(copied.stderr).toContain('the login has ended');
    writeFileSync(path, JSON.stringify({ v: 1, key: before.key }), { mode: 0o600 });
    expect((await step(given, 'whoami')).exitCode).toBe(0);
    const [after] = kept();
    expect(after.login.refreshToken).not.toBe(before.login.refreshToken);
    expect((await step(given, 'logout')).stderr).toContain('logged out');
    const nothing = await step(given, 'logout', '--json');
    expect(JSON.parse(nothing.stdout)).toMatchObject({ wasLoggedIn: false });
  });

  test('with --all ends the token as well, and the platform’s next one logs in', async () => {
    const given = { HOOP_TOKEN: await token({ sub: 'repo:org/app:environment:revoked' }) };
    expect((await step(given, 'whoami')).exitCode).toBe(0);
    expect((await step(given, 'logout', '--all')).exitCode).toBe(0);
    const again = await step(given, 'whoami', '--json');
    expect(again.exitCode).toBe(3);
    expect(again.stderr).toContain('HOOP_TOKEN_REVOKED');
    const next = { HOOP_TOKEN: await token({ sub: 'repo:org/app:environment:revoked' }) };
    expect((await step(next, 'whoami')).exitCode).toBe(0);
  });

  test('leaves a person’s login alone when the job’s is named', async () => {
    const variables = { HOOP_TOKEN: await token(), HOOP_IDENTITY: 'token' };
    home = bench.home('engineer');
    expect((await step(variables, 'whoami')).exitCode).toBe(0);
    expect((await step(variables, 'logout')).stderr).toContain('logged out');
    const person = await step({ HOOP_IDENTITY: 'login' }, 'whoami', '--json');
    expect(JSON.parse(person.stdout).kind).toBe('person');
  });
});

describe('a cloud machine', () => {
  const machine = () => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: actions.url });

  test('that has no identity tells a person about `hoop login`', async () => {
    actions.answer = ({ url }) =>
      url.pathname.startsWith('/metadata/instance')
        ? { body: '{}' }
        : {
            status: 400,
            body: '{"error":"invalid_request","error_description":"Identity not found"}',
          };
    const refused = await step(machine(), 'whoami');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('A person logs in with `hoop login`.');
  });

  test('that no entry of the policy names does so, too, and not when its identity was asked for', async () => {
    const given = await token({ repository_id: '999' });
    actions.answer = () => ({
      body: JSON.stringify({ access_token: given, token_type: 'Bearer' }),
    });
    const implied = await step(machine(), 'whoami');
    expect(implied.stderr).toContain('A person logs in with `hoop login`.');
    const asked = await step({ ...machine(), HOOP_IDENTITY: 'azure-vm' }, 'whoami');
    expect(asked.exitCode).not.toBe(0);
    expect(asked.stderr).not.toContain('hoop login');
  });
});

describe('a token that was handed over', () => {
  test('serves all processes of the job, and nobody who has another key', async () => {
    const given = { HOOP_TOKEN: await token() };
    const both = await Promise.all([step(given, 'whoami'), step(given, 'whoami')]);
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    home = mkdtempSync(join(tmpdir(), 'hoop-test-thief-'));
    homes.push(home);
    const thief = await step(given, 'whoami');
    expect(thief.stderr).toContain('belongs to another key');
    expect(thief.exitCode).not.toBe(0);
    expect(thief.output).not.toContain(given.HOOP_TOKEN.split('.')[2]);
  });

  test('for somebody else is not sent to the gateway', async () => {
    const result = await step({ HOOP_TOKEN: await token({ aud: 'https://cluster' }) }, 'whoami');
    expect(result.stderr).toContain('meant for somebody else');
    expect(result.exitCode).toBe(3);
  });

  test('of a cluster’s API server never reaches the gateway, nor does one that names both', async () => {
    // A gateway that keeps what it is sent, as a hostile one would.
    const hostile = await TestPlatform.start();
    try {
      const cluster = 'https://kubernetes.default.svc.cluster.local';
      const gateway = hostile.url;
      for (const aud of [[cluster], [`${gateway}/workload`, cluster]]) {
        const given = await token({ aud, sub: 'system:serviceaccount:shop:report' });
        const path = join(home, 'api-token');
        writeFileSync(path, given, { mode: 0o600 });
        const pod = { HOOP_GATEWAY: gateway, KUBERNETES_SERVICE_HOST: '127.0.0.1' };
        for (const variables of [
          { ...pod, HOOP_IDENTITY_TOKEN_FILE: path },
          { ...pod, HOOP_TOKEN: given },
          { ...pod, HOOP_IDENTITY_TOKEN_FILE: path, HOOP_IDENTITY: 'kubernetes' },
        ]) {
          for (const args of [['whoami'], ['whoami', '--explain']]) {
            const refused = await step(variables, ...args);
            expect(refused.exitCode).not.toBe(0);
            expect(refused.output).not.toContain(given.split('.')[2]);
          }
        }
        const sent = hostile.requests.map(({ url, headers, body }) =>
          JSON.stringify([url, headers, body]),
        );
        expect(sent.join('\n')).not.toContain(given.split('.')[2]);
      }
    } finally {
      await hostile[Symbol.asyncDispose]();
    }
  });

  test('comes before a login, and HOOP_IDENTITY before both', async () => {
    const variables = { HOOP_TOKEN: await token() };
    home = bench.home('engineer');
    const asJob = await step(variables, 'whoami', '--json');
    expect(JSON.parse(asJob.stdout).kind).toBe('workload');
    const asPerson = await step({ ...variables, HOOP_IDENTITY: 'login' }, 'whoami', '--json');
    expect(JSON.parse(asPerson.stdout).kind).toBe('person');
  });

  test('is read from a file', async () => {
    const path = join(home, 'token');
    writeFileSync(path, `${await token()}\n`, { mode: 0o600 });
    const result = await step({ HOOP_IDENTITY_TOKEN_FILE: path }, 'whoami');
    expect(result.stdout).toContain('workload:deploy/7');
    const missing = await step({ HOOP_IDENTITY_TOKEN_FILE: `${path}2` }, 'whoami');
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain('does not exist');
  });
});
