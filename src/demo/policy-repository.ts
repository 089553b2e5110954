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
      withFiles(change, (tree) => commitFiles(directory, tree, signingKey, change)),
  };
}

/** The files that have changed, in a directory as they lie in the repository. */
async function withFiles<T>(
  { files }: PolicyChange,
  use: (tree: string) => Promise<T>,
): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'hoop-policy-'));
  try {
    const tree = join(root, 'tree');
    mkdirSync(tree);
    for (const [path, text] of Object.entries(files)) {
      if (text !== undefined) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
      }
    }
    return await use(tree);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** By a shell: each program that a large process starts itself costs it more than the program does. */
const COMMIT = `set -e
parent=$1 branch=$2 message=$3 key=$4 sign=$5
shift 5
if [ -n "$parent" ]; then git read-tree "$parent"; fi
git update-index --add --remove -- "$@"
content=$(git write-tree)
commit=$(git -c user.name='Demo policy team' -c user.email=${SIGNER} -c gpg.format=ssh \\
  -c user.signingkey="$key" commit-tree $sign \${parent:+-p "$parent"} -m "$message" "$content")
# An empty old value: the branch must not exist yet.
git update-ref "$branch" "$commit" "$parent"
echo "$commit"`;

/**
 * Commits on top of what is there, in the bare repository itself: clone and push, as people do it,
 * take 16 processes instead of 6. Another commit meanwhile makes it fail, as it would a push.
 */
async function commitFiles(
  bare: string,
  tree: string,
  signingKey: string,
  change: PolicyChange,
): Promise<string> {
  const variables = {
    GIT_DIR: bare,
    GIT_WORK_TREE: tree,
    GIT_INDEX_FILE: join(tree, '..', 'index'),
  };
  const branch = `refs/heads/${POLICY_BRANCH}`;
  const listing = ['for-each-ref', '--format=%(objectname)', branch];
  const parent = (await git(tree, listing, variables)).trim();
  const options = [parent, branch, change.message, signingKey, change.unsigned ? '' : '-S'];
  const args = ['-c', COMMIT, 'sh', ...options, ...Object.keys(change.files)];
  const failure = 'the policy cannot be committed';
  return (await tool('sh', args, { cwd: tree, env: gitEnvironment(variables), failure })).trim();
}

async function git(
  cwd: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  return tool('git', args, { cwd, env: gitEnvironment(variables) });
}

/** The user's own git configuration (templates, hooks, signing) must not reach the demo. */
function gitEnvironment(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  return { ...process.env, ...own, ...variables };
}

async function tool(
  program: string,
  args: readonly string[],
  {
    failure = `${program} failed`,
    ...options
  }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly failure?: string } = {},
): Promise<string> {
  try {
    const { stdout } = await run(program, [...args], options);
    return stdout;
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') {
      throw new HoopError('HOOP_MISSING_PROGRAM', `"${program}" is not installed`, {
        detail: 'The policy is a git repository whose commits are signed with an SSH key.',
        hint: `On Debian or Ubuntu: sudo apt-get install ${program === 'git' ? 'git' : 'openssh-client'}`,
        cause,
      });
    }
    // Node.js's own message has the whole call, script and all.
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    if (said === '') throw cause;
    throw new HoopError('HOOP_SYSTEM', failure, { detail: said.replaceAll('\n', '; '), cause });
  }
}
