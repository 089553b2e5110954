/**
 * The part that both sides' recordings share: streams with offsets, data in frames, the index of
 * what no cut covers yet, and which offsets are safely on disk.
 */

import type { StreamKind } from '../../stream-kinds.ts';
import { DataIndex } from '../ended/data-index.ts';
import { encodeDataPrefix } from '../formats/data-body.ts';
import { eventJson } from '../formats/event-json.ts';
import { MAX_DATA_LENGTH } from '../formats/frame.ts';
import type { DataPlace } from '../formats/frame-digest.ts';
import {
  CONTROL_STREAM,
  type Direction,
  type RecordingEvent,
  type StreamOffsets,
} from '../formats/types.ts';
import type { LeafAhead } from './leaf-ahead.ts';
import {
  type FrameBody,
  type FramePosition,
  SegmentWriter,
  type SegmentWriterOptions,
} from './segment-writer.ts';
import { type RecordedData, WaitingRecords } from './waiting-records.ts';
import { type TurnWriter, WrittenTurns } from './written-turns.ts';

/** Up to here data shares a frame with the events of its step; copying more costs more than a frame. */
const MAX_GROUPED_DATA_BYTES = 8 * 1024;
/** Events that wait for a frame are written when they are more than this. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Each part is sealed, hashed and written by itself: many of a byte each cost more than a copy. */
const MAX_PARTS = 1024;

interface StreamState {
  up: number;
  down: number;
  /** What of these is written, and does not only wait. */
  writtenUp: number;
  writtenDown: number;
  open: boolean;
}

/** Written, and neither in the index nor in the hashes of leaves. */
interface Unsettled {
  readonly data: readonly RecordedData[];
  readonly place: FramePosition;
}

export type SessionWriterOptions = Omit<SegmentWriterOptions, 'onSyncStart' | 'onSynced'> & {
  /** The streams whose recorded offsets moved with this sync. */
  readonly onRecorded: (streams: readonly StreamOffsets[]) => void;
  readonly stopped: TurnWriter['stopped'];
  readonly onForwardFailed: TurnWriter['onForwardFailed'];
  /** Hashes what has been written, in order; a reader of the files needs none. */
  readonly leaves: LeafAhead;
};

/**
 * What one turn of the event loop leaves, of all streams, is put into one frame: `data` and `event`
 * only collect, and no callback of others runs in them. `turns` says when what depends on it goes on.
 */
export class SessionWriter {
  readonly #writer: SegmentWriter;
  readonly #leaves: LeafAhead;
  readonly #waiting = new WaitingRecords();
  #unsettled: Unsettled[] = [];
  /** How what depends on the record goes on. */
  readonly turns: WrittenTurns;
  #openStreams = 0;
  readonly #streams = new Map<number, StreamState>([[CONTROL_STREAM, newStream()]]);
  readonly #index = new DataIndex();
  #moved = new Set<number>();
  #syncing: StreamOffsets[] = [];
  #upBytes = 0;
  #downBytes = 0;

