/**
 * The job summary of `hoop connect` and `hoop run`: collects what its sessions did and appends it
 * as Markdown to a file when the last of them is uploaded. The file is opened before the command
 * begins: one that may write there could put a link in its place and, out of a fence, have hoop
 * write where the link leads, or a pipe that nobody reads.
 */
import { appendFileSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { UploadReceipt } from '../recording/client/upload-session.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import { renderSummary, type SummarisedSession } from '../ui/render-summary.ts';
import { plain } from '../ui/text/printable.ts';
import type { Io } from './io.ts';

/** GitHub shows 1 MiB of a step; what is more than this says nothing that the first did not. */
const MAX_SESSIONS = 50;
const MAX_DENIALS = 20;
/** The job has done its work: its summary is not worth a long wait. */
const ASK_WITHIN_MS = 10_000;

type Recording = SummarisedSession['recording'];
interface Tally {
  readonly id: string;
  readonly target: string;
  readonly commit: string;
  readonly startedMs: number;
  endedMs: number | undefined;
  denied: number;
  readonly denials: { code: string; message: string; rule: string | undefined }[];
  held: number;
  readonly decided: Map<string, number>;
  recording: Recording;
}

export interface SummaryFlags {
  /** `--summary FILE`, or false for `--no-summary`. */
  readonly summary?: string | false;
}

/**
 * Where the summary goes: what was asked for, else `HOOP_SUMMARY`, else the page of a GitHub job.
 * @returns undefined: nowhere
 * @throws HoopError HOOP_SYSTEM when a file that was asked for cannot be written
 */
export function openSummary(io: Io, { summary }: SummaryFlags): SummaryFile | undefined {
  const { env } = io;
  if (summary === false) {
    return undefined;
  }
  if (summary !== undefined) {
    // Before anything is done in the target: afterwards it would be too late to complain.
    return new SummaryFile(io, openToAppend(resolve(io.cwd, summary)));
  }
  const page = env['GITHUB_ACTIONS'] === 'true' ? env['GITHUB_STEP_SUMMARY'] : undefined;
  const path = env['HOOP_SUMMARY'] || page;
  if (!path) {
    return undefined;
  }
  try {
    return new SummaryFile(io, openToAppend(resolve(io.cwd, path)));
  } catch (error) {
    noteNone(io, error);
    return undefined;
  }
}

export class SummaryFile {
  readonly #io: Io;
  readonly #descriptor: number;
  readonly #tallies: Tally[] = [];
  #more = 0;

  /** @param descriptor open until this process ends */
  constructor(io: Io, descriptor: number) {
    this.#io = io;
    this.#descriptor = descriptor;
  }

  opened({ id, reply }: ClientSession): void {
    if (this.#tallies.length >= MAX_SESSIONS) {
      this.#more += 1;
      return;
    }
    this.#tallies.push({
      id,
      target: reply.target.name,
      commit: reply.policy.commit,
      startedMs: Date.now(),
      endedMs: undefined,
      denied: 0,
      denials: [],
      held: 0,
      decided: new Map(),
      recording: { state: 'kept', because: 'the session was not closed' },
    });
  }

  /** Of the newest session to this target. */
  evidence(target: string, line: EvidenceLine): void {
    const tally = this.#tallies.findLast((one) => one.target === target);
    if (tally === undefined) {
      return;
    }
    if (line.type === 'held') {
      tally.held += 1;
    } else if (line.type === 'decided') {
      tally.decided.set(line.outcome, (tally.decided.get(line.outcome) ?? 0) + 1);
    } else if (line.type === 'denied') {
      tally.denied += 1;
      const { code, message, rule } = line;
      if (tally.denials.length < MAX_DENIALS) {
        tally.denials.push({ code, message, rule });
      }
    }
  }

  uploaded(receipt: Pick<UploadReceipt, 'session' | 'cuts' | 'hasUnconfirmedTail'>): void {
    const { session, cuts, hasUnconfirmedTail } = receipt;
    this.#settle(session, { state: hasUnconfirmedTail ? 'tail' : 'complete', cuts });
  }

  notUploaded(session: string, error: unknown): void {
    const because = error instanceof Error ? error.message : String(error);
    this.#settle(session, { state: 'kept', because });
  }

  #settle(session: string, recording: Recording): void {
    const tally = this.#tallies.find(({ id }) => id === session);
    if (tally !== undefined) {
      tally.endedMs = Date.now();
      tally.recording = recording;
    }
  }

  /** Never fails: the job has done its work by now, and its status is not the summary's. */
  async write(open: OpenGateway, exitStatus: number | undefined): Promise<void> {
    const signal = AbortSignal.timeout(ASK_WITHIN_MS);
    const link = await open.client.info(signal).then(
      ({ sessionUrl }) => sessionUrl,
      () => undefined,
    );
    const sessions = await Promise.all(
      this.#tallies.map((tally) => summarise(open, tally, link, signal)),
    );
    const { gateway } = open;
    try {
      const text = renderSummary({ gateway, exitStatus, sessions, more: this.#more });
      appendFileSync(this.#descriptor, text);
    } catch (error) {
      noteNone(this.#io, error);
    }
  }
}

async function summarise(
  open: OpenGateway,
  tally: Tally,
  link: string | undefined,
  signal: AbortSignal,
): Promise<SummarisedSession> {
  const { endedMs, startedMs, ...rest } = tally;
  // What this side has seen is shown also when the gateway cannot be asked for the rest.
  const known = await open.client.session(tally.id, signal).catch(() => undefined);
  return {
    ...rest,
    durationMs: (endedMs ?? Date.now()) - startedMs,
    ...(known === undefined
      ? {}
      : {
          principal: known.principal,
          statements: known.statements,
          denied: Math.max(known.denied, tally.denied),
          maskedValues: known.maskedValues,
          columnsMasked: known.columnsMasked,
          lookups: known.lookups,
        }),
    link: link?.replaceAll('{id}', encodeURIComponent(tally.id)),
  };
}

function noteNone(io: Io, error: unknown): void {
  const why = error instanceof Error ? error.message : String(error);
  io.note(`no job summary: ${plain(why)}`);
}

/** @throws HoopError HOOP_SYSTEM */
function openToAppend(path: string): number {
  try {
    return openSync(path, 'a');
  } catch (cause) {
    throw new HoopError('HOOP_SYSTEM', `cannot write the job summary "${path}"`, {
      detail: cause instanceof Error ? `${cause.message}.` : undefined,
      hint: 'Name another file with --summary FILE, or none with --no-summary.',
      cause,
    });
  }
}
