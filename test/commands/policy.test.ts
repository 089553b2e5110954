import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { policyCommand } from '../../src/commands/policy.ts';
import { samplePolicy } from '../../src/demo/sample-policy.ts';
import { type CommandRun, runCommand } from '../auth/command-run.ts';
import { GitFixture, MINIMAL } from '../policy/git-fixture.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-test-check-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

/** What the command printed, and the error that main.ts would render. */
async function run(...args: string[]): Promise<Partial<CommandRun> & { error?: unknown }> {
  const out: { stdout: string } = { stdout: '' };
  try {
    return await runCommand(policyCommand, args, {
      env: process.env,
      onStdout: (text) => {
        out.stdout += text;
      },
    });
  } catch (error) {
    return { ...out, error };
  }
}

test('the policy of the demo is without problems', async () => {
  write(samplePolicy({ issuer: 'http://127.0.0.1:1234', clientId: 'x' }));
  expect(await run('check', directory)).toMatchObject({ stdout: 'ok: 1 target, 4 policies\n' });
});

test('a problem is shown with its place, its line and a mark below', async () => {
  write({
    ...MINIMAL,
    'policies/p.yaml': 'name: p\nwho: { grups: [a] }\ntargets: { names: [db] }\n',
  });
  const { stdout, error } = await run('check', directory);
  expect(stdout).toBe(
    [
      'policies/p.yaml:2:8: unknown key "grups"; expected one of everyone, groups, users, issuer, kinds, agents',
      '    2 | who: { grups: [a] }',
      '      |        ^',
      '',
    ].join('\n'),
  );
  expect(error).toMatchObject({ code: 'HOOP_POLICY_INVALID', message: 'the policy has a problem' });
});

describe('a DO block beside an approval', () => {
  const approving = `name: p
who: { groups: [staff] }
targets: { names: [db] }
rules:
  - { name: deletes, approve: { verbs: [delete], approvers: [dba] } }
  - { name: code, allow: { verbs: [do] } }
`;

  test('is a way round it: a warning with its place, and no problem', async () => {
    write({ ...MINIMAL, 'policies/p.yaml': approving });
    const { stdout, error } = await run('check', directory);
    expect(stdout).toContain('policies/p.yaml:6:1: warning: rule p/code allows "do", but hoop');
    expect(stdout).toContain('that p/deletes requires');
    expect(stdout).toMatch(/ok: 1 target, 2 policies\n$/);
    expect(error).toBeUndefined();
    const json = JSON.parse((await run('check', directory, '--json')).stdout ?? '');
    expect(json).toMatchObject({ ok: true, problems: [], warnings: [{ line: 6 }] });
  });

  test('is found across policies for the same people', async () => {
    const [head = '', rest = ''] = approving.split('  - { name: code');
    const other = head.replace('name: p', 'name: q').replace(/ {2}- .*\n/, '');
    write({
      ...MINIMAL,
      'policies/p.yaml': head,
      'policies/q.yaml': `${other}  - { name: code${rest}`,
    });
    expect((await run('check', directory)).stdout).toContain('rule q/code allows "do"');
  });

  test.each([
    ['other people', approving.replace('staff', 'sales').replace(/ {2}- \{ name: code.*\n/, '')],
    [
      'approval of DO as well',
      `${approving}  - { name: dos, approve: { verbs: [do], approvers: [dba] } }\n`,
    ],
    ['no approvals', approving.replace('approve:', 'allow:').replace(', approvers: [dba]', '')],
    [
      'a mask, because of which DO is refused',
      `${approving}masks: [{ column: public.a.b, mask: full }]\n`,
    ],
  ])('is no matter with %s', async (_, text) => {
    write({ ...MINIMAL, 'policies/p.yaml': text });
    expect(await run('check', directory)).toMatchObject({ stdout: 'ok: 1 target, 2 policies\n' });
  });
});

test('with --json all problems come as one document', async () => {
  write({ 'hoop.yaml': 'version: 1\n', 'policies/p.yml': 'x: 1\n' });
  const { stdout, error } = await run('check', directory, '--json');
  expect(JSON.parse(stdout ?? '')).toEqual({
    v: 1,
    ok: false,
    problems: [
      {
        file: 'hoop.yaml',
        line: 1,
        column: 1,
        message: 'identityProviders: missing; expected a list',
      },
      {
        file: 'policies/p.yml',
        line: 1,
        column: 1,
        message:
          'not read from here; policies are in policies/NAME.yaml, targets in targets/NAME.yaml and agents in agents/NAME.yaml',
      },
    ],
    warnings: [],
  });
  expect(error).toMatchObject({ message: 'the policy has 2 problems' });
});

test('a symbolic link among the policies is a problem before it is a commit', async () => {
  write(MINIMAL);
  symlinkSync('/etc/passwd', join(directory, 'policies', 'all.yaml'));
  const { stdout } = await run('check', directory);
  expect(stdout).toContain('policies/all.yaml:1:1: is a symbolic link or a special file');
});

test('a repository is checked as the gateway would take it, its signature too', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  write({ signers: key.allowed(), others: fixture.key('bob').allowed() });
  const signers = (file: string) => ['--allowed-signers', join(directory, file)];
  expect(await run('check', '--repo', fixture.tree)).toMatchObject({
    stdout: `ok: 1 target, 1 policy at commit ${commit.slice(0, 12)}\n`,
  });
  expect(await run('check', '--repo', fixture.tree, ...signers('signers'))).toMatchObject({
    stdout: expect.stringContaining('signed by alice@example.org'),
  });
  expect(await run('check', '--repo', fixture.tree, ...signers('others'))).toMatchObject({
    error: { code: 'HOOP_POLICY_SIGNER' },
  });
  expect(await run('check', '--repo', 'ext::sh -c true')).toMatchObject({
    error: { code: 'HOOP_CONFIG' },
  });
});

test('what is no directory is a usage error', async () => {
  expect(await run('check', join(directory, 'nothing'))).toMatchObject({
    error: { code: 'HOOP_USAGE' },
  });
});

test('the schema of each kind of file is printed as JSON Schema', async () => {
  for (const [kind, title] of [
    ['hoop', 'hoop.yaml'],
    ['target', 'targets/*.yaml'],
    ['policy', 'policies/*.yaml'],
  ] as const) {
    const { stdout } = await run('schema', kind);
    expect(JSON.parse(stdout ?? '')).toMatchObject({
      title,
      $schema: 'https://json-schema.org/draft/2020-12/schema',
    });
  }
});
