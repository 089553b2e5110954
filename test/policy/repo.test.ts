import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { runGit } from '../../src/policy/repo/git.ts';
import { PolicyClone } from '../../src/policy/repo/policy-clone.ts';
import { PolicyRepo } from '../../src/policy/repo.ts';
import { GitFixture, MINIMAL, NEVER, type SigningKey } from './git-fixture.ts';
import { POLICY_CONNECTORS } from './with-connectors.ts';

const NOW = Date.parse('2026-01-06T00:00:00Z');
const OTHER = 'name: other\nkind: postgres\ndatabase: app\n';

function open(fixture: GitFixture, allowedSigners: string, repository = fixture.tree) {
  return PolicyRepo.open(
    {
      dir: fixture.path('state'),
      repository,
      branch: 'main',
      allowedSigners,
      env: process.env,
      connectors: POLICY_CONNECTORS,
      now: () => NOW,
    },
    NEVER,
  );
}

async function opened(
  files: Readonly<Record<string, string>> = MINIMAL,
): Promise<{ fixture: GitFixture; key: SigningKey; repo: PolicyRepo; commit: string }> {
  const fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(files, { key });
  const repo = await open(fixture, key.allowed());
  return { fixture, key, repo, commit };
}

test('a signed commit comes into force, with its signer and date', async () => {
  const { fixture, repo, commit } = await opened();
  using _ = fixture;
  expect(repo.current()).toBeUndefined();
  expect(() => repo.reply()).toThrow('no policy is in force');
  expect(() => repo.reply()).toThrow(expect.objectContaining({ code: 'HOOP_POLICY_MISSING' }));

  expect(await repo.sync(NEVER)).toEqual({ changed: true, problem: undefined });

  expect(repo.current()?.policy.targets.get('db')).toMatchObject({ database: 'app' });
  expect(repo.reply()).toEqual({
    v: 1,
    commit,
    committedAt: '2026-01-05T10:00:00.000Z',
    signer: 'alice@example.org',
    ageSeconds: 0,
  });
  expect(await repo.sync(NEVER)).toEqual({ changed: false, problem: undefined });
});

const LOCKS = [
  'refs/hoop/incoming.lock',
  'refs/hoop/accepted.lock',
  'refs/heads/main.lock',
  'config.lock',
  'packed-refs.lock',
];

test('a lock that a stopped git has left does not keep the next policy from coming into force', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  for (const name of LOCKS) {
    writeFileSync(join(fixture.path('state'), 'policy.git', name), '');
  }
  const commit = fixture.commit({ 'targets/other.yaml': OTHER }, { key });
  expect(await repo.sync(NEVER)).toEqual({ changed: true, problem: undefined });
  expect(repo.current()?.commit).toBe(commit);
});

test('where several processes share a clone, a lock is removed once no git can have it any more', async () => {
  const { fixture, key, commit: first } = await opened();
  using _ = fixture;
  const dir = fixture.path('shared');
  const repository = fixture.tree;
  const allowedSigners = key.allowed();
  const { env } = process;
  const clone = await PolicyClone.open({ dir, branch: 'main', allowedSigners, env }, NEVER);
  expect(await clone.fetch(repository, NEVER)).toBe(first);
  const locks = LOCKS.map((name) => join(dir, 'policy.git', name));
  for (const lock of locks) {
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, '');
  }
  const commit = fixture.commit({ 'targets/other.yaml': OTHER }, { key });
  expect(await clone.fetch(repository, NEVER)).toBe(commit);
  await expect(clone.accept(commit, NEVER)).rejects.toMatchObject({ code: 'HOOP_POLICY_FETCH' });
  expect(locks.every((lock) => existsSync(lock))).toBe(true);
  const before = new Date(Date.now() - 121_000);
  for (const lock of locks) {
    utimesSync(lock, before, before);
  }
  expect(await clone.fetch(repository, NEVER)).toBe(commit);
  await clone.accept(commit, NEVER);
});

