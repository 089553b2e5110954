/** A track as text: line by line with its time, or as an asciicast for other players. */
import type { TerminalTrack, TrackItem } from '../../replay/track.ts';
import { OutputText } from '../text/output-text.ts';
import { TerminalFilter } from '../text/terminal-filter.ts';
import { elapsed } from '../text/times.ts';

const TIME_WIDTH = 10;

const SIGNS = { output: '│', errors: '!', input: '>' } as const;

export interface TrackLinesOptions {
  /** Zero of the times shown. */
  readonly startMs: number;
  /** What was typed, too. */
  readonly input: boolean;
}

/** `timeMs` is when the line was complete. */
export function* trackLines(
  track: TerminalTrack,
  { startMs, input }: TrackLinesOptions,
): Generator<{ readonly timeMs: number; readonly text: string }> {
  const texts = { output: new OutputText(), errors: new OutputText(), input: new OutputText() };
  let timeMs = startMs;
  const shown = (type: keyof typeof SIGNS, line: string) => ({
    timeMs,
    text: `${elapsed(timeMs - startMs).padStart(TIME_WIDTH)}  ${SIGNS[type]} ${line}`.trimEnd(),
  });
  for (const item of track.items()) {
    timeMs = item.timeMs;
    if (item.type === 'size') {
      yield {
        timeMs,
        text: `${elapsed(timeMs - startMs).padStart(TIME_WIDTH)}  terminal of ${item.columns}×${item.rows}`,
      };
    } else if (item.type !== 'input' || input) {
      for (const line of texts[item.type].write(item.bytes)) {
        yield shown(item.type, line);
      }
    }
  }
  for (const type of ['output', 'errors', 'input'] as const) {
    for (const line of texts[type].end()) {
      yield shown(type, line);
    }
  }
}

/** No screen is larger, and some players take what they are told. */
const MAX_SIDE = 10_000;
const DEFAULT_SIZE = { columns: 80, rows: 24 } as const;

/**
 * https://docs.asciinema.org/manual/asciicast/v2/: a header, then `[seconds, code, text]`. What
 * players show goes through the terminal filter: they would hand it to a terminal as it is.
 */
export function* asciicastLines(
  track: TerminalTrack,
  { title, input }: { readonly title: string; readonly input: boolean },
): Generator<readonly unknown[] | object> {
  const filter = new TerminalFilter();
  const decoder = new TextDecoder();
  let startMs: number | undefined;
  let hasTerminal = false;
  for (const item of track.items()) {
    if (startMs === undefined) {
      startMs = item.timeMs;
      const { columns, rows } = item.type === 'size' ? item : DEFAULT_SIZE;
      yield {
        version: 2,
        width: side(columns),
        height: side(rows),
        timestamp: Math.floor(startMs / 1000),
        title,
      };
    }
    const seconds = Math.max(0, Math.round(item.timeMs - startMs)) / 1000;
    if (item.type === 'size') {
      hasTerminal = true;
      yield [seconds, 'r', `${side(item.columns)}x${side(item.rows)}`];
    } else if (item.type === 'input') {
      const text = input ? decoder.decode(item.bytes, { stream: true }) : '';
      if (text !== '') {
        yield [seconds, 'i', text];
      }
    } else {
      const text = shownText(filter, item, hasTerminal);
      if (text !== '') {
        yield [seconds, 'o', text];
      }
    }
  }
}

function shownText(
  filter: TerminalFilter,
  { bytes }: Extract<TrackItem, { bytes: Uint8Array }>,
  hasTerminal: boolean,
): string {
  const text = filter.write(bytes);
  return hasTerminal ? text : text.replaceAll('\n', '\r\n');
}

function side(cells: number): number {
  return Math.max(1, Math.min(MAX_SIDE, cells));
}
