/** Settles recordings with the gateway: that of the session that has just ended, and earlier ones. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { saveBundle } from '../client/save-bundle.ts';
import { HoopError } from '../errors.ts';
import { OldFormatError } from '../format-error.ts';
import { pendingUploads, pruneSpools } from '../recording/client/pending-uploads.ts';
import {
  giveUpSpool,
  SpoolInUse,
  spoolDirectory,
  unknownSince,
} from '../recording/client/spool.ts';
import type { LiveWitness, UploadReceipt } from '../recording/client/upload-session.ts';
import { recordingsOf, spoolsOf } from './spools-of.ts';

const ATTEMPTS = 4;
const RETRY_AFTER_MS = 1_000;
/** A request that found nobody for longer than this has waited for a gateway that takes no more. */
const RETRY_WITHIN_MS = 15_000;
/** A gateway that had a power cut is there again by then; what its disk has lost is in our memory alone. */
const RETRY_UNCOVERED_WITHIN_MS = 120_000;
/** A gateway that says that it reads the recording is at work: 100 GB and more. */
const RETRY_READING_WITHIN_MS = 600_000;
const MAX_RETRY_AFTER_MS = 5_000;
const UPLOAD_WITHIN_MS = 120_000;
/** A gateway that says so long that it does not have a session is believed. */
const GIVE_UP_AFTER_MS = 7 * 86_400_000;

const READING =
  'the gateway is still reading the recording before it signs: waiting; a second Ctrl-C leaves it to your next `hoop connect`';

/** @throws HoopError HOOP_UPLOAD_FAILED; what was signed stays in the journal, and is sent next time. */
export async function uploadRecording(options: {
  readonly open: OpenGateway;
  readonly session: string;
  /** Of a session of this process. */
  readonly live?: LiveWitness | undefined;
  /** Whose settings say whether it is fetched; absent: `open`. */
  readonly owner?: OpenGateway;
  readonly note: (text: string) => void;
  /** Told why this takes minutes; absent: `note`. */
  readonly waitNote?: (text: string) => void;
  /** Milliseconds since 1970; for tests. */
  readonly clock?: () => number;
  /** For tests. */
  readonly wait?: (ms: number) => Promise<void>;
}): Promise<UploadReceipt> {
  const { open, session, live, owner = open, note, waitNote = note } = options;
  const { clock = Date.now, wait = sleep } = options;
  // Loaded where there is something to upload: a command that opened nothing need not wait for it.
  const { uploadSession } = await import('../recording/client/upload-session.ts');
  const directory = spoolsOf(open.home);
  const startedMs = clock();
  let isTold = false;
  for (let attempt = 1; ; attempt += 1) {
    // Not the command's signal: Ctrl-C ended the session, the upload belongs to its end.
    const signal = AbortSignal.timeout(UPLOAD_WITHIN_MS);
    try {
      const receipt = await uploadSession({
        directory,
        session,
        live,
        gateway: open.client,
        signal,
      });
      note(`recording ${signedText(receipt)}`);
      await fetchIfWanted({ open: owner, session, note, signal });
      return receipt;
    } catch (error) {
      const waitedMs = clock() - startedMs;
      const isOnlyHere = (live?.uncoveredBytes ?? 0) > 0 && isComingBack(error);
      const reading = isReading(error);
      const waits = reading ? RETRY_READING_WITHIN_MS : RETRY_UNCOVERED_WITHIN_MS;
      const isLast =
        reading || isOnlyHere
          ? waitedMs >= waits
          : attempt >= ATTEMPTS || waitedMs > RETRY_WITHIN_MS;
      // Between the end of a session and this, another hoop may have found it left behind.
      const isWorthIt = reading || isOnlyHere || isPassing(error) || error instanceof SpoolInUse;
      if (isLast || !isWorthIt) {
        throw new HoopError(
          'HOOP_UPLOAD_FAILED',
          `the recording of session ${session} is not signed by both sides yet`,
          {
            detail: error instanceof Error ? `The reason: ${error.message}.` : undefined,
            hint: `Its journal is kept in "${directory}" and sent with your next \`hoop connect\`.`,
            cause: error,
          },
        );
      }
      // Seconds in which nothing else is said.
      if (reading) {
        if (!isTold) waitNote(READING);
        isTold = true;
      } else if (attempt === 1 && isOnlyHere) {
        waitNote(
          `the recording is not signed by both sides yet (${error.message}); the gateway may have lost its end, which this hoop still has: retrying for 2 minutes, a second Ctrl-C gives up`,
        );
      } else if (attempt === 1 && isPassing(error)) {
        note(`the recording is not signed by both sides yet, retrying: ${error.message}`);
      }
      await wait(Math.min(RETRY_AFTER_MS * attempt, MAX_RETRY_AFTER_MS));
    }
  }
}