test('a git that is stopped gets the time to remove its locks, and goes in any case', async () => {
  using fixture = new GitFixture();
  const programs = fixture.path('programs');
  mkdirSync(programs, { recursive: true });
  const run = async (script: string): Promise<void> => {
    const begun = join(programs, 'begun');
    rmSync(begun, { force: true });
    writeFileSync(join(programs, 'git'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const stop = new AbortController();
    const options = { gitDir: '/', args: ['status'], signal: stop.signal };
    const env = { PATH: `${programs}:${process.env['PATH']}` };
    const running = runGit({ ...options, env });
    await expect.poll(() => existsSync(begun)).toBe(true);
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
  };
  const wait = `touch ${programs}/begun; while :; do sleep 0.05; done`;
  await run(`trap 'touch ${programs}/cleaned; exit 1' TERM; ${wait}`);
  expect(existsSync(join(programs, 'cleaned'))).toBe(true);
  await run(`trap '' TERM; ${wait}`);
});

test('an unsigned commit is refused and the last good one stays in force', async () => {
  const { fixture, repo, commit } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const unsigned = fixture.commit({ 'policies/readers.yaml': 'name: wider\n' });

  const { changed, problem, refused } = await repo.sync(NEVER);

  expect(changed).toBe(false);
  expect(problem?.code).toBe('HOOP_POLICY_UNSIGNED');
  expect(refused).toBe(unsigned);
  expect(repo.current()?.commit).toBe(commit);
  expect(repo.reply().problem).toContain('is not signed');
});

test('a text that looks like a signature in the message is no signature', async () => {
  const { fixture, repo } = await opened();
  using _ = fixture;
  fixture.inTree(
    'commit',
    '--quiet',
    '--allow-empty',
    '-m',
    'x\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n',
  );
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_UNSIGNED');
});

test('a commit signed by another key is refused', async () => {
  const { fixture, repo, commit } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  fixture.commit({}, { key: fixture.key('mallory') });
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  expect(repo.current()?.commit).toBe(commit);
});

test('a key whose validity ended before the commit is refused', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  const repo = await open(fixture, key.allowed('valid-before="20200101"'));
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  expect(repo.current()).toBeUndefined();
});

test('an expired key cannot sign a new commit by dating it back', async () => {
  using fixture = new GitFixture();
  const [old, current] = [fixture.key('old'), fixture.key('current')];
  const allowed = old.allowed('valid-before="20251231Z"') + current.allowed();
  const first = fixture.commit(MINIMAL, { key: current, date: '2025-06-01T00:00:00Z' });
  const repo = await open(fixture, allowed);
  await repo.sync(NEVER);
  fixture.commit({}, { key: old, date: '2025-07-01T00:00:00Z' });
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  expect(repo.current()?.commit).toBe(first);
});

test('a commit made while its key was valid stays in force after the key has expired', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('old');
  const commit = fixture.commit(MINIMAL, { key, date: '2025-06-01T00:00:00Z' });
  const repo = await open(fixture, key.allowed('valid-before="20251231Z"'));
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(commit);
});

test('a signed tag on the commit counts, a tag by a stranger does not', async () => {
  using fixture = new GitFixture();
  const [alice, mallory] = [fixture.key('alice'), fixture.key('mallory')];
  fixture.commit(MINIMAL);
  fixture.tag('a-stranger', mallory);
  const repo = await open(fixture, alice.allowed());
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  fixture.tag('approved-1', alice);
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.signer).toBe('alice@example.org');
});

test('a merge of a signed tag comes into force, also with CRLF in the message of the tag', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const signing = ['-c', 'gpg.format=ssh', '-c', `user.signingkey=${key.file}`];
  fixture.inTree('checkout', '--quiet', '-b', 'side');
  fixture.commit({ 'targets/other.yaml': OTHER }, { key });
  fixture.inTree(...signing, 'tag', '-s', '--cleanup=verbatim', '-m', 'what\r\nchanged\r\n', 'v1');
  fixture.inTree('checkout', '--quiet', 'main');
  fixture.inTree(...signing, 'merge', '--quiet', '--no-ff', '-S', '-m', 'merge', 'v1');
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(fixture.inTree('rev-parse', 'HEAD'));
});

