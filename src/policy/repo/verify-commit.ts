/**
 * Whether a commit, or a tag on it, is signed by an allowed key. git decides, by its exit status alone;
 * about a commit that is new here ssh-keygen is asked once more: git has `valid-after`, `valid-before`
 * and the times of certificates hold for the date in the commit, which whoever has an old key can choose.
 */
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import {
  commitTime,
  hasSshSignature,
  type Signed,
  signedCommit,
  signedTag,
  signerOf,
  unsigned,
  wrongSigner,
} from './commit-signature.ts';
import { firstLines, type GitOptions, type GitRun } from './git.ts';

export interface VerifiedCommit {
  readonly commit: string;
  readonly committedAt: Date;
  /** Principal of the key, from the allowed-signers file. */
  readonly signer: string;
}

export interface SignatureCheck {
  /** For files that programs read. */
  readonly dir: string;
  /** Text of the allowed-signers file. */
  readonly allowedSigners: string;
  readonly commit: string;
  /** Full names of the tags on it. */
  readonly tags: readonly string[];
  /** The key must count now, too. */
  readonly isFresh: boolean;
  readonly run: RunGit;
}

type RunGit = (
  args: readonly string[],
  more?: Pick<GitOptions, 'settings' | 'input' | 'program'>,
) => Promise<GitRun>;

/** @returns HOOP_POLICY_UNSIGNED or HOOP_POLICY_SIGNER when neither is signed as it must be. */
export function verifyCommit(asked: SignatureCheck): Promise<VerifiedCommit | HoopError> {
  return withFile(asked.dir, 'allowed-signers', asked.allowedSigners, (signers) =>
    verifyWith(signers, asked),
  );
}

async function verifyWith(
  signers: string,
  { dir, commit, tags, isFresh, run }: SignatureCheck,
): Promise<VerifiedCommit | HoopError> {
  const settings = [`gpg.ssh.allowedSignersFile=${signers}`];
  let refused: GitRun | undefined;
  let signer = '';
  const check = async (command: string, name: string, signed: Signed): Promise<boolean> => {
    const by = await run([command, '--raw', name], { settings });
    const now =
      by.status === 0 && isFresh
        ? await withFile(dir, 'signature', signed.signature, (file) =>
            signedNow(signers, file, signed.payload, run),
          )
        : by;
    refused = now;
    signer = signerOf(by.stderr);
    return now.status === 0;
  };
  const { status, stdout, stderr } = await run(['cat-file', 'commit', commit]);
  if (status !== 0) {
    throw new HoopError('HOOP_POLICY_FETCH', 'git cat-file failed', { detail: firstLines(stderr) });
  }
  const raw = stdout.toString('latin1');
  const committedAt = commitTime(raw);
  if (hasSshSignature(raw) && (await check('verify-commit', commit, signedCommit(raw)))) {
    return { commit, committedAt, signer };
  }
  for (const tag of tags) {
    const text = await run(['cat-file', 'tag', tag]);
    const signed = text.status === 0 ? signedTag(text.stdout.toString('latin1')) : undefined;
    if (signed !== undefined && (await check('verify-tag', tag, signed))) {
      return { commit, committedAt, signer };
    }
  }
  return refused ? wrongSigner(commit, refused) : unsigned(commit);
}

/** As git asks, without a time: that of the clock. */
async function signedNow(
  signers: string,
  signature: string,
  payload: string,
  run: RunGit,
): Promise<GitRun> {
  const more = { program: 'ssh-keygen', input: Buffer.from(payload, 'latin1') } as const;
  const sshKeygen = (command: string, ...args: string[]): Promise<GitRun> =>
    run(['-Y', command, '-f', signers, '-s', signature, ...args], more);
  const found = await sshKeygen('find-principals');
  let last: GitRun = { ...found, status: 1 };
  for (const principal of found.stdout.toString('utf8').split('\n').filter(Boolean)) {
    last = await sshKeygen('verify', '-n', 'git', '-I', principal);
    if (last.status === 0) break;
  }
  return last;
}

async function withFile<T>(
  dir: string,
  name: string,
  text: string,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(dir, `${name}.${randomUUID()}`);
  writeFileSync(file, text, { mode: 0o600 });
  try {
    return await use(file);
  } finally {
    rmSync(file, { force: true });
  }
}
