/** What whoever may push to the policy's repository, or serves it, tries on who fetches it. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PolicyRepo } from '../../../src/policy/repo.ts';
import { GitFixture, MINIMAL, NEVER, type SigningKey } from '../git-fixture.ts';
import { POLICY_CONNECTORS } from '../with-connectors.ts';

function open(
  fixture: GitFixture,
  key: SigningKey,
  {
    repository = fixture.tree,
    env = process.env,
  }: { repository?: string; env?: NodeJS.ProcessEnv } = {},
) {
  return PolicyRepo.open(
    {
      ...{ dir: fixture.path('state'), repository, branch: 'main', env },
      allowedSigners: key.allowed(),
      connectors: POLICY_CONNECTORS,
    },
    NEVER,
  );
}

test('a local repository that lacks objects fetches them from nowhere, whatever it names', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  const ran = fixture.path('ran');
  const program = fixture.path('upload-pack');
  writeFileSync(program, `#!/bin/sh\ntouch ${ran}\nexec git-upload-pack "$@"\n`, { mode: 0o755 });
  const full = fixture.path('full');
  fixture.git('clone', '--quiet', '--bare', fixture.tree, full);
  for (const [name, value] of [
    ['core.repositoryFormatVersion', '1'],
    ['extensions.partialClone', 'origin'],
    ['remote.origin.url', full],
    ['remote.origin.uploadpack', program],
    ['remote.origin.promisor', 'true'],
    ['core.sshCommand', program],
    ['core.gitProxy', program],
    ['core.alternateRefsCommand', program],
    ['uploadpack.packObjectsHook', program],
    ['core.hooksPath', fixture.root],
  ] as const) {
    fixture.inTree('config', name, value);
  }
  const blob = fixture.inTree('rev-parse', 'HEAD:hoop.yaml');
  execFileSync('rm', ['-f', join(fixture.tree, '.git/objects', blob.slice(0, 2), blob.slice(2))]);
  const repo = await open(fixture, key);
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_FETCH');
  expect(existsSync(ran)).toBe(false);
});

test('variables of the caller name no settings, programs or files to git', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  const ran = fixture.path('ran');
  const home = fixture.path('home');
  const config = `[core]\n\tfsmonitor = touch ${ran}\n\tsshCommand = touch ${ran}\n[remote "x"]\n\turl = ext::touch ${ran}\n[url "ext::touch ${ran} "]\n\tinsteadOf = file://\n`;
  execFileSync('mkdir', ['-p', join(home, '.config/git')]);
  for (const name of ['.gitconfig', '.config/git/config']) writeFileSync(join(home, name), config);
  const env = {
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `url.ext::touch ${ran} .insteadOf`,
    GIT_CONFIG_VALUE_0: 'file://',
    GIT_CONFIG_PARAMETERS: `'protocol.allow'='always'`,
    GIT_CONFIG: join(home, '.gitconfig'),
    GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
    GIT_CONFIG_SYSTEM: join(home, '.gitconfig'),
    GIT_DIR: join(fixture.tree, '.git'),
    GIT_WORK_TREE: fixture.tree,
    GIT_OBJECT_DIRECTORY: fixture.path('objects'),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(fixture.tree, '.git/objects'),
    GIT_INDEX_FILE: fixture.path('index'),
    GIT_SSH_COMMAND: `touch ${ran}`,
    GIT_PROXY_COMMAND: `touch ${ran}`,
    GIT_EXTERNAL_DIFF: `touch ${ran}`,
    GIT_PAGER: `touch ${ran}`,
    GIT_EXEC_PATH: fixture.path('libexec'),
    GIT_TEMPLATE_DIR: home,
    GIT_TRACE: fixture.path('trace'),
    GIT_TRACE2_EVENT: fixture.path('trace'),
    GIT_NAMESPACE: 'other',
    GIT_ALLOW_PROTOCOL: 'ext:file',
  };
  const repo = await open(fixture, key, { env });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(commit);
  expect(existsSync(ran)).toBe(false);
  expect(existsSync(fixture.path('trace'))).toBe(false);
});

test('a tag that takes the place of a directory of tags keeps no policy back', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  fixture.inTree('tag', 'stop');
  const repo = await open(fixture, key);
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  fixture.inTree('tag', '--delete', 'stop');
  fixture.inTree('tag', 'stop/here');
  const next = fixture.commit({ 'README.md': 'two' }, { key });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(next);
});

test('a tag that signs what is in force counts also when the repository has another in its place', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL);
  fixture.tag('v1', key);
  expect((await (await open(fixture, key)).sync(NEVER)).problem).toBeUndefined();
  fixture.inTree('tag', '--delete', 'v1');
  fixture.inTree('tag', 'v1/x');
  const repo = await open(fixture, key);
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect((await open(fixture, key)).current()?.commit).toBe(commit);
});

test('what is told of a fetch that fails is why', async () => {
  using fixture = new GitFixture();
  const repo = await open(fixture, fixture.key('alice'), { repository: fixture.path('none') });
  const { problem } = await repo.sync(NEVER);
  expect(problem?.detail).toContain('does not appear to be a git repository');
});

test('a tree that names a file twice is refused', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  const inTree = (args: readonly string[], input: Buffer | string) =>
    execFileSync('git', ['-C', fixture.tree, ...args], { input, encoding: 'latin1' }).trim();
  const policy = (verb: string) =>
    `name: readers\nwho: { groups: [staff] }\ntargets: { names: [db] }\nrules:\n  - allow: { verbs: [${verb}] }\n`;
  const blob = inTree(['hash-object', '-w', '--stdin'], policy('delete'));
  const tree = execFileSync('git', ['-C', fixture.tree, 'cat-file', 'tree', 'HEAD^{tree}']);
  // Sorted as git wants it: behind the directory `policies`.
  const at = tree.indexOf('40000 targets\0');
  const entry = Buffer.concat([
    Buffer.from('100644 policies/readers.yaml\0'),
    Buffer.from(blob, 'hex'),
  ]);
  const made = Buffer.concat([tree.subarray(0, at), entry, tree.subarray(at)]);
  const id = inTree(['hash-object', '-w', '-t', 'tree', '--literally', '--stdin'], made);
  fixture.inTree(
    ...['-c', 'gpg.format=ssh', '-c', `user.signingkey=${key.file}`],
    ...['update-ref', 'refs/heads/main'],
    fixture.inTree(
      ...['-c', 'gpg.format=ssh', '-c', `user.signingkey=${key.file}`],
      ...['commit-tree', '-S', '-p', 'HEAD', '-m', 'x', id],
    ),
  );
  const repo = await open(fixture, key);
  expect((await repo.sync(NEVER)).problem).toMatchObject({
    detail: expect.stringContaining('fullPathname'),
  });
  expect(repo.current()).toBeUndefined();
});
