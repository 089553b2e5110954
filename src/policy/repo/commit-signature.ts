/** What a raw commit says about its signature, and the words for one that does not hold. */
import { HoopError } from '../../errors.ts';
import { firstLines, type GitRun } from './git.ts';

/** What was signed, and the signature, each byte a character. */
export interface Signed {
  readonly payload: string;
  readonly signature: string;
}

/**
 * As git does it: the lines of the signature's header go, what is left is what was signed. A line ends
 * with a line feed only: the message of a tag that was merged stands in a header, with its CRLF.
 */
export function signedCommit(rawCommit: string): Signed {
  const end = rawCommit.indexOf('\n\n') + 1;
  const headers = rawCommit.slice(0, end).match(/[^\n]*\n( [^\n]*\n)*/g) ?? [];
  const isSignature = (header: string): boolean => /^gpgsig(-sha256)? /.test(header);
  const signature = headers.find((header) => header.startsWith('gpgsig ')) ?? '';
  return {
    payload: headers.filter((header) => !isSignature(header)).join('') + rawCommit.slice(end),
    signature: signature.replace(/^(gpgsig)? /gm, ''),
  };
}

/** @returns undefined when it has no SSH signature */
export function signedTag(rawTag: string): Signed | undefined {
  const at = rawTag.lastIndexOf('\n-----BEGIN SSH SIGNATURE-----') + 1;
  return at === 0 ? undefined : { payload: rawTag.slice(0, at), signature: rawTag.slice(at) };
}

/** Only the header counts: a message can contain anything. */
export function hasSshSignature(rawCommit: string): boolean {
  const header = rawCommit.slice(0, rawCommit.indexOf('\n\n'));
  return /^gpgsig(-sha256)? -----BEGIN SSH SIGNATURE-----$/m.test(header);
}

export function commitTime(rawCommit: string): Date {
  const seconds = /\ncommitter [^\n]* ([0-9]+) [+-][0-9]{4}\n/.exec(rawCommit)?.[1] ?? '0';
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