/** Sends what earlier sessions left behind. Never fails: it is not what the user came for. */
export async function uploadPending(options: {
  readonly open: OpenGateway;
  /** Sessions of this command: their own end delivers them, or tells why not. */
  readonly except?: readonly string[];
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; for tests. */
  readonly clock?: () => number;
}): Promise<void> {
  const { open, except = [], note, signal, clock = Date.now } = options;
  const directory = spoolsOf(open.home);
  // Each by itself: one that cannot be settled must not keep the later ones here for ever.
  const failed = (session: string, error: unknown): void => {
    if (error instanceof OldFormatError) {
      const kept = spoolDirectory(directory, session);
      note(
        `the record of the earlier session ${session} is from an older hoop (format 1) and cannot be sent: it stays in "${kept}", where that hoop can read it; remove it when nobody needs it`,
      );
    } else if (!signal.aborted) {
      const reason = error instanceof Error ? error.message : 'unknown reason';
      note(
        `the recording of the earlier session ${session} is still not signed by both sides: ${reason}`,
      );
    }
  };
  try {
    await pruneSpools(directory, clock());
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    note(`old journals could not be removed: ${reason}`);
  }
  const pending = await pendingUploads(directory, failed).catch((error: unknown) => {
    note(
      `journals of earlier sessions cannot be read: ${error instanceof Error ? error.message : 'unknown'}`,
    );
    return [];
  });
  if (pending.length === 0) {
    return;
  }
  const { uploadSession } = await import('../recording/client/upload-session.ts');
  const due = pending.filter(
    ({ session, gatewayUrl }) => !except.includes(session) && gatewayUrl === open.gateway,
  );
  for (const [index, { session, issuer, sub }] of due.entries()) {
    if (signal.aborted) {
      return;
    }
    try {
      const receipt = await uploadSession({ directory, session, gateway: open.client, signal });
      note(`the recording of the earlier session ${session} is now ${signedText(receipt)}`);
      await fetchIfWanted({ open, session, note, signal });
    } catch (error) {
      // Whoever has it now uploads it.
      if (error instanceof SpoolInUse) {
        continue;
      }
      if (isUnknownThere(error) && (await isOwn(open, { issuer, sub }, signal))) {
        const kept = spoolDirectory(directory, session);
        const told = unknownThere(kept, clock());
        if (told !== undefined) {
          note(
            `the gateway does not have the earlier session ${session} (${error.message}): ${told}`,
          );
        }
      } else {
        failed(session, error);
      }
      if (isPassing(error)) {
        // Each of the others would wait as long for the same gateway.
        const rest = due.length - index - 1;
        if (rest > 0 && !signal.aborted) {
          note(`other recordings of earlier sessions that wait for the gateway: ${rest}`);
        }
        return;
      }
    }
  }
}

/** Never fails: what the user came for is done, and the recording is where it was. */
async function fetchIfWanted(options: {
  readonly open: OpenGateway;
  readonly session: string;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { open, session, note, signal } = options;
  if (open.config.download !== 'always') {
    return;
  }
  try {
    const directory = recordingsOf(open.home);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${session}.tar`);
    await saveBundle(open.client, session, path, signal);
    note(`recording saved in "${path}"`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    note(`the recording was not downloaded: ${reason}; try \`hoop sessions download ${session}\``);
  }
}

/** @returns what to say; undefined: it has been said */
function unknownThere(kept: string, nowMs: number): string | undefined {
  const sinceMs = unknownSince(kept, nowMs);
  if (nowMs - sinceMs >= GIVE_UP_AFTER_MS) {
    giveUpSpool(kept);
    return `its journal stays in "${kept}" and will not be sent again`;
  }
  return sinceMs === nowMs
    ? `its journal stays in "${kept}" and will be offered to the gateway for a week`
    : undefined;
}

function isPassing(error: unknown): error is HoopError {
  return (
    error instanceof HoopError &&
    (error.code === 'HOOP_UNREACHABLE' ||
      error.code === 'HOOP_PROXY' ||
      error.code === 'HOOP_GATEWAY_TLS')
  );
}

function isReading(error: unknown): boolean {
  return error instanceof HoopError && error.code === 'HOOP_RECORDING_READING';
}

/** As a gateway, or what stands before it, answers while it starts. */
function isComingBack(error: unknown): error is HoopError {
  return (
    isPassing(error) ||
    (error instanceof HoopError &&
      (error.code === 'HOOP_STORE_UNAVAILABLE' || error.code === 'HOOP_GATEWAY_BAD_REPLY'))
  );
}

/** A gateway that was set up anew, or restored from before, has lost the session or its files. */
function isUnknownThere(error: unknown): error is HoopError {
  return (
    error instanceof HoopError &&
    (error.code === 'HOOP_SESSION_UNKNOWN' || error.code === 'HOOP_RECORDING_LOST')
  );
}

/** Of somebody else’s sessions a gateway says that there are none. */
async function isOwn(
  { client }: OpenGateway,
  owner: { readonly issuer: string; readonly sub: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { issuer, sub } = await client.whoami(signal);
    return issuer === owner.issuer && sub === owner.sub;
  } catch {
    return false;
  }
}

function signedText({ cuts, hasUnconfirmedTail, sentBack }: UploadReceipt): string {
  const signed = hasUnconfirmedTail
    ? `signed by both sides up to cut ${cuts}, then by the gateway only`
    : 'signed by both sides';
  return sentBack === 0
    ? signed
    : `${signed}; ${sentBack} bytes that the gateway had lost were sent back; only this side vouches for them`;
}