test('rewound history is refused, also when the older commit was good once', async () => {
  const { fixture, key, repo, commit: first } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const second = fixture.commit({ 'README.md': 'two' }, { key });
  await repo.sync(NEVER);
  fixture.inTree('reset', '--quiet', '--hard', first);
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_REWOUND');
  expect(repo.current()?.commit).toBe(second);
});

test('a force push of another signed history is refused', async () => {
  const { fixture, key, repo, commit } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  fixture.inTree('checkout', '--quiet', '--orphan', 'other');
  fixture.commit({ 'README.md': 'other' }, { key });
  fixture.inTree('branch', '--force', 'main', 'other');
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_REWOUND');
  expect(repo.current()?.commit).toBe(commit);
});

test('after a restart the last good commit is in force without the repository, and never an older one', async () => {
  const { fixture, key, repo, commit: first } = await opened();
  using _ = fixture;
  const second = fixture.commit({ 'README.md': 'two' }, { key });
  await repo.sync(NEVER);
  rmSync(fixture.tree, { recursive: true });

  const again = await open(fixture, key.allowed());
  expect(again.current()?.commit).toBe(second);
  const { problem } = await again.sync(NEVER);
  expect(problem?.code).toBe('HOOP_POLICY_FETCH');
  expect(again.current()?.commit).toBe(second);
  expect(again.current()?.commit).not.toBe(first);
});

test('after a restart with other allowed signers the old commit is not in force', async () => {
  const { fixture, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const again = await open(fixture, fixture.key('bob').allowed());
  expect(again.current()).toBeUndefined();
  expect(again.status().problem?.code).toBe('HOOP_POLICY_SIGNER');
});

test('a policy that the schema rejects is not put in force and every problem is named', async () => {
  const { fixture, key, repo, commit } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  fixture.commit(
    { 'policies/readers.yaml': 'name: readers\nwho: { groups: [] }\ntargets: {}\nextra: 1\n' },
    { key },
  );
  const { problem } = await repo.sync(NEVER);
  expect(problem?.code).toBe('HOOP_POLICY_INVALID');
  expect(problem?.detail).toContain(
    'policies/readers.yaml:2:16: who.groups: expected at least one',
  );
  expect(problem?.detail).toContain('policies/readers.yaml:4:1: unknown key "extra"');
  expect(repo.reply().problem).toMatch(
    /^the policy has \d problems: policies\/readers\.yaml:2:16: /,
  );
  expect(repo.current()?.commit).toBe(commit);
});

test('the next good commit repairs everything', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  fixture.commit({ 'policies/readers.yaml': 'x' });
  await repo.sync(NEVER);
  const good = fixture.commit(MINIMAL, { key });
  expect(await repo.sync(NEVER)).toEqual({ changed: true, problem: undefined });
  expect(repo.current()?.commit).toBe(good);
});

test('a symbolic link among the policies is refused, not followed', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key, symlinks: { 'policies/all.yaml': '/etc/passwd' } });
  const repo = await open(fixture, key.allowed());
  const { problem } = await repo.sync(NEVER);
  expect(problem?.code).toBe('HOOP_POLICY_INVALID');
  expect(problem?.message).toBe('"policies/all.yaml" is a symbolic link, not a file');
});

test('strange file names are refused or ignored, never used as a path', async () => {
  const { fixture, key, repo } = await opened({
    ...MINIMAL,
    '-rf.yaml': 'x',
    '$(touch x).txt': 'x',
  });
  using _ = fixture;
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  fixture.commit({ 'policies/a\nb.yaml': 'x' }, { key });
  expect((await repo.sync(NEVER)).problem?.message).toContain(
    'unusual name: "policies/a\\nb.yaml"',
  );
});

test('a huge policy file is refused before it is read', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  fixture.commit({ 'policies/big.yaml': '#'.repeat(1024 * 1024 + 1) }, { key });
  expect((await repo.sync(NEVER)).problem?.message).toContain('larger than hoop reads');
});

