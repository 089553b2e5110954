import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import { isCleanClone } from '../../../src/policy/repo/clean-clone.ts';
import {
  type ClientPolicyOptions,
  verifyAcceptedCommit,
  verifyPolicyCommit,
} from '../../../src/policy/repo/client-policy.ts';
import { PolicyRepo } from '../../../src/policy/repo.ts';
import { GitFixture, MINIMAL, NEVER, type SigningKey } from '../git-fixture.ts';
import { POLICY_CONNECTORS } from '../with-connectors.ts';

async function gateway(fixture: GitFixture, key: SigningKey): Promise<PolicyRepo> {
  const repo = await PolicyRepo.open(
    {
      dir: fixture.path('gateway'),
      repository: fixture.tree,
      branch: 'main',
      allowedSigners: key.allowed(),
      env: process.env,
      connectors: POLICY_CONNECTORS,
    },
    NEVER,
  );
  await repo.sync(NEVER);
  return repo;
}

function client(
  fixture: GitFixture,
  key: SigningKey,
  options: Pick<ClientPolicyOptions, 'commit' | 'bundle'> & Partial<ClientPolicyOptions>,
) {
  return verifyPolicyCommit({
    dir: fixture.path('client'),
    branch: 'main',
    allowedSigners: key.allowed(),
    env: process.env,
    signal: NEVER,
    ...options,
  });
}

const noBundle = () => Promise.reject(new HoopError('HOOP_UNREACHABLE', 'no bundle was expected'));

test('a client that reaches the repository verifies the commit by itself', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  const options = { commit, repository: fixture.tree, bundle: noBundle };
  expect(await client(fixture, key, options)).toMatchObject({
    commit,
    signer: 'alice@example.org',
    source: 'repository',
  });
  expect(await client(fixture, key, options)).toMatchObject({ commit, source: 'local' });
});

test('a client without access verifies the bundle of the gateway in the same way', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  const repo = await gateway(fixture, key);
  const bundle = () => repo.createBundle(NEVER);
  const unreachable = fixture.path('nothing-here');
  expect(await client(fixture, key, { commit, bundle, repository: unreachable })).toMatchObject({
    commit,
    signer: 'alice@example.org',
    source: 'gateway',
  });
  const next = fixture.commit({ 'README.md': 'two' }, { key });
  await repo.sync(NEVER);
  expect(await client(fixture, key, { commit: next, bundle })).toMatchObject({ commit: next });
});

test('a commit whose signature is on a tag comes through a bundle too', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL);
  fixture.tag('v1', key);
  const repo = await gateway(fixture, key);
  expect(
    await client(fixture, key, { commit, bundle: () => repo.createBundle(NEVER) }),
  ).toMatchObject({ commit, source: 'gateway' });
});

test('so does one whose tag the repository has replaced', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL);
  fixture.tag('v1', key);
  const repo = await gateway(fixture, key);
  await repo.sync(NEVER);
  fixture.inTree('tag', '--delete', 'v1');
  fixture.inTree('tag', 'v1/x');
  await repo.sync(NEVER);
  expect(
    await client(fixture, key, { commit, bundle: () => repo.createBundle(NEVER) }),
  ).toMatchObject({ commit, source: 'gateway' });
});

test('a gateway that is behind the repository is accepted, one that goes back is not', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const first = fixture.commit(MINIMAL, { key });
  const second = fixture.commit({ 'README.md': 'two' }, { key });
  const third = fixture.commit({ 'README.md': 'three' }, { key });
  const repository = fixture.tree;
  await client(fixture, key, { commit: second, repository, bundle: noBundle });
  await client(fixture, key, { commit: third, repository, bundle: noBundle });
  await expect(
    client(fixture, key, { commit: first, repository, bundle: noBundle }),
  ).rejects.toMatchObject({ code: 'HOOP_POLICY_REWOUND' });
});

test('a commit that nobody allowed has signed is refused whoever sends it', async () => {
  using fixture = new GitFixture();
  const [alice, mallory] = [fixture.key('alice'), fixture.key('mallory')];
  const commit = fixture.commit(MINIMAL, { key: mallory });
  const repo = await gateway(fixture, mallory);
  const bundle = () => repo.createBundle(NEVER);
  await expect(client(fixture, alice, { commit, bundle })).rejects.toMatchObject({
    code: 'HOOP_POLICY_SIGNER',
  });
  const unsigned = fixture.commit({});
  await expect(
    client(fixture, alice, { commit: unsigned, repository: fixture.tree, bundle }),
  ).rejects.toMatchObject({ code: 'HOOP_POLICY_UNSIGNED' });
});

test('a commit that is not in the history that was sent is a mismatch', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  const repo = await gateway(fixture, key);
  await expect(
    client(fixture, key, { commit: 'a'.repeat(40), bundle: () => repo.createBundle(NEVER) }),
  ).rejects.toMatchObject({ code: 'HOOP_POLICY_MISMATCH' });
});

test.each([
  ['no bundle at all', Buffer.from('hello')],
  ['a cut bundle', undefined],
])('%s is refused as a failed fetch', async (_name, bytes) => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  const repo = await gateway(fixture, key);
  const whole = await repo.createBundle(NEVER);
  const bundle = () => Promise.resolve(bytes ?? whole.subarray(0, whole.length - 40));
  await expect(client(fixture, key, { commit, bundle })).rejects.toMatchObject({
    code: 'HOOP_POLICY_FETCH',
  });
});

