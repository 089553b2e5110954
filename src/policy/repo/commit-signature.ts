/** What a raw commit says about its signature, and the words for one that does not hold. */
import { HoopError } from '../../errors.ts';
import { firstLines, type GitRun } from './git.ts';

/** Only the header counts: a message can contain anything. */
export function hasSshSignature(rawCommit: string): boolean {
  const header = rawCommit.slice(0, rawCommit.indexOf('\n\n'));
  return /^gpgsig(-sha256)? -----BEGIN SSH SIGNATURE-----$/m.test(header);
}

export function commitTime(rawCommit: string): Date {
  const seconds = /^committer .* ([0-9]+) [+-][0-9]{4}$/m.exec(rawCommit)?.[1] ?? '0';
  return new Date(Number(seconds) * 1000);
}

/** For people only: what counts was the exit status. */
export function signerOf(stderr: string): string {
  return /Good "git" signature for (.+?) with /.exec(stderr)?.[1] ?? 'unknown';
}

export function unsigned(commit: string): HoopError {
  return new HoopError(
    'HOOP_POLICY_UNSIGNED',
    `policy commit ${commit.slice(0, 12)} is not signed`,
    {
      detail: 'Neither the commit nor a tag on it carries an SSH signature.',
      hint: 'Sign it: git -c gpg.format=ssh -c user.signingkey=KEY commit --amend -S',
    },
  );
}

export function wrongSigner(commit: string, check: GitRun): HoopError {
  return new HoopError(
    'HOOP_POLICY_SIGNER',
    `policy commit ${commit.slice(0, 12)} is not signed by an allowed key`,
    {
      detail: firstLines(check.stderr) || 'The signature does not verify.',
      hint: 'The key must be in the allowed-signers file and must not have expired.',
    },
  );
}