  constructor(options: SessionWriterOptions) {
    this.#leaves = options.leaves;
    this.turns = new WrittenTurns({
      isEmpty: () => this.#waiting.isEmpty,
      write: () => this.#writeWaiting(),
      onWriteFailed: (error) => this.#writer.fail(error),
      assertOpen: () => this.#writer.assertOpen(),
      isShared: () => this.#openStreams > 1,
      settle: () => this.settle(),
      stopped: options.stopped,
      onForwardFailed: options.onForwardFailed,
    });
    this.#writer = new SegmentWriter({
      ...options,
      onSyncStart: () => {
        this.turns.goOn();
        this.#syncing = [...this.#moved].map((stream) => this.#writtenOf(stream));
        this.#moved = new Set();
      },
      onSynced: () => {
        if (this.#syncing.length > 0) {
          options.onRecorded(this.#syncing);
        }
      },
    });
  }

  /** Of all connections; what the control channel says comes on top. */
  get upBytes(): number {
    this.settle();
    return this.#upBytes;
  }

  get downBytes(): number {
    this.settle();
    return this.#downBytes;
  }

  /** Frames that the next cuts may need. */
  get index(): DataIndex {
    this.settle();
    return this.#index;
  }

  get syncedFrames(): number {
    return this.#writer.syncedFrames;
  }

  /** How many these are, nearly. */
  get uncoveredFrames(): number {
    return this.#index.frames + this.#unsettled.length;
  }

  openStream(stream: number, kind: StreamKind): void {
    if (this.#streams.has(stream)) {
      throw new TypeError(`stream ${stream} was used before`);
    }
    this.event({ type: 'stream.open', stream, kind });
    this.#streams.set(stream, newStream());
    this.#openStreams += 1;
  }

  closeStream(stream: number, reason: string): StreamOffsets {
    const state = this.#open(stream);
    const { up, down } = state;
    this.event({ type: 'stream.close', stream, up, down, reason });
    state.open = false;
    this.#openStreams -= 1;
    // Its last bytes may still wait: hashed behind the close, they would begin the stream anew.
    this.turns.afterWrite(() => {
      this.settle();
      this.#leaves.close(stream);
    });
    return { stream, up, down };
  }

  /** Written so far; zeros for a stream that was never opened. */
  offsets(stream: number): StreamOffsets {
    const { up, down } = this.#streams.get(stream) ?? { up: 0, down: 0 };
    return { stream, up, down };
  }

  /** @param parts one behind the other; they must not change until they are written. */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    const state = this.#open(stream);
    const length = lengthOf(parts);
    if (length === 0) {
      return;
    }
    if (length <= MAX_GROUPED_DATA_BYTES) {
      this.#collectData(stream, state, direction, parts, length);
      return;
    }
    // What waits goes on later: whoever records may be in the middle of sending what this is.
    this.turns.writeNow();
    const few = parts.length > MAX_PARTS ? [Buffer.concat(parts, length)] : parts;
    if (length <= MAX_DATA_LENGTH) {
      this.#dataFrame(stream, state, direction, few);
      return;
    }
    for (const frame of splitAt(few, MAX_DATA_LENGTH)) {
      this.#dataFrame(stream, state, direction, frame);
    }
  }

  event(event: RecordingEvent): void {
    this.#writer.assertOpen();
    this.#waiting.event(eventJson(event));
    this.#collected();
  }

  append(type: 'cut' | 'end', body: FrameBody): void {
    this.turns.goOn();
    this.#writer.appendOther(type, body);
  }

  /**
   * What is to be done about that which was written, and what nobody waits for: the index of frames,
   * the head chain, the hashes of leaves. At the end of the turn, when it has gone on.
   */
  settle(): void {
    const unsettled = this.#unsettled;
    if (unsettled.length === 0) {
      return;
    }
    this.#unsettled = [];
    for (const { data, place } of unsettled) {
      for (const { place: written, bytes } of data) {
        this.#written(written, [bytes], place);
      }
    }
    this.#writer.settle();
  }

  /** Resolves when all that was recorded before the call is on disk. */
  sync(): Promise<void> {
    this.turns.goOn();
    return this.#writer.sync();
  }

  async close(): Promise<void> {
    this.turns.stop();
    try {
      // What goes on may record more.
      do {
        this.turns.goOn();
      } while (!this.#waiting.isEmpty);
    } catch {
      // Reported to onFailure; what can be closed is closed.
    }
    await this.#writer.close();
  }

  #collectData(
    stream: number,
    state: StreamState,
    direction: Direction,
    parts: readonly Uint8Array[],
    length: number,
  ): void {
    const offset = advance(state, direction, length);
    this.#writer.assertOpen();
    this.#waiting.data({ stream, direction, offset, length, parts });
    this.#collected();
  }

  #collected(): void {
    if (this.#waiting.bytes > MAX_WAITING_BYTES) {
      this.turns.writeNow();
    }
    this.turns.goOnAtTurnEnd();
  }

  #writeWaiting(): void {
    const { type, body, data, records } = this.#waiting.take();
    const place = this.#writer.append(type, [body], records);
    this.#unsettled.push({ data, place });
  }

  #dataFrame(
    stream: number,
    state: StreamState,
    direction: Direction,
    parts: readonly Uint8Array[],
  ): void {
    const length = lengthOf(parts);
    const offset = advance(state, direction, length);
    const prefix = encodeDataPrefix(stream, direction, offset);
    const data = { stream, direction, offset, length };
    const records = [{ type: 'data', place: data }] as const;
    const place = this.#writer.append('data', [prefix, ...parts], records);
    this.#written(data, parts, place);
    this.#writer.settle();
  }

  #written(data: DataPlace, parts: readonly Uint8Array[], place: FramePosition): void {
    const { stream, direction, offset, length } = data;
    this.#index.add(stream, direction, offset, length, place);
    this.#leaves.add(stream, direction, parts);
    if (stream !== CONTROL_STREAM) {
      this.#upBytes += direction === 0 ? length : 0;
      this.#downBytes += direction === 1 ? length : 0;
    }
    const state = this.#streams.get(stream);
    if (state !== undefined) {
      if (direction === 0) {
        state.writtenUp = offset + length;
      } else {
        state.writtenDown = offset + length;
      }
      this.#moved.add(stream);
    }
  }

  #writtenOf(stream: number): StreamOffsets {
    const { writtenUp, writtenDown } = this.#streams.get(stream) ?? newStream();
    return { stream, up: writtenUp, down: writtenDown };
  }

  #open(stream: number): StreamState {
    const state = this.#streams.get(stream);
    if (state === undefined || !state.open) {
      throw new TypeError(`stream ${stream} is not open`);
    }
    return state;
  }
}

function newStream(): StreamState {
  return { up: 0, down: 0, writtenUp: 0, writtenDown: 0, open: true };
}

/** @returns the offset before */
function advance(state: StreamState, direction: Direction, bytes: number): number {
  const offset = direction === 0 ? state.up : state.down;
  if (direction === 0) {
    state.up += bytes;
  } else {
    state.down += bytes;
  }
  return offset;
}

/** Pieces of so many bytes, and one with the rest; each of as many parts as it takes. */
function splitAt(parts: readonly Uint8Array[], most: number): Uint8Array[][] {
  const pieces: Uint8Array[][] = [[]];
  let room = most;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      if (room === 0) {
        pieces.push([]);
        room = most;
      }
      const taken = part.subarray(at, at + room);
      pieces.at(-1)?.push(taken);
      at += taken.length;
      room -= taken.length;
    }
  }
  return pieces;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
