import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { actorName, requesterClaim } from '../../policy/actor-name.ts';
import { readSession, type SessionReading } from '../../recording/ended/read-session.ts';
import { type Verification, verifyBundle } from '../../recording/verify/verify.ts';
import { REPLAY_LIMITS } from '../../replay/replay-limits.ts';
import type { Statement, TimelineEntry } from '../../replay/timeline.ts';
import { actText, isPlayable } from '../../ui/act-lines.ts';
import { renderJson } from '../../ui/render-json.ts';
import {
  collectReplay,
  type ReplayHeader,
  type ReplayModel,
} from '../../ui/replay/replay-model.ts';
import { timeOf, transcriptLines } from '../../ui/replay/transcript.ts';
import { verdictLine } from '../../ui/replay/verification-lines.ts';
import type { Io } from '../io.ts';
import { lookOf } from '../print.ts';
import {
  castLines,
  findPlayable,
  jsonItems,
  type PlayFlags,
  playAct,
  playedLines,
  playTrackOf,
  rawOutput,
} from './sessions-play.ts';
import { openRecording } from './sessions-source.ts';
import { replayTerminal, runTrack } from './sessions-terminal.ts';
import { receivedBytes, timelineOf, trackOf } from './sessions-timeline.ts';
import { trustedRoots } from './sessions-trust.ts';

export interface ReplayFlags extends PlayFlags {
  /** commander's form of --no-tui. */
  readonly tui: boolean;
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly asciicast?: boolean;
  readonly terminal?: boolean;
  readonly trust?: string;
}

/** Printed text is let go of at once, so only one result at a time counts. */
const STREAMED_LIMITS = { ...REPLAY_LIMITS, keptLength: Number.POSITIVE_INFINITY };
/** At a speed, pauses are cut to this, as in the view. */
const MAX_IDLE_MS = 3000;

export async function replaySession(io: Io, typed: string, flags: ReplayFlags): Promise<void> {
  refuseImpossible(io, flags);
  const roots = trustedRoots(io, flags.trust);
  await using recording = await openRecording(io, typed);
  const verification = verifyBundle(recording.source, { roots, nowMs: Date.now() });
  const reading = readSession(recording.source);
  if (flags.terminal) {
    const { speed, asciicast = false } = flags;
    const track = asciicast || !hasScreen(io, flags) ? undefined : runTrack(reading);
    if (track === undefined) {
      await print(io, replayTerminal(io, reading, { speed, asciicast }));
    } else {
      const header = headerOf(reading, verification);
      await playTrackOf(io, track, { text: 'terminal of the run', header, flags });
    }
  } else if (flags.channel !== undefined || flags.asciicast) {
    await showChannel(io, reading, verification, flags);
  } else if (flags.raw) {
    await print(io, receivedBytes(reading));
  } else if (flags.json) {
    await print(io, jsonLines(reading, verification));
  } else if (hasScreen(io, flags)) {
    await showView(io, reading, verification, flags);
  } else {
    await print(io, transcript(io, reading, verification, flags.speed));
  }
  if (verification.exitStatus === 1) {
    throw new HoopError('HOOP_VERIFY_FAILED', `recording "${recording.name}" was altered`, {
      detail: 'What was shown is not what both sides signed.',
      hint: 'See which check failed with `hoop sessions verify ID`.',
    });
  }
}

function hasScreen(io: Io, { tui }: ReplayFlags): boolean {
  return tui && io.stdout.isTTY === true && io.stdin.isTTY === true && io.env['TERM'] !== 'dumb';
}

/** One shell or command, all of it. */
async function showChannel(
  io: Io,
  reading: SessionReading,
  verification: Verification,
  flags: ReplayFlags,
): Promise<void> {
  const act = findPlayable(reading, flags.channel);
  const track = trackOf(reading, act);
  if (flags.raw) {
    await print(io, rawOutput(track));
  } else if (flags.asciicast) {
    await print(io, castLines(track, { act, flags }));
  } else if (flags.json) {
    const { channel: _, ...facts } = act;
    const head = [headLine(reading, verification), `${renderJson({ v: 1, ...facts })}\n`];
    await print(io, chain(head, jsonItems(track, flags)));
  } else if (hasScreen(io, flags) && flags.input !== true) {
    await playAct(io, reading, { act, header: headerOf(reading, verification), flags });
  } else {
    const { style } = lookOf(io);
    const head = [
      `${verdictLine(verification, style)}\n`,
      `${style.bold(`#${act.number} ${actText(act)}`)}\n`,
    ];
    await print(io, chain(head, playedLines(io, track, { act, flags })));
  }
}

