/** What whoever may push to the policy's repository, or serves it, tries on who fetches it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import { directoryBytes } from '../../../src/policy/repo/directory-size.ts';
import { runGit } from '../../../src/policy/repo/git.ts';
import { gitEnvironment } from '../../../src/policy/repo/git-settings.ts';
import { PolicyRepo } from '../../../src/policy/repo.ts';
import { listen } from '../../auth/listen.ts';
import { GitFixture, MINIMAL, NEVER, type SigningKey } from '../git-fixture.ts';
import { POLICY_CONNECTORS } from '../with-connectors.ts';

function open(
  fixture: GitFixture,
  key: SigningKey,
  {
    repository = fixture.tree,
    env = process.env,
    maxBytes,
    allowedSigners = key.allowed(),
  }: {
    repository?: string;
    env?: NodeJS.ProcessEnv;
    maxBytes?: number;
    allowedSigners?: string;
  } = {},
) {
  return PolicyRepo.open(
    {
      ...{ dir: fixture.path('state'), repository, branch: 'main', env, maxBytes, allowedSigners },
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

test('a shallow repository is a problem, not a policy that never changes', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  await (await open(fixture, key)).sync(NEVER);
  fixture.commit({ 'README.md': 'two' }, { key });
  const repository = fixture.path('shallow');
  fixture.git('clone', '--quiet', '--bare', '--depth=1', `file://${fixture.tree}`, repository);
  const repo = await open(fixture, key, { repository });
  expect((await repo.sync(NEVER)).problem?.message).toBe(
    'the policy repository does not give its branch',
  );
  expect(repo.current()?.commit).toBe(commit);
});

const MIB = 1024 * 1024;

/** PATH with an `ssh` that does this. */
function withSsh(fixture: GitFixture, script: string): NodeJS.ProcessEnv {
  const file = fixture.path('programs/ssh');
  execFileSync('mkdir', ['-p', fixture.path('programs')]);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { ...process.env, PATH: `${fixture.path('programs')}:${process.env['PATH']}` };
}

test.each([
  'a delta that stands for a gibibyte',
  'a header that claims four billion objects',
  'a pack without end',
  'messages without end',
])('a server sends %s: the last policy stays, and the disk is given back', async (attack) => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  await (await open(fixture, key)).sync(NEVER);
  const before = await directoryBytes(fixture.path('state'));
  const server = join(import.meta.dirname, 'hostile-server.ts');
  const env = withSsh(fixture, `exec '${process.execPath}' '${server}' '${attack}'`);
  const repo = await open(fixture, key, {
    ...{ repository: 'ssh://git@git.example/policy', env, maxBytes: 2 * MIB },
  });
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_FETCH');
  expect(repo.current()?.commit).toBe(commit);
  expect(await directoryBytes(fixture.path('state'))).toBeLessThan(before + MIB / 2);
});

test('unsigned commits that grow the history cost no more disk than a fetch may', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL);
  fixture.tag('v1', key);
  const repo = await open(fixture, key, { maxBytes: 2 * MIB });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  const codes: (string | undefined)[] = [];
  for (const name of ['a', 'b']) {
    fixture.commit({ [name]: randomBytes(MIB).toString('latin1') });
    const { problem } = await repo.sync(NEVER);
    codes.push(problem?.message.replace(/ [0-9a-f]{12} /, ' '));
  }
  expect(codes).toEqual([
    'policy commit is not signed',
    'the policy repository is larger than hoop takes',
  ]);
  expect(await directoryBytes(fixture.path('state'))).toBeLessThan(MIB);
  expect(readdirSync(fixture.path('state')).sort()).toEqual([
    ...['accepted-before', 'fetched-at', 'policy.git'],
  ]);
  // Also after a restart, with the tag that signs it.
  const again = await open(fixture, key, { maxBytes: 2 * MIB });
  expect(again.current()?.commit).toBe(commit);
  fixture.inTree('reset', '--hard', commit);
  const next = fixture.commit({ 'README.md': 'two' }, { key });
  expect((await again.sync(NEVER)).problem).toBeUndefined();
  expect(again.current()?.commit).toBe(next);
});

