import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPolicyRepository, type PolicyRepository } from '../../src/demo/policy-repository.ts';

let root: string;
let policy: PolicyRepository;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'hoop-policy-'));
  policy = await createPolicyRepository(join(root, 'policy'), {
    'a.yaml': 'one\n',
    'b/c.yaml': '',
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function git(...args: readonly string[]): string {
  const signers = `gpg.ssh.allowedSignersFile=${policy.allowedSigners}`;
  return execFileSync('git', ['-C', policy.directory, '-c', signers, ...args], {
    encoding: 'utf8',
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
  }).trim();
}
const signature = (commit: string) => git('log', '-1', '--format=%G?', commit);
const filesOf = (commit: string) => git('ls-tree', '-r', '--name-only', commit).split('\n');

test('a commit adds, replaces and removes files, and leaves the others', async () => {
  const files = { 'a.yaml': 'two\n', 'b/c.yaml': undefined, 'd/e/f.yaml': 'new\n' };
  const commit = await policy.commit({ files, message: 'policy: other files' });
  expect(git('rev-parse', 'main')).toBe(commit);
  expect(filesOf(commit)).toEqual(['a.yaml', 'd/e/f.yaml']);
  expect(git('show', `${commit}:a.yaml`)).toBe('two');
  expect(git('log', '-1', '--format=%s')).toBe('policy: other files');
  expect(signature(commit)).toBe('G');
});

test('one that is to have no signature has none, and an empty one on top has', async () => {
  const files = { 'g.yaml': 'three\n' };
  const unsigned = await policy.commit({ files, message: 'policy: g', unsigned: true });
  expect(signature(unsigned)).toBe('N');
  const empty = await policy.commit({ files: {}, message: 'policy: seen' });
  expect(git('rev-parse', `${empty}^`)).toBe(unsigned);
  expect(filesOf(empty)).toEqual(filesOf(unsigned));
  expect(signature(empty)).toBe('G');
});

test('one that fails says what git said, and not how it was called', async () => {
  const failed = policy.commit({ files: { 'a.yaml/b.yaml': '' }, message: 'policy: no directory' });
  await expect(failed).rejects.toMatchObject({
    message: 'the policy cannot be committed',
    detail: expect.stringMatching(/^(error|fatal): .*a\.yaml/),
  });
});

test('of two at the same time none is lost: each is in the history, or has failed', async () => {
  const before = Number(git('rev-list', '--count', 'main'));
  const both = await Promise.allSettled(
    ['h.yaml', 'i.yaml'].map((name) => policy.commit({ files: { [name]: '' }, message: name })),
  );
  const made = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(made.length).toBeGreaterThan(0);
  expect(git('rev-list', 'main').split('\n')).toEqual(expect.arrayContaining(made));
  expect(Number(git('rev-list', '--count', 'main'))).toBe(before + made.length);
});