async function* chain(
  head: readonly string[],
  rest: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<string> {
  yield* head;
  yield* rest;
}

function refuseImpossible(io: Io, flags: ReplayFlags): void {
  const forms = (['raw', 'json', 'asciicast'] as const).filter((form) => flags[form]);
  if (flags.terminal && (flags.raw || flags.json || flags.channel !== undefined)) {
    throw new HoopError('HOOP_USAGE', 'option --terminal works only with --speed and --asciicast', {
      detail: 'It plays the terminal of the program, not the traffic of the session.',
    });
  }
  if (forms.length > 1) {
    const named = forms.map((form) => `--${form}`).join(' and ');
    throw new HoopError('HOOP_USAGE', `options ${named} exclude each other`);
  }
  if (flags.input && flags.channel === undefined && !flags.asciicast) {
    throw new HoopError('HOOP_USAGE', 'option --input needs --channel', {
      detail: 'Typed input may contain passwords, so it is shown only for one channel, on request.',
    });
  }
  if (flags.raw && io.stdout.isTTY) {
    throw new HoopError('HOOP_USAGE', 'option --raw is refused on a terminal', {
      detail: 'Recorded bytes may contain sequences that make a terminal type commands.',
      hint: 'Redirect the output to a file, or omit --raw.',
    });
  }
}

async function showView(
  io: Io,
  reading: SessionReading,
  verification: Verification,
  flags: ReplayFlags,
): Promise<void> {
  const header = headerOf(reading, verification);
  const model = collectReplay(header, timelineOf(reading));
  const only = onlyAct(model);
  if (only !== undefined) {
    await playAct(io, reading, { act: only, header, flags });
    return;
  }
  const { showReplay } = await import('../../ui/replay/replay-view.ts');
  const { stdout, stdin, signal, color } = io;
  const options = { stdout, stdin, signal, color: color.stdout, speed: flags.speed };
  let at: number | undefined;
  for (;;) {
    const chosen = await showReplay(model, { ...options, at });
    if (chosen === undefined) {
      return;
    }
    at = chosen.index;
    await playAct(io, reading, { act: chosen.act, header, flags });
  }
}

/** A session of one shell or one command is what happened in it. */
function onlyAct({ entries, truncated }: ReplayModel): Statement | undefined {
  const statements = entries.filter((entry) => entry.type === 'statement');
  const [only] = statements;
  return !truncated && statements.length === 1 && only && isPlayable(only) ? only : undefined;
}

function headerOf({ certificate }: SessionReading, verification: Verification): ReplayHeader {
  const verified = ({ 0: 'yes', 1: 'no', 2: 'unknown' } as const)[verification.exitStatus];
  return {
    session: certificate.session,
    target: certificate.target,
    principal: actorName({
      name: certificate.name,
      requester: certificate.requester,
      ...certificate.act,
    }),
    reason: undefined,
    verdict: verification.verdict,
    verified,
  };
}

function headLine({ certificate }: SessionReading, verification: Verification): string {
  const { verdict, exitStatus } = verification;
  const { session, target, name, act, requester } = certificate;
  const whom = requesterClaim(requester);
  const who = { principal: name, agent: act?.agent, ...whom, run: act?.run };
  const head = { type: 'recording', session, target, ...who, verdict, exitStatus };
  return `${renderJson({ v: 1, ...head })}\n`;
}

function* jsonLines(reading: SessionReading, verification: Verification): Generator<string> {
  yield headLine(reading, verification);
  for (const entry of timelineOf(reading, STREAMED_LIMITS)) {
    yield `${renderJson({ v: 1, ...entry })}\n`;
  }
}

async function* transcript(
  io: Io,
  reading: SessionReading,
  verification: Verification,
  speed: number | undefined,
): AsyncGenerator<string> {
  const look = lookOf(io);
  yield `${verdictLine(verification, look.style)}\n`;
  let startMs: number | undefined;
  let clockMs = 0;
  for (const entry of timelineOf(reading, STREAMED_LIMITS)) {
    startMs ??= timeOf(entry);
    if (speed !== undefined) {
      const shownMs = endOf(entry) - startMs;
      const pauseMs = Math.min(MAX_IDLE_MS, Math.max(0, shownMs - clockMs) / speed);
      await sleep(pauseMs, undefined, { signal: io.signal });
      clockMs = Math.max(clockMs, shownMs);
    }
    const lines = transcriptLines(entry, { ...look, startMs });
    yield lines.map((line) => `${line}\n`).join('');
  }
}

function endOf(entry: TimelineEntry): number {
  return entry.type === 'statement' ? (entry.endMs ?? entry.startMs) : entry.timeMs;
}

async function print(
  io: Io,
  parts: Iterable<string | Uint8Array> | AsyncIterable<string>,
): Promise<void> {
  try {
    await pipeline(Readable.from(parts), io.stdout, { end: false, signal: io.signal });
  } catch (error) {
    io.signal.throwIfAborted();
    // `hoop sessions replay … | head`: the reader has what it wanted.
    if (errorCode(error) !== 'EPIPE') {
      throw error;
    }
  }
}