test('a large clone is made anew once, and not each time that the repository cannot be reached', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const large = { ...MINIMAL, large: randomBytes(MIB).toString('latin1') };
  fixture.commit(large, { key });
  const repo = await open(fixture, key, { maxBytes: 2 * MIB });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  renameSync(fixture.tree, fixture.path('away'));
  const clones = [];
  for (let round = 0; round < 3; round += 1) {
    expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_FETCH');
    clones.push(statSync(fixture.path('state/policy.git')).ino);
  }
  expect(new Set(clones).size).toBe(1);
  renameSync(fixture.path('away'), fixture.tree);
  const next = fixture.commit({ 'README.md': 'two' }, { key });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(next);
});

test('a git that writes many small files is stopped when they are too much together', async () => {
  using fixture = new GitFixture();
  const clone = fixture.path('many');
  const program = 'i=0; while :; do i=$((i + 1)); echo > "$0.$i"; done';
  writeFileSync(fixture.path('git'), `#!/bin/sh\nexec sh -c '${program}' ${clone}/file\n`);
  chmodSync(fixture.path('git'), 0o755);
  execFileSync('mkdir', [clone]);
  const env = { PATH: `${fixture.root}:${process.env['PATH']}` };
  const limit = { directory: clone, bytes: MIB };
  await expect(
    runGit({ gitDir: clone, args: ['fetch'], env, signal: NEVER, limit }),
  ).rejects.toMatchObject({ message: 'the policy repository is larger than hoop takes' });
});

test('tags that are on no policy commit stay where they are, whatever they are called', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  fixture.commit(MINIMAL, { key });
  for (const name of ['v1', 'refs/hoop/accepted', 'refs/heads/main', 'main']) {
    fixture.inTree('tag', '-a', '-m', 'x', name);
  }
  fixture.inTree('pack-refs', '--all');
  const repo = await open(fixture, key);
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  const refs = fixture.git('--git-dir', fixture.path('state/policy.git'), 'for-each-ref');
  expect(refs.match(/refs\/\S+/g)).toEqual(['refs/hoop/accepted', 'refs/hoop/incoming']);
});

test('a file of the clone that somebody has changed is not read, and all is fetched again', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const commit = fixture.commit(MINIMAL, { key });
  await (await open(fixture, key)).sync(NEVER);
  const policy = fixture.inTree('rev-parse', 'HEAD:policies/readers.yaml');
  const wider = MINIMAL['policies/readers.yaml']?.replace('select', 'delete') ?? '';
  writeFileSync(fixture.path('wider'), wider);
  const other = fixture.inTree('hash-object', '-w', fixture.path('wider'));
  const clone = fixture.path('state/policy.git');
  execFileSync(
    'sh',
    [
      '-c',
      'mv objects/pack/*.pack ../pack && rm -f objects/pack/* && git --git-dir=. unpack-objects -q <../pack',
    ],
    { cwd: clone },
  );
  const loose = (gitDir: string, id: string) =>
    join(gitDir, 'objects', id.slice(0, 2), id.slice(2));
  const [from, to] = [loose(join(fixture.tree, '.git'), other), loose(clone, policy)];
  chmodSync(to, 0o644);
  copyFileSync(from, to);
  const repo = await open(fixture, key);
  expect(repo.current()).toBeUndefined();
  expect(repo.status().problem?.message).toBe('the clone of the policy repository was damaged');
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(commit);
});

test('neither a certificate that has expired nor a key that is not valid yet signs by a date in the commit', async () => {
  using fixture = new GitFixture();
  const [key, later, bob, ca] = ['alice', 'later', 'bob', 'ca'].map((name) => fixture.key(name));
  if (!key || !later || !bob || !ca) throw new Error('no keys');
  const certify = (validity: string) => {
    const identity = ['-I', 'bob', '-n', 'bob@example.org', '-V', validity];
    execFileSync('ssh-keygen', ['-q', '-s', ca.file, ...identity, `${bob.file}.pub`]);
    // Where git looks for what belongs to the private key.
    copyFileSync(`${bob.file}-cert.pub`, `${bob.file}.pub`);
  };
  const first = fixture.commit(MINIMAL, { key });
  const allowedSigners = [
    key.allowed(),
    later.allowed('valid-after="20980101"'),
    `bob@example.org cert-authority,namespaces="git" ${ca.allowed().split(' ').slice(2).join(' ')}`,
  ].join('');
  const repo = await open(fixture, key, { allowedSigners });
  await repo.sync(NEVER);
  fixture.commit({ 'README.md': 'later' }, { key: later, date: '2098-06-01T00:00:00Z' });
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  const plain = `${bob.file}.plain`;
  copyFileSync(`${bob.file}.pub`, plain);
  certify('20250101:20250601');
  fixture.commit({ 'README.md': 'old' }, { key: bob, date: '2025-03-01T00:00:00Z' });
  expect((await repo.sync(NEVER)).problem?.code).toBe('HOOP_POLICY_SIGNER');
  expect(repo.current()?.commit).toBe(first);
  copyFileSync(plain, `${bob.file}.pub`);
  certify('20250101:forever');
  const good = fixture.commit({ 'README.md': 'new' }, { key: bob });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()).toMatchObject({ commit: good, signer: 'bob@example.org' });
});

