/** Spools that sessions have left: those that are still to be sent, and those that can go. */
import { rm } from 'node:fs/promises';
import { HoopError } from '../../errors.ts';
import { OldFormatError } from '../../format-error.ts';
import { readCertificateUnverified } from '../keys/certificate.ts';
import {
  giveUpSpool,
  hasReceipt,
  isClaimedByOther,
  isGivenUp,
  keptUntil,
  readSpool,
  spoolDirectory,
  spooledSessions,
} from './spool.ts';

export interface PendingUpload {
  readonly session: string;
  readonly gatewayUrl: string;
  readonly target: string;
  readonly startedMs: number;
  /** Whose session it was. */
  readonly issuer: string;
  readonly sub: string;
}

/**
 * Spools without a receipt that no live process is using.
 * @param onBroken told of those that cannot be read
 */
export async function pendingUploads(
  directory: string,
  onBroken: (session: string, error: HoopError) => void = () => undefined,
): Promise<PendingUpload[]> {
  const pending: PendingUpload[] = [];
  for (const session of await spooledSessions(directory)) {
    const spooled = spoolDirectory(directory, session);
    try {
      const isDone = hasReceipt(spooled) || isGivenUp(spooled);
      if (!isDone && !(await isClaimedByOther(spooled))) {
        const { gatewayUrl, target, startedMs, certificate } = readSpool(spooled).spool;
        const { issuer, subject: sub } = readCertificateUnverified(certificate);
        pending.push({ session, gatewayUrl, target, startedMs, issuer, sub });
      }
    } catch (error) {
      if (!(error instanceof HoopError)) {
        throw error;
      }
      // Without its files the process died making it, and nothing had been recorded yet.
      if (error.code !== 'HOOP_SESSION_UNKNOWN') {
        onBroken(session, error);
      }
      // It can never be sent: saying so once is enough.
      if (error instanceof OldFormatError) {
        giveUpSpool(spooled);
      }
    }
  }
  return pending;
}

/** Deletes those whose recording the gateway keeps no longer, by what it said at the end of the session. */
export async function pruneSpools(directory: string, nowMs: number): Promise<string[]> {
  const pruned: string[] = [];
  for (const session of await spooledSessions(directory)) {
    const spooled = spoolDirectory(directory, session);
    const until = keptUntil(spooled);
    if (until !== undefined && nowMs > until) {
      await rm(spooled, { recursive: true, force: true });
      pruned.push(session);
    }
  }
  return pruned;
}
