/**
 * What a client has sent, on its way to who deals with it: when it is in the record, frame by frame,
 * in order, and no faster than the commands in it may be read.
 */
import { ProtocolError } from '../../../errors.ts';
import type { UpFrame } from '../protocol/frame.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';
import type { SshStreamOptions } from './types.ts';

/** Frames that are dealt with before others have their turn: each may be a packet for the target. */
const MAX_IN_TURN = 512;

export interface ClientFramesOptions extends Pick<SshStreamOptions, 'client' | 'audit'> {
  /** @param at offset of the frame in the up stream. What it throws is for `onFault`. */
  readonly onFrame: (frame: UpFrame, at: number) => void;
  /** All that was there has been dealt with. */
  readonly onIdle: () => void;
  /** The client has sent its last whole frame. */
  readonly onLeft: () => void;
  readonly onFault: (error: unknown) => void;
}

export class ClientFrames {
  readonly #options: ClientFramesOptions;
  readonly #decoder = FrameDecoder.up();
  readonly #pace = new CommandPace(performance.now());
  #chunks: Uint8Array[] = [];
  #isDue = false;
  /** Since others had their turn. */
  #inTurn = 0;
  /** What is behind it waits for another turn, or longer where commands came too fast. */
  #waiting: NodeJS.Timeout | NodeJS.Immediate | undefined;
  /** The process may no longer own the recording: what has come may go nowhere before that is known. */
  #isHeldUp = false;
  #hasLeft = false;
  #isOver = false;

  constructor(options: ClientFramesOptions) {
    this.#options = options;
    options.client
      .on('data', (chunk: Uint8Array) => this.#received(chunk))
      .on('end', () => {
        this.#hasLeft = true;
        this.#processSoon();
      });
  }

  /** Somebody else who had paused the client is ready for more. */
  resume(): void {
    if (this.#waiting === undefined && !this.#isHeldUp) {
      this.#options.client.resume();
    }
  }

  /** A command was read: what is behind it waits. */
  commandRead(bytes: number): void {
    this.#goOnAfter(this.#pace.read(bytes, performance.now()));
  }

  /** What is behind is dealt with in another turn of the event loop, or later, and others go on. */
  #goOnAfter(waitMs: number): void {
    this.#inTurn = 0;
    this.#options.client.pause();
    const goOn = (): void => {
      this.#waiting = undefined;
      this.resume();
      this.#processSoon();
    };
    this.#waiting = waitMs > 0 ? setTimeout(goOn, waitMs) : setImmediate(goOn);
  }

  /** Nothing is dealt with any more. */
  end(): void {
    this.#isOver = true;
    this.#waiting?.[Symbol.dispose]();
  }

  #received(chunk: Uint8Array): void {
    if (!this.#isOver) {
      this.#chunks.push(chunk);
      this.#processSoon();
      this.#holdUp();
    }
  }

  /** Else all that the client may send without a cut, 16 MiB, is collected meanwhile. */
  #holdUp(): void {
    const held = this.#isHeldUp ? undefined : this.#options.audit.whenHeld();
    if (held === undefined) return;
    this.#isHeldUp = true;
    this.#options.client.pause();
    const goOn = (): void => {
      this.#isHeldUp = false;
      // What waits is dealt with before more is read; and whoever else wants a pause says so again.
      if (!this.#isOver) this.resume();
    };
    // When the session is over, whoever opened it is told.
    held.then(goOn, () => undefined);
  }

  /** What the client has sent has effects only when it is in the record. */
  #processSoon(): void {
    if (!this.#isDue) {
      this.#isDue = true;
      this.#options.audit.whenWritten(() => {
        this.#isDue = false;
        this.#process();
      });
    }
  }

  #process(): void {
    if (this.#waiting !== undefined) {
      return;
    }
    const chunks = this.#chunks;
    this.#chunks = [];
    try {
      this.#handleAll();
      for (const [index, chunk] of chunks.entries()) {
        if (this.#waiting !== undefined) {
          this.#chunks = [...chunks.slice(index), ...this.#chunks];
          return;
        }
        this.#decoder.feed(chunk);
        this.#handleAll();
      }
      if (this.#waiting !== undefined || this.#isOver) return;
      this.#options.onIdle();
      if (this.#hasLeft) {
        if (!this.#decoder.isBetweenFrames) {
          throw new ProtocolError('the client left within a frame');
        }
        this.#options.onLeft();
      }
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  /** Up to one after which everything has to wait. */
  #handleAll(): void {
    while (this.#waiting === undefined && !this.#isOver) {
      const frame = this.#decoder.next();
      if (frame === undefined) {
        return;
      }
      this.#options.onFrame(frame, this.#decoder.frameStart);
      this.#inTurn += 1;
      // To open a channel may take a decision.
      const isOver = frame.type === 'open' || this.#inTurn >= MAX_IN_TURN;
      if (isOver && this.#waiting === undefined) {
        this.#goOnAfter(0);
      }
    }
  }
}

// How fast the commands of one connection are read. To find out what a command starts costs the
// gateway up to 2 µs for each of its characters, and everybody else waits meanwhile. Whoever sends
// text faster than people and their tools do waits, and is not refused.

/** At once: five hundred commands of Ansible, without one wait. */
const BURST_BYTES = 256 * 1024;
/** From then on: at most a fifteenth of a processor for one connection. */
const BYTES_PER_SECOND = 32 * 1024;
/** What a command costs that says nothing. */
const COMMAND_BYTES = 256;

export class CommandPace {
  #left = BURST_BYTES;
  #sinceMs: number;

  /** @param nowMs of a clock that only goes on */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** @returns how long to wait before anything else of this connection is read; mostly 0 */
  read(bytes: number, nowMs: number): number {
    const earned = ((nowMs - this.#sinceMs) * BYTES_PER_SECOND) / 1000;
    this.#sinceMs = nowMs;
    this.#left = Math.min(BURST_BYTES, this.#left + earned) - bytes - COMMAND_BYTES;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / BYTES_PER_SECOND);
  }
}
