/** One shell or command of a recording: played in time, as text with times, or for other players. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { SessionReading } from '../../recording/ended/read-session.ts';
import { REPLAY_LIMITS } from '../../replay/replay-limits.ts';
import type { Statement } from '../../replay/timeline.ts';
import type { TerminalTrack } from '../../replay/track.ts';
import { actText, isAct, isPlayable } from '../../ui/act-lines.ts';
import { asciicastLines, trackLines } from '../../ui/player/track-lines.ts';
import { renderJson } from '../../ui/render-json.ts';
import type { ReplayHeader } from '../../ui/replay/replay-model.ts';
import type { Io } from '../io.ts';
import { timelineOf, trackOf } from './sessions-timeline.ts';

export interface PlayFlags {
  /** Number of the act in the replay. */
  readonly channel?: number;
  readonly input?: boolean;
  readonly speed?: number;
  /** Seconds. */
  readonly maxIdle: number;
}

/** Times and numbers only. */
const FIND_LIMITS = { ...REPLAY_LIMITS, rows: 0, outputLength: 0, keptLength: 0 };
const NAMED = 10;

/**
 * @param number of the replay; undefined: the only one there is
 * @throws HoopError HOOP_USAGE when there is none, or several to choose from
 */
export function findPlayable(reading: SessionReading, number: number | undefined): Statement {
  const playable: Statement[] = [];
  for (const entry of timelineOf(reading, FIND_LIMITS)) {
    if (entry.type === 'statement' && isAct(entry)) {
      if (entry.number === number && entry.channel !== undefined) {
        return entry;
      }
      if (isPlayable(entry)) {
        playable.push(entry);
      }
    }
  }
  const [only] = playable;
  if (number === undefined && only !== undefined && playable.length === 1) {
    return only;
  }
  if (playable.length === 0) {
    throw new HoopError('HOOP_USAGE', 'no shell or command in this recording has output');
  }
  const named = playable
    .slice(0, NAMED)
    .map((act) => `${act.number} (${actText(act).slice(0, 40)})`);
  const more = playable.length > NAMED ? ', …' : '';
  throw new HoopError(
    'HOOP_USAGE',
    number === undefined
      ? `${playable.length} channels of this recording have output`
      : `#${number} is not a channel of this recording`,
    { hint: `Say which with --channel: ${named.join(', ')}${more}.` },
  );
}

/** Until the viewer quits. */
export async function playAct(
  io: Io,
  reading: SessionReading,
  {
    act,
    header,
    flags,
  }: {
    readonly act: Statement;
    readonly header: ReplayHeader;
    readonly flags: PlayFlags;
  },
): Promise<void> {
  const text = `#${act.number} ${actText(act)}`;
  await playTrackOf(io, trackOf(reading, act), { text, header, flags });
}

/** Until the viewer quits. */
export async function playTrackOf(
  io: Io,
  track: TerminalTrack,
  {
    text,
    header,
    flags,
  }: {
    /** What it is. */
    readonly text: string;
    readonly header: ReplayHeader;
    readonly flags: PlayFlags;
  },
): Promise<void> {
  const { playTrack } = await import('../../ui/player/player-view.ts');
  const { verdict, verified, principal, target } = header;
  const { stdout, stdin, signal, color } = io;
  await playTrack(track, {
    title: { text: `${text}  ${target}  ${principal}`, verdict, verified },
    speed: flags.speed,
    maxIdleMs: flags.maxIdle * 1000,
    stdout,
    stdin,
    signal,
    color: color.stdout,
  });
}

/** At a speed as it was, with pauses cut; else at once. */
export async function* playedLines(
  io: Io,
  track: TerminalTrack,
  { act, flags }: { readonly act: Statement; readonly flags: PlayFlags },
): AsyncGenerator<string> {
  let last = act.startMs;
  for (const { timeMs, text } of trackLines(track, {
    startMs: act.startMs,
    input: flags.input === true,
  })) {
    if (flags.speed !== undefined) {
      const pauseMs = Math.min(flags.maxIdle * 1000, Math.max(0, timeMs - last)) / flags.speed;
      await sleep(pauseMs, undefined, { signal: io.signal });
      last = timeMs;
    }
    yield `${text}\n`;
  }
}

export function* castLines(
  track: TerminalTrack,
  { act, flags }: { readonly act: Statement; readonly flags: PlayFlags },
): Generator<string> {
  for (const line of asciicastLines(track, { title: actText(act), input: flags.input === true })) {
    yield `${renderJson(line)}\n`;
  }
}

/** The bytes as they came, unfiltered. */
export function* rawOutput(track: TerminalTrack): Generator<Uint8Array> {
  for (const item of track.items()) {
    if (item.type === 'output' || item.type === 'errors') {
      yield item.bytes.slice();
    }
  }
}

export function* jsonItems(track: TerminalTrack, flags: PlayFlags): Generator<string> {
  const decoders = {
    output: new TextDecoder(),
    errors: new TextDecoder(),
    input: new TextDecoder(),
  };
  for (const item of track.items()) {
    if (item.type === 'size') {
      yield `${renderJson({ v: 1, ...item })}\n`;
    } else if (item.type !== 'input' || flags.input === true) {
      const { type, timeMs, bytes } = item;
      const text = decoders[type].decode(bytes, { stream: true });
      yield `${renderJson({ v: 1, type, timeMs, bytes: bytes.length, text })}\n`;
    }
  }
}
