import { expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import {
  type ClientPolicyOptions,
  verifyAcceptedCommit,
  verifyPolicyCommit,
} from '../../../src/policy/repo/client-policy.ts';
import { PolicyRepo } from '../../../src/policy/repo.ts';
import { GitFixture, MINIMAL, NEVER, type SigningKey } from '../git-fixture.ts';

async function gateway(fixture: GitFixture, key: SigningKey): Promise<PolicyRepo> {
  const repo = await PolicyRepo.open(
    {
      dir: fixture.path('gateway'),
      repository: fixture.tree,
      branch: 'main',
      allowedSigners: key.allowed(),
      env: process.env,
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
