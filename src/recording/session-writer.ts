/**
 * The part that both sides' recordings share: streams with offsets, data in frames, the index of
 * what no cut covers yet, and which offsets are safely on disk.
 */
import { canonicalJson } from './canonical-json.ts';
import { DATA_PREFIX_LENGTH, encodeDataPrefix } from './data-body.ts';
import { DataIndex } from './data-index.ts';
import { utf8 } from './encoding.ts';
import { type FrameType, MAX_BODY_LENGTH, TAG_LENGTH } from './frame.ts';
import { encodeGroupRecordHead } from './group-body.ts';
import { type FramePosition, SegmentWriter, type SegmentWriterOptions } from './segment-writer.ts';
import {
  CONTROL_STREAM,
  type Direction,
  type RecordingEvent,
  type StreamOffsets,
} from './types.ts';

/** Up to here data shares a frame with the events of its step; copying more costs more than a frame. */
const MAX_GROUPED_DATA_BYTES = 8 * 1024;
/** Events that wait for a frame are written when they are more than this. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Larger writes are split: a frame has a limit. */
const MAX_DATA_BYTES = (MAX_BODY_LENGTH >> 1) - DATA_PREFIX_LENGTH - TAG_LENGTH;

interface StreamState {
  up: number;
  down: number;
  open: boolean;
}

/** What the next frame will hold. */
interface Waiting {
  readonly type: 'data' | 'event';
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

interface WaitingData {
  readonly stream: number;
  readonly direction: Direction;
  readonly offset: number;
  readonly length: number;
}

export type SessionWriterOptions = Omit<SegmentWriterOptions, 'onSyncStart' | 'onSynced'> & {
  /** The streams whose recorded offsets moved with this sync. */
  readonly onRecorded: (streams: readonly StreamOffsets[]) => void;
};

/**
 * What one step leaves is put into one frame: `data` and `event` only collect, and `flush` writes.
 * Whoever forwards something calls `flush` before; what nobody forwards is written in the same turn
 * of the event loop.
 */
export class SessionWriter {
  readonly #writer: SegmentWriter;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #waitingData: WaitingData | undefined;
  #flushing: NodeJS.Immediate | undefined;
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
        this.flush();
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
    if (bytes.length <= MAX_GROUPED_DATA_BYTES) {
      this.#collectData(stream, state, direction, bytes);
      return;
    }
    this.flush();
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      this.#dataFrame(stream, state, direction, bytes.subarray(at, at + MAX_DATA_BYTES));
    }
  }

  event(event: RecordingEvent): void {
    this.#collect('event', utf8(canonicalJson(event)));
  }

  append(type: Exclude<FrameType, 'data' | 'event' | 'group'>, body: Uint8Array): void {
    this.flush();
    this.#writer.append(type, body);
  }

  /**
   * write(2) of everything before has returned when this returns.
   * @throws HoopError HOOP_RECORDING_WRITE, then and for ever after
   */
  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) {
      return;
    }
    const data = this.#waitingData;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#waitingData = undefined;
    const [only] = waiting;
    const place =
      waiting.length === 1 && only !== undefined
        ? this.#writer.append(only.type, ...only.parts)
        : this.#writer.append('group', ...waiting.flatMap(groupRecord));
    if (data !== undefined) {
      this.#written(data, place);
    }
  }

  sync(): Promise<void> {
    this.flush();
    return this.#writer.sync();
  }

  async close(): Promise<void> {
    clearImmediate(this.#flushing);
    try {
      this.flush();
    } catch {
      // Reported to onFailure; what can be closed is closed.
    }
    await this.#writer.close();
  }

  #collectData(stream: number, state: StreamState, direction: Direction, bytes: Uint8Array): void {
    if (this.#waitingData !== undefined) {
      this.flush();
    }
    const offset = advance(state, direction, bytes.length);
    this.#waitingData = { stream, direction, offset, length: bytes.length };
    this.#collect('data', encodeDataPrefix(stream, direction, offset), bytes);
  }

  #collect(type: 'data' | 'event', ...parts: readonly Uint8Array[]): void {
    this.#writer.assertOpen();
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#waiting.push({ type, parts, length });
    this.#waitingBytes += length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.flush();
      return;
    }
    this.#flushing ??= setImmediate(() => {
      this.#flushing = undefined;
      try {
        this.flush();
      } catch {
        // Reported to onFailure, which ends the session.
      }
    });
  }

  #dataFrame(stream: number, state: StreamState, direction: Direction, bytes: Uint8Array): void {
    const offset = advance(state, direction, bytes.length);
    const prefix = encodeDataPrefix(stream, direction, offset);
    const place = this.#writer.append('data', prefix, bytes);
    this.#written({ stream, direction, offset, length: bytes.length }, place);
  }

  #written({ stream, direction, offset, length }: WaitingData, place: FramePosition): void {
    this.index.add(stream, direction, offset, length, place);
    if (direction === 0) {
      this.#upBytes += length;
    } else {
      this.#downBytes += length;
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

function groupRecord({ type, parts, length }: Waiting): Uint8Array[] {
  return [encodeGroupRecordHead(type, length), ...parts];
}
