/**
 * A bare git repository with signed commits, as an organisation would keep its policy. Signing
 * uses an SSH key (`git config gpg.format ssh`), the way that needs no key server.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';

const run = promisify(execFile);

export const POLICY_BRANCH = 'main';
const SIGNER = 'policy@hoop.demo';

export interface PolicyRepository {
  /** The bare repository. */
  readonly directory: string;
  /** Private key (OpenSSH format) whose signatures the gateway and the clients accept. */
  readonly signingKey: string;
  /** OpenSSH allowed-signers file. */
  readonly allowedSigners: string;
  /** Replaces or adds files and commits, signed unless told otherwise. @returns the commit id. */
  commit(change: PolicyChange): Promise<string>;
}

export interface PolicyChange {
  /** Path in the repository → text; undefined removes the file. */
  readonly files: Readonly<Record<string, string | undefined>>;
  readonly message: string;
  readonly unsigned?: boolean;
}

/** @param root - Directory to make everything in. @param files - The first commit. */
export async function createPolicyRepository(
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<PolicyRepository> {
  const directory = join(root, 'policy.git');
  const signingKey = join(root, 'policy-signing-key');
  const allowedSigners = join(root, 'allowed-signers');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  await tool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', SIGNER, '-f', signingKey]);
  const publicKey = readFileSync(`${signingKey}.pub`, 'utf8').trim();
  writeFileSync(allowedSigners, `${SIGNER} namespaces="git" ${publicKey}\n`);
  await git(root, ['init', '--quiet', '--bare', `--initial-branch=${POLICY_BRANCH}`, directory]);

  const repository = openPolicyRepository(root);
  await repository.commit({ files, message: 'policy: start' });
  return repository;
}

/** Opens what `createPolicyRepository` made here before (`hoop demo --data DIR`). */
export function openPolicyRepository(root: string): PolicyRepository {
  const directory = join(root, 'policy.git');
  const signingKey = join(root, 'policy-signing-key');
  return {
    directory,
    signingKey,
    allowedSigners: join(root, 'allowed-signers'),
    commit: (change) =>
      withWorkTree(directory, (tree) => {
        for (const [path, text] of Object.entries(change.files)) {
          if (text === undefined) {
            rmSync(join(tree, path), { force: true });
          } else {
            mkdirSync(dirname(join(tree, path)), { recursive: true });
            writeFileSync(join(tree, path), text);
          }
        }
        return commitAndPush(tree, signingKey, change);
      }),
  };
}

async function withWorkTree<T>(bare: string, use: (tree: string) => Promise<T>): Promise<T> {
  const tree = mkdtempSync(join(tmpdir(), 'hoop-policy-'));
  try {
    await git(tree, ['clone', '--quiet', bare, tree]);
    return await use(tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

async function commitAndPush(
  tree: string,
  signingKey: string,
  change: Pick<PolicyChange, 'message' | 'unsigned'>,
): Promise<string> {
  await git(tree, ['add', '--all']);
  const identity = ['-c', 'user.name=Demo policy team', '-c', `user.email=${SIGNER}`];
  const signing = change.unsigned
    ? ['-c', 'commit.gpgsign=false']
    : ['-c', 'gpg.format=ssh', '-c', `user.signingkey=${signingKey}`, '-c', 'commit.gpgsign=true'];
  // Empty, too: a signature on top of what came unsigned.
  const commit = ['commit', '--quiet', '--allow-empty', '--message', change.message];
  await git(tree, [...identity, ...signing, ...commit]);
  await git(tree, ['push', '--quiet', 'origin', `HEAD:${POLICY_BRANCH}`]);
  return (await git(tree, ['rev-parse', 'HEAD'])).trim();
}

async function git(cwd: string, args: readonly string[]): Promise<string> {
  return tool('git', args, cwd);
}

async function tool(program: string, args: readonly string[], cwd?: string): Promise<string> {
  // The user's own git configuration (templates, hooks, signing) must not reach the demo.
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  try {
    const { stdout } = await run(program, [...args], { env, ...(cwd ? { cwd } : {}) });
    return stdout;
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') {
      throw new HoopError('HOOP_MISSING_PROGRAM', `"${program}" is not installed`, {
        detail: 'The policy is a git repository whose commits are signed with an SSH key.',
        hint: `On Debian or Ubuntu: sudo apt-get install ${program === 'git' ? 'git' : 'openssh-client'}`,
        cause,
      });
    }
    throw cause;
  }
}
