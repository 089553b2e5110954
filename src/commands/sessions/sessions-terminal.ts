/** `hoop sessions replay --terminal`: what the program of a run showed, as it showed it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { SessionReading } from '../../recording/ended/read-session.ts';
import {
  type CastEvent,
  type CastItem,
  CastReader,
  castEvent,
  castHeader,
  parseCastSize,
} from '../../recording/formats/asciicast.ts';
import { UP } from '../../recording/formats/types.ts';
import type { TerminalTrack, TrackItem } from '../../replay/track.ts';
import { plain } from '../../ui/text/printable.ts';
import { TerminalFilter } from '../../ui/text/terminal-filter.ts';
import type { Io } from '../io.ts';

/** Nobody waits for somebody else's pauses. */
const MAX_IDLE_MS = 3000;

export interface TerminalReplay {
  readonly speed: number | undefined;
  /** The lines of asciicast, for other players. */
  readonly asciicast: boolean;
}

export async function* replayTerminal(
  io: Io,
  reading: SessionReading,
  { speed, asciicast }: TerminalReplay,
): AsyncGenerator<string> {
  const items = terminalItems(reading);
  const first = items.next();
  if (first.done) {
    throw new HoopError('HOOP_USAGE', 'this session has no terminal recording', {
      detail:
        'There was no terminal (as in a pipeline), --no-terminal was given, or the policy turns it off.',
    });
  }
  if (asciicast) {
    const filter = new TerminalFilter();
    yield lineOf(first.value, filter);
    for (const item of items) {
      yield lineOf(item, filter);
    }
    return;
  }
  yield* play(io, first.value, items, speed ?? (io.stdout.isTTY ? 1 : undefined));
}

async function* play(
  io: Io,
  first: CastItem,
  rest: Iterable<CastItem>,
  speed: number | undefined,
): AsyncGenerator<string> {
  const encoder = new TextEncoder();
  const filter = new TerminalFilter();
  let shownMs = 0;
  noteSize(io, first);
  yield* shown(first);
  for (const item of rest) {
    if (item.type === 'event' && speed !== undefined) {
      const pauseMs = Math.min(MAX_IDLE_MS, Math.max(0, item.atMs - shownMs) / speed);
      await sleep(pauseMs, undefined, { signal: io.signal });
      shownMs = Math.max(shownMs, item.atMs);
    }
    yield* shown(item);
  }
  yield io.stdout.isTTY ? filter.end() : '';

  function* shown(item: CastItem): Generator<string> {
    if (item.type === 'event' && item.code === 'o') {
      yield filter.write(encoder.encode(item.text));
    } else if (item.type === 'event' && item.code === 'm') {
      io.note(plain(item.text));
    }
  }
}

/** What was drawn for a larger screen is not itself on a smaller one. */
function noteSize(io: Io, item: CastItem): void {
  const { columns = 0, rows = 0, isTTY } = io.stdout;
  if (isTTY && item.type === 'header' && (item.columns > columns || item.rows > rows)) {
    io.note(
      `recorded on a terminal of ${item.columns}×${item.rows}; this one is smaller: ${columns}×${rows}`,
    );
  }
}

/** The streams one after the other; there is one unless the client broke off. */
function* terminalItems(reading: SessionReading): Generator<CastItem> {
  for (const { kind, pieces } of reading.streams) {
    if (kind === 'terminal') {
      const reader = new CastReader();
      for (const { direction, bytes } of pieces()) {
        if (direction === UP) {
          yield* reader.push(bytes).filter(isKnown);
        }
      }
    }
  }
}

/** A size that no terminal has is the client's joke. */
function isKnown(item: CastItem): boolean {
  return !isResize(item) || parseCastSize(item.text) !== undefined;
}

function isResize(item: CastItem): item is CastEvent {
  return item.type === 'event' && item.code === 'r';
}

/**
 * Written anew: what the client has sent may hold more than it should, and another player hands
 * what was shown to a terminal as it is.
 */
function lineOf(item: CastItem, filter: TerminalFilter): string {
  if (item.type === 'header') {
    return castHeader(item).toString();
  }
  const { atMs, code, text } = item;
  return castEvent(atMs, code, code === 'o' ? filter.write(Buffer.from(text)) : text).toString();
}

/** For the player; undefined: there is none. Times are the client's. */
export function runTrack(reading: SessionReading): TerminalTrack | undefined {
  return terminalItems(reading).next().done === true
    ? undefined
    : { items: () => trackItems(terminalItems(reading)) };
}

function* trackItems(items: Iterable<CastItem>): Generator<TrackItem> {
  let startMs = 0;
  for (const item of items) {
    if (item.type === 'header') {
      startMs = item.startedMs;
      yield { type: 'size', timeMs: startMs, columns: item.columns, rows: item.rows };
      continue;
    }
    const timeMs = startMs + item.atMs;
    const size = isResize(item) ? parseCastSize(item.text) : undefined;
    if (size !== undefined) {
      yield { type: 'size', timeMs, ...size };
    } else if (item.code === 'o') {
      yield { type: 'output', timeMs, bytes: Buffer.from(item.text) };
    }
  }
}