test('a server that is reached over https leads nowhere else, and its private CA is in SSL_CERT_FILE', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const ca = createCertificateAuthority();
  const { certificate, privateKey } = issueServerCertificate(ca, { names: ['localhost'], ips: [] });
  writeFileSync(fixture.path('ca.pem'), ca.certificate);
  const asked: string[] = [];
  const server = createServer({ cert: certificate, key: privateKey }, ({ url = '' }, response) => {
    asked.push(url);
    response.writeHead(302, { location: url.replace('/policy/', '/elsewhere/') }).end();
  });
  const { port, close } = await listen(server);
  await using _ = { [Symbol.asyncDispose]: close };
  const env = { ...process.env, SSL_CERT_FILE: fixture.path('ca.pem') };
  const repo = await open(fixture, key, { repository: `https://localhost:${port}/policy`, env });
  expect((await repo.sync(NEVER)).problem?.detail).toContain('302');
  expect(asked).toEqual(['/policy/info/refs?service=git-upload-pack']);
  expect(gitEnvironment({ SSL_CERT_FILE: '' }, undefined)).not.toHaveProperty('GIT_SSL_CAINFO');
});

/** Words in the names of settings that name programs, in what the git of this machine lists. */
const NAMES_A_PROGRAM =
  /cmd|command|program|hook|helper|pager|editor|askpass|proxy|driver|filter|textconv|external|fsmonitor|pack$|\.vcs|browser|httpd|tunnel|alias|ccmd|\.update$|insteadof|template|smtpserver$/i;

/** Numbers and yes or no: upload-pack does not begin with anything else in them. */
const READ_BEFORE = /^(advice|color|uploadpackfilter)\.|^uploadpack\.allow/i;

test('no setting of git that names a program runs one, in a local repository, for the user or beside attributes', async () => {
  using fixture = new GitFixture();
  const key = fixture.key('alice');
  const drivers = '* filter=any diff=any merge=any text\n';
  const commit = fixture.commit({ ...MINIMAL, '.gitattributes': drivers }, { key });
  const ran = fixture.path('ran');
  const program = fixture.path('program');
  writeFileSync(program, `#!/bin/sh\ntouch ${ran}\nexit 1\n`, { mode: 0o755 });
  const names = fixture
    .git('help', '--config')
    .split('\n')
    .filter((name) => NAMES_A_PROGRAM.test(name) && !READ_BEFORE.test(name))
    .map((name) => name.replace(/<[^>]*>|\*/g, 'any'));
  expect(names).toEqual(
    expect.arrayContaining(['core.sshCommand', 'core.alternateRefsCommand', 'filter.any.clean']),
  );
  for (const name of [...names, 'credential.https://git.example.helper', 'diff.external']) {
    fixture.inTree('config', '--local', name, program);
  }
  fixture.inTree('config', '--local', 'submodule.any.update', `!${program}`);
  writeFileSync(fixture.path('more'), `[core]\n\tsshCommand = ${program}\n`);
  fixture.inTree('config', '--local', 'include.path', fixture.path('more'));
  const home = fixture.path('home');
  execFileSync('mkdir', ['-p', home]);
  copyFileSync(join(fixture.tree, '.git/config'), join(home, '.gitconfig'));
  const env = { ...process.env, HOME: home };
  const repo = await open(fixture, key, { env });
  expect((await repo.sync(NEVER)).problem).toBeUndefined();
  expect(repo.current()?.commit).toBe(commit);
  await repo.createBundle(NEVER);
  const other = { env, repository: 'https://127.0.0.1:1/policy' };
  expect((await (await open(fixture, key, other)).sync(NEVER)).problem?.code).toBe(
    'HOOP_POLICY_FETCH',
  );
  expect(existsSync(ran)).toBe(false);
});
