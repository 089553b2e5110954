/**
 * Where the bytes of each (stream, direction) lie in the segment files. Plain arrays of numbers:
 * a session of short messages has hundreds of thousands of frames.
 */

import type { Direction } from '../formats/types.ts';
import type { FramePosition } from '../write/segment-writer.ts';

/** The frames of one stream and direction, in order; column by column. */
export interface FrameColumns {
  readonly segments: number[];
  readonly positions: number[];
  /** Of the first byte in the stream. */
  readonly offsets: number[];
  readonly lengths: number[];
}

export class DataIndex {
  readonly #columns = new Map<number, FrameColumns>();
  #frames = 0;

  /** Frames that are known, of all streams. */
  get frames(): number {
    return this.#frames;
  }

  add(
    stream: number,
    direction: Direction,
    offset: number,
    length: number,
    place: FramePosition,
  ): void {
    const key = keyOf(stream, direction);
    let columns = this.#columns.get(key);
    if (columns === undefined) {
      columns = { segments: [], positions: [], offsets: [], lengths: [] };
      this.#columns.set(key, columns);
    }
    this.#frames += 1;
    columns.segments.push(place.segment);
    columns.positions.push(place.position);
    columns.offsets.push(offset);
    columns.lengths.push(length);
  }

  /** The frames that hold any byte of [from, to). */
  slice(stream: number, direction: Direction, from: number, to: number): FrameColumns {
    const columns = this.#columns.get(keyOf(stream, direction));
    if (columns === undefined || from >= to) {
      return { segments: [], positions: [], offsets: [], lengths: [] };
    }
    const first = frameAt(columns.offsets, from);
    const last = frameAt(columns.offsets, to - 1);
    return {
      segments: columns.segments.slice(first, last + 1),
      positions: columns.positions.slice(first, last + 1),
      offsets: columns.offsets.slice(first, last + 1),
      lengths: columns.lengths.slice(first, last + 1),
    };
  }

  /** Forgets the frames that end at or before `offset`: a cut covers them. */
  forget(stream: number, direction: Direction, offset: number): void {
    const columns = this.#columns.get(keyOf(stream, direction));
    if (columns === undefined) {
      return;
    }
    const { offsets, lengths } = columns;
    let keep = frameAt(offsets, offset);
    if ((offsets[keep] ?? 0) + (lengths[keep] ?? 0) <= offset) {
      keep += 1;
    }
    this.#frames -= keep;
    if (keep >= offsets.length) {
      this.#columns.delete(keyOf(stream, direction));
      return;
    }
    for (const column of [columns.segments, columns.positions, offsets, lengths]) {
      column.splice(0, keep);
    }
  }
}

/** Index of the last frame that begins at or before `offset`; 0 when there is none. */
function frameAt(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((offsets[middle] ?? 0) <= offset) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
