/**
 * The part that both sides' recordings share: streams with offsets, data in frames, the index of
 * what no cut covers yet, and which offsets are safely on disk.
 */
import { canonicalJson } from './canonical-json.ts';
import { DATA_PREFIX_LENGTH, encodeDataPrefix } from './data-body.ts';
import { DataIndex } from './data-index.ts';
import { utf8 } from './encoding.ts';
import { type FrameType, MAX_BODY_LENGTH, TAG_LENGTH } from './frame.ts';
import { SegmentWriter, type SegmentWriterOptions } from './segment-writer.ts';
import {
  CONTROL_STREAM,
  type Direction,
  type RecordingEvent,
  type StreamOffsets,
} from './types.ts';

/** Larger writes are split: a frame has a limit. */
const MAX_DATA_BYTES = (MAX_BODY_LENGTH >> 1) - DATA_PREFIX_LENGTH - TAG_LENGTH;

interface StreamState {
  up: number;
  down: number;
  open: boolean;
}

export type SessionWriterOptions = Omit<SegmentWriterOptions, 'onSyncStart' | 'onSynced'> & {
  /** The streams whose recorded offsets moved with this sync. */
  readonly onRecorded: (streams: readonly StreamOffsets[]) => void;
};

export class SessionWriter {
  readonly #writer: SegmentWriter;
  readonly #streams = new Map<number, StreamState>([
    [CONTROL_STREAM, { up: 0, down: 0, open: true }],
  ]);
  /** Frames that the next cuts may need. */
  readonly index = new DataIndex();
  #moved = new Set<number>();
  #syncing: StreamOffsets[] = [];
  #upBytes = 0;
  #downBytes = 0;

  constructor(options: SessionWriterOptions) {
    this.#writer = new SegmentWriter({
      ...options,
      onSyncStart: () => {
        this.#syncing = [...this.#moved].map((stream) => this.offsets(stream));
        this.#moved = new Set();
      },
      onSynced: () => {
        if (this.#syncing.length > 0) {
          options.onRecorded(this.#syncing);
        }
      },
    });
  }

  get head(): Uint8Array {
    return this.#writer.head;
  }

  get upBytes(): number {
    return this.#upBytes;
  }

  get downBytes(): number {
    return this.#downBytes;
  }

  openStream(stream: number, kind: 'postgres' | 'cancel'): void {
    if (this.#streams.has(stream)) {
      throw new TypeError(`stream ${stream} was used before`);
    }
    this.event({ type: 'stream.open', stream, kind });
    this.#streams.set(stream, { up: 0, down: 0, open: true });
  }

  closeStream(stream: number, reason: string): StreamOffsets {
    const state = this.#open(stream);
    const { up, down } = state;
    this.event({ type: 'stream.close', stream, up, down, reason });
    state.open = false;
    return { stream, up, down };
  }

  /** Written so far; zeros for a stream that was never opened. */
  offsets(stream: number): StreamOffsets {
    const { up, down } = this.#streams.get(stream) ?? { up: 0, down: 0 };
    return { stream, up, down };
  }

  allOffsets(): StreamOffsets[] {
    return [...this.#streams.keys()].sort((a, b) => a - b).map((stream) => this.offsets(stream));
  }

  data(stream: number, direction: Direction, bytes: Uint8Array): void {
    const state = this.#open(stream);
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      this.#dataFrame(stream, state, direction, bytes.subarray(at, at + MAX_DATA_BYTES));
    }
  }

  event(event: RecordingEvent): void {
    this.append('event', utf8(canonicalJson(event)));
  }

  append(type: Exclude<FrameType, 'data'>, body: Uint8Array): void {
    this.#writer.append(type, body);
  }

  sync(): Promise<void> {
    return this.#writer.sync();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  #dataFrame(stream: number, state: StreamState, direction: Direction, bytes: Uint8Array): void {
    const offset = direction === 0 ? state.up : state.down;
    const prefix = encodeDataPrefix(stream, direction, offset);
    const place = this.#writer.append('data', prefix, bytes);
    this.index.add(stream, direction, offset, bytes.length, place);
    if (direction === 0) {
      state.up += bytes.length;
      this.#upBytes += bytes.length;
    } else {
      state.down += bytes.length;
      this.#downBytes += bytes.length;
    }
    this.#moved.add(stream);
  }

  #open(stream: number): StreamState {
    const state = this.#streams.get(stream);
    if (state === undefined || !state.open) {
      throw new TypeError(`stream ${stream} is not open`);
    }
    return state;
  }
}
