import { existsSync } from 'node:fs';
import { HoopError } from '../../errors.ts';
import { locateHome } from '../../home.ts';
import type { BundleSource } from '../../recording/bundle/bundle-source.ts';
import {
  compareWithJournal,
  type JournalComparison,
} from '../../recording/client/compare-journal.ts';
import { spoolDirectory } from '../../recording/client/spool.ts';
import { type Verification, verifyBundle } from '../../recording/verify/verify.ts';
import { spoolsOf } from '../../tunnel/spools-of.ts';
import { verificationLines } from '../../ui/replay/verification-lines.ts';
import type { Style } from '../../ui/text/style.ts';
import type { Io } from '../io.ts';
import { lookOf, printedAsJson, printLines } from '../print.ts';
import { openRecording } from './sessions-source.ts';
import { trustedRoots } from './sessions-trust.ts';

export interface VerifyFlags {
  readonly trust?: string;
  readonly allowOneSided?: boolean;
  readonly json?: boolean;
}

export async function verifySession(io: Io, typed: string, flags: VerifyFlags): Promise<void> {
  const roots = trustedRoots(io, flags.trust);
  await using recording = await openRecording(io, typed);
  const verification = verifyBundle(recording.source, {
    roots,
    nowMs: Date.now(),
    allowOneSided: flags.allowOneSided === true,
  });
  const journal = journalOf(io, verification, recording.source);
  if (!printedAsJson(io, flags, { ...verification, ...(journal ? { journal } : {}) })) {
    const { style, width } = lookOf(io);
    const lines = verificationLines(verification, style, width);
    printLines(io, [...lines, ...journalLines(journal, style)]);
  }
  if (journal?.status === 'differs' && verification.exitStatus !== 1) {
    throw new HoopError(
      'HOOP_VERIFY_FAILED',
      `recording "${recording.name}" differs from this machine’s record of the session`,
      {
        detail: sentence(journal.text),
        hint: 'Keep both: the file, and the journal of the session.',
      },
    );
  }
  throwUnlessVerified(verification, recording.name);
}

/** Where this machine had the session, it has kept what it signed. */
function journalOf(
  io: Io,
  { session }: Verification,
  source: BundleSource,
): JournalComparison | undefined {
  if (session === undefined) {
    return undefined;
  }
  const directory = spoolDirectory(spoolsOf(locateHome(io.env)), session);
  return existsSync(directory) ? compareWithJournal(directory, source) : undefined;
}

function journalLines(journal: JournalComparison | undefined, style: Style): string[] {
  if (journal === undefined) {
    return [];
  }
  return [
    journal.status === 'agrees' ? style.green(`✓ ${journal.text}`) : style.red(`✗ ${journal.text}`),
  ];
}

/** @throws HoopError whose exit status is the verification's */
function throwUnlessVerified(
  { exitStatus, verdict, checks, isOneSided }: Verification,
  name: string,
): void {
  if (exitStatus === 0) {
    return;
  }
  const bad = checks.find(({ status }) => status === 'failed');
  if (exitStatus === 1) {
    throw new HoopError('HOOP_VERIFY_FAILED', `recording "${name}" is not what was signed`, {
      detail: bad ? sentence(bad.text) : sentence(verdict),
      hint: 'Keep the file as it is, and compare it with another copy.',
    });
  }
  const untrusted = checks.find(({ status }) => status === 'untrusted');
  if (untrusted) {
    throw new HoopError('HOOP_VERIFY_UNTRUSTED', `no trusted key for recording "${name}"`, {
      detail: sentence(untrusted.text),
      hint: 'Log in to its gateway, or pass a file from `hoop sessions trust` with --trust; get it from a person who has logged in.',
    });
  }
  const open = checks.find(({ status }) => status === 'incomplete');
  throw new HoopError('HOOP_VERIFY_INCOMPLETE', `recording "${name}" cannot be fully verified`, {
    detail: sentence(open?.text ?? verdict),
    hint: isOneSided
      ? 'If the gateway alone is enough for you, accept it with --allow-one-sided.'
      : undefined,
  });
}

function sentence(text: string): string {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