test('what the gateway names must be a commit id', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  for (const commit of ['--help', 'HEAD', 'main', 'abc', `${'a'.repeat(40)} x`]) {
    await expect(client(fixture, key, { commit, bundle: noBundle })).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_BAD_REPLY',
    });
  }
});

test('two clients in one home do not disturb each other', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  const options = { commit, repository: fixture.tree, bundle: noBundle };
  const both = await Promise.all([client(fixture, key, options), client(fixture, key, options)]);
  expect(both.map((result) => result.commit)).toEqual([commit, commit]);
});

test('the commit accepted last can be verified before the gateway has answered, by today’s signers', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const known = { dir: fixture.path('client'), branch: 'main', env: process.env, signal: NEVER };
  const alice = { ...known, allowedSigners: key.allowed() };
  expect(await verifyAcceptedCommit(alice)).toBeUndefined();
  const commit = fixture.commit(MINIMAL, { key });
  await client(fixture, key, { commit, repository: fixture.tree, bundle: noBundle });
  expect(await verifyAcceptedCommit(alice)).toMatchObject({
    commit,
    signer: 'alice@example.org',
    source: 'local',
  });
  const bob = { ...known, allowedSigners: fixture.key('bob').allowed() };
  await expect(verifyAcceptedCommit(bob)).rejects.toMatchObject({ code: 'HOOP_POLICY_SIGNER' });
});

describe('a clone that somebody has written to', () => {
  /** Ways in which git would run a program, or believe what it is told about the history. */
  const PLANTED: Readonly<Record<string, (clone: string, program: string) => void>> = {
    'core.alternateRefsCommand': (clone, program) => {
      appendFileSync(join(clone, 'config'), `\talternateRefsCommand = ${program}\n`);
      writeFileSync(join(clone, 'objects/info/alternates'), `${clone}/objects\n`);
    },
    'uploadpack of a remote': (clone, program) =>
      appendFileSync(
        join(clone, 'config'),
        `[url "fake:"]\n\tinsteadOf = /\n[remote "fake:"]\n\tuploadpack = ${program}\n`,
      ),
    'a hook': (clone, program) => {
      mkdirSync(join(clone, 'hooks'));
      symlinkSync(program, join(clone, 'hooks/reference-transaction'));
    },
    'an include': (clone, program) => {
      appendFileSync(join(clone, 'config'), '[include]\n\tpath = more\n');
      writeFileSync(join(clone, 'more'), `[core]\n\tfsmonitor = ${program}\n`);
    },
    'a file that leads elsewhere': (clone) => writeFileSync(join(clone, 'commondir'), '/tmp\n'),
    'a history that is cut off': (clone) => writeFileSync(join(clone, 'shallow'), ''),
    'objects behind a link': (clone) => {
      renameSync(join(clone, 'objects'), `${clone}-objects`);
      symlinkSync(`${clone}-objects`, join(clone, 'objects'));
    },
  };

  test.each(Object.keys(PLANTED))('runs nothing and is made anew: %s', async (name) => {
    using fixture = new GitFixture();
    const key = fixture.key('alice');
    const commit = fixture.commit(MINIMAL, { key });
    const ran = fixture.path('ran');
    const program = fixture.path('program');
    writeFileSync(program, `#!/bin/sh\necho ran >> ${ran}\n`, { mode: 0o755 });
    const options = { repository: fixture.tree, bundle: noBundle };
    await client(fixture, key, { ...options, commit });
    const clone = join(fixture.path('client'), 'policy.git');
    PLANTED[name]?.(clone, program);
    const next = fixture.commit({ 'README.md': 'two' }, { key });
    expect(await client(fixture, key, { ...options, commit: next })).toMatchObject({
      commit: next,
      source: 'repository',
    });
    expect(existsSync(ran)).toBe(false);
    expect(isCleanClone(clone)).toBe(true);
  });

  test('still knows from where history may only go forward', async () => {
    using fixture = new GitFixture();
    const key = fixture.key('alice');
    const first = fixture.commit(MINIMAL, { key });
    const second = fixture.commit({ 'README.md': 'two' }, { key });
    const options = { repository: fixture.tree, bundle: noBundle };
    await client(fixture, key, { ...options, commit: second });
    writeFileSync(join(fixture.path('client'), 'policy.git/shallow'), '');
    await expect(client(fixture, key, { ...options, commit: first })).rejects.toMatchObject({
      code: 'HOOP_POLICY_REWOUND',
    });
    expect(await client(fixture, key, { ...options, commit: second })).toMatchObject({
      commit: second,
    });
  });

  test('is not what a clone is that was only used', async () => {
    using fixture = new GitFixture();
    const key = fixture.key('alice');
    const options = { repository: fixture.tree, bundle: noBundle };
    const clone = join(fixture.path('client'), 'policy.git');
    await client(fixture, key, { ...options, commit: fixture.commit(MINIMAL, { key }) });
    const marker = statSync(clone).ino;
    for (const text of ['two', 'three']) {
      await client(fixture, key, {
        ...options,
        commit: fixture.commit({ 'README.md': text }, { key }),
      });
    }
    execFileSync('git', ['--git-dir', clone, 'pack-refs', '--all']);
    await client(fixture, key, {
      ...options,
      commit: fixture.commit({ 'README.md': '4' }, { key }),
    });
    expect(statSync(clone).ino).toBe(marker);
  });
});
