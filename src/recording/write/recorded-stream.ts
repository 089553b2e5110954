/**
 * One stream of a session, at either end: a Duplex over its carrier, with the recording of that end
 * in between. What is written here is recorded, and leaves when the record is written, with what else
 * the turn of the event loop brings. What comes is recorded before anybody here gets it; how it is
 * given on differs (`ClientStream`, `TunnelStream`).
 */
import { Duplex } from 'node:stream';
import type { StreamCarrier } from '../../carrier/stream-carrier.ts';
import { HoopError } from '../../errors.ts';
import { bytesPassed } from '../../passing-buffers.ts';
import type { Direction } from '../formats/types.ts';
import type { WrittenTurns } from './written-turns.ts';

/** What a stream needs of the recording of its session. */
export interface StreamRecording {
  /** Throws once nothing can be recorded any more. */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void;
  readonly turns: Pick<WrittenTurns, 'whenWritten' | 'flush'>;
}

export interface RecordedStreamOptions<Recording extends StreamRecording> {
  readonly carrier: StreamCarrier;
  readonly stream: number;
  readonly recording: Recording;
}

export interface StreamBuffers {
  readonly readBytes: number;
  /** Handed to the carrier and not sent yet, from which on a write waits for it. */
  readonly sendBytes: number;
}

export type Done = (error?: Error | null) => void;

export abstract class RecordedStream<Recording extends StreamRecording> extends Duplex {
  protected readonly carrier: StreamCarrier;
  protected readonly stream: number;
  protected readonly recording: Recording;
  /** Bytes that go on, to either side, when they are recorded. */
  protected unwritten = 0;
  readonly #sent: Direction;
  readonly #sendBytes: number;
  /** Of those bytes the ones that leave by the carrier. */
  #unsent = 0;

  /** @param sent what leaves by the carrier */
  constructor(
    { carrier, stream, recording }: RecordedStreamOptions<Recording>,
    sent: Direction,
    { readBytes, sendBytes }: StreamBuffers,
  ) {
    super({
      readableHighWaterMark: readBytes,
      writableHighWaterMark: sendBytes,
      // Each side ends by itself; the tunnel has no half-open state of its own.
      allowHalfOpen: true,
    });
    this.carrier = carrier;
    this.stream = stream;
    this.recording = recording;
    this.#sent = sent;
    this.#sendBytes = sendBytes;
  }

  /**
   * @param done called when more may come: at once, or when the carrier has caught up
   * @throws as `data` of the recording
   */
  protected send(parts: readonly Buffer[], length: number, done: Done | undefined): void {
    const { carrier, recording } = this;
    recording.data(this.stream, this.#sent, parts);
    bytesPassed(length);
    this.unwritten += length;
    this.#unsent += length;
    const hasRoom = carrier.unsentBytes + this.#unsent < this.#sendBytes;
    recording.turns.whenWritten(() => {
      this.unwritten -= length;
      this.#unsent -= length;
      this.guarded(() =>
        carrier.send(parts, hasRoom ? undefined : (error) => done?.(error ?? null)),
      );
    });
    if (hasRoom) {
      done?.();
    }
  }

  /**
   * A fault of ours, where nobody could catch it, ends this stream: not the session, nor the
   * process, and what other streams wait for goes on behind it.
   */
  protected guarded(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.destroy(
        new HoopError('HOOP_INTERNAL', 'what was recorded could not be passed on', { cause }),
      );
    }
  }

  /** What waits for the record goes on now: what it says was sent is sent. Throws as `send`. */
  protected flush(): void {
    if (this.unwritten > 0) {
      this.recording.turns.flush();
    }
  }
}

/** @returns what the recording has thrown, for a stream that ends with it */
export function stoppedBy(error: unknown): Error {
  return error instanceof Error ? error : new Error('the recording stopped');
}
