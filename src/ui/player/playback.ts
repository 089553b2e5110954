/**
 * A track that is being played: what the screen shows at a time, and how it gets to another. Pauses
 * are cut, so that the time of playing is not that of the recording. What has passed is not kept:
 * to go back is to begin again.
 */
import type { TerminalTrack, TrackItem } from '../../replay/track.ts';
import { TerminalFilter } from '../text/terminal-filter.ts';
import { TerminalScreen } from './terminal-screen.ts';

/** Output before the time that is looked for: a screen does not depend on what scrolled off long ago. */
const SEEK_BYTES = 2 * 1024 * 1024;

export interface TrackLength {
  /** With pauses cut. */
  readonly durationMs: number;
  /** When it began, by the gateway's clock. */
  readonly startMs: number;
  readonly columns: number;
  readonly rows: number;
}

/** Reads the whole track once. @param maxIdleMs what a pause is cut to */
export function measureTrack(track: TerminalTrack, maxIdleMs: number): TrackLength {
  let startMs: number | undefined;
  let last = 0;
  let durationMs = 0;
  let columns = 0;
  let rows = 0;
  for (const item of track.items()) {
    startMs ??= item.timeMs;
    durationMs += startMs === item.timeMs ? 0 : pause(item.timeMs - last, maxIdleMs);
    last = item.timeMs;
    if (item.type === 'size') {
      columns = Math.max(columns, item.columns);
      rows = Math.max(rows, item.rows);
    }
  }
  return { durationMs, startMs: startMs ?? 0, columns, rows };
}

function pause(ms: number, maxIdleMs: number): number {
  return Math.max(0, Math.min(ms, maxIdleMs));
}

export class Playback {
  readonly #track: TerminalTrack;
  readonly #maxIdleMs: number;
  #items: Iterator<TrackItem>;
  #next: TrackItem | undefined;
  /** In the time of playing, of the item that comes next and of now. */
  #nextMs = 0;
  #timeMs = 0;
  #last: number | undefined;
  #screen = new TerminalScreen();
  #filter = new TerminalFilter();
  /** Without one, whoever started it has put the carriage returns in. */
  #hasTerminal = false;

  constructor(track: TerminalTrack, maxIdleMs: number) {
    this.#track = track;
    this.#maxIdleMs = maxIdleMs;
    this.#items = track.items()[Symbol.iterator]();
    this.#advance();
  }

  get screen(): TerminalScreen {
    return this.#screen;
  }

  /** Since it began to play, with pauses cut. */
  get timeMs(): number {
    return this.#timeMs;
  }

  get isOver(): boolean {
    return this.#next === undefined;
  }

  /** Shows what was there at this time. */
  seek(timeMs: number): void {
    if (timeMs < this.#timeMs) {
      this.#restart();
    }
    const held: Uint8Array[] = [];
    let bytes = 0;
    while (this.#next !== undefined && this.#nextMs <= timeMs) {
      const item = this.#next;
      if (item.type === 'size') {
        this.#show(held.splice(0));
        bytes = 0;
        this.#hasTerminal = true;
        this.#screen.resize(item.columns, item.rows);
      } else if (item.type !== 'input') {
        // A copy: the bytes are gone with the next item.
        held.push(item.bytes.slice());
        bytes += item.bytes.length;
        while (bytes > SEEK_BYTES && held.length > 1) {
          bytes -= held.shift()?.length ?? 0;
        }
      }
      this.#advance();
    }
    this.#show(held);
    this.#timeMs = Math.max(0, timeMs);
  }

  #show(held: readonly Uint8Array[]): void {
    for (const bytes of held) {
      const text = this.#filter.write(bytes);
      this.#screen.write(this.#hasTerminal ? text : text.replaceAll('\n', '\r\n'));
    }
  }

  #restart(): void {
    this.#items.return?.();
    this.#items = this.#track.items()[Symbol.iterator]();
    this.#screen = new TerminalScreen();
    this.#filter = new TerminalFilter();
    this.#hasTerminal = false;
    this.#nextMs = 0;
    this.#timeMs = 0;
    this.#last = undefined;
    this.#advance();
  }

  #advance(): void {
    const step = this.#items.next();
    this.#next = step.done === true ? undefined : step.value;
    if (this.#next !== undefined) {
      this.#nextMs += pause(this.#next.timeMs - (this.#last ?? this.#next.timeMs), this.#maxIdleMs);
      this.#last = this.#next.timeMs;
    }
  }
}