test('transports and options in the repository or branch never reach git', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const canary = fixture.path('canary');
  for (const repository of [
    `ext::sh -c "touch ${canary}"`,
    `--upload-pack=touch ${canary}`,
    `-oProxyCommand=touch ${canary}`,
    `ssh://-oProxyCommand=touch/x`,
    'git://example.org/x',
    'http://example.org/x',
    'https://user:secret@example.org/x',
    'https://example.org/x?private_token=secret',
    'fd::7',
    'file://other/x',
  ]) {
    const repo = await open(fixture, key.allowed(), repository);
    const { problem } = await repo.sync(NEVER);
    expect(problem?.code, repository).toBe('HOOP_CONFIG');
    expect(JSON.stringify(problem), repository).not.toContain('secret');
  }
  for (const branch of [
    '--upload-pack=x',
    'a..b',
    'a b',
    '',
    'a:b',
    '+a',
    'x.lock',
    '/a',
    'a//b',
  ]) {
    await expect(
      PolicyRepo.open(
        {
          dir: fixture.path('s2'),
          repository: fixture.tree,
          branch,
          allowedSigners: '',
          env: process.env,
          connectors: POLICY_CONNECTORS,
        },
        NEVER,
      ),
      branch,
    ).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  }
  expect(existsSync(canary)).toBe(false);
});

test('a directory with spaces and quotes in its name is a repository like any other', async () => {
  const { fixture, key } = await opened();
  using _ = fixture;
  const odd = fixture.path(`pol icy's %41 #1`);
  fixture.git('clone', '--quiet', '--bare', fixture.tree, odd);
  const repo = await open(fixture, key.allowed(), odd);
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
});

test('a local repository of another user is read', async () => {
  const { fixture, repo, commit } = await opened();
  using _ = fixture;
  if (process.getuid?.() === 0) {
    // Only root can give files away; for everyone else this is one more plain fetch.
    execFileSync('chown', ['-R', '65534', fixture.tree]);
  }
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(commit);
});

test('hooks and configuration of the fetched repository do not run', async () => {
  const { fixture, repo } = await opened();
  using _ = fixture;
  fixture.inTree('config', 'uploadpack.packObjectsHook', `touch ${fixture.path('hooked')}`);
  fixture.inTree('config', 'core.fsmonitor', `touch ${fixture.path('hooked')}`);
  await repo.sync(NEVER);
  expect(existsSync(fixture.path('hooked'))).toBe(false);
});

test('watch reports a change and each new problem once', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = repo.watch({
    pollSeconds: 0.01,
    signal: stop.signal,
    onChange: ({ commit }) => {
      seen.push(commit);
      fixture.commit({ 'README.md': 'unsigned' });
    },
    onProblem: ({ code }) => {
      seen.push(code);
      stop.abort();
    },
  });
  const second = fixture.commit({ 'README.md': 'two' }, { key });
  await watching;
  expect(seen).toEqual([second, 'HOOP_POLICY_UNSIGNED']);
});

test('watch reports a second bad commit as well, though its problem is called the same', async () => {
  const { fixture, key, repo } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  const stop = new AbortController();
  const seen: (string | undefined)[] = [];
  fixture.commit(
    { 'policies/readers.yaml': `${MINIMAL['policies/readers.yaml']}first: 1\n` },
    { key },
  );
  await repo.watch({
    pollSeconds: 0.01,
    signal: stop.signal,
    onChange: () => stop.abort(),
    onProblem: ({ detail }) => {
      seen.push(detail?.match(/unknown key "\w+"/)?.[0]);
      if (seen.length === 2) {
        stop.abort();
      }
      const text = `${MINIMAL['policies/readers.yaml']}second: 1\n`;
      fixture.commit({ 'policies/readers.yaml': text }, { key });
    },
  });
  expect(seen).toEqual(['unknown key "first"', 'unknown key "second"']);
});

test('an aborted sync rejects with the reason and leaves what is in force', async () => {
  const { fixture, repo, commit } = await opened();
  using _ = fixture;
  await repo.sync(NEVER);
  await expect(repo.sync(AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  expect(repo.current()?.commit).toBe(commit);
});
