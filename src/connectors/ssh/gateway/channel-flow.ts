/**
 * Data of one channel in both directions. Credit goes from end to end: the target may send what the
 * client takes, and the client what the target takes, so that nothing piles up in between. What is
 * kept here is what came before the target takes it, within the credit that the client was given,
 * and what we say ourselves while the client has no room.
 */
import { unshared } from '../../../carrier/unshared.ts';
import { ProtocolError } from '../../../errors.ts';
import { ChannelCredit } from '../protocol/channel-credit.ts';
import { type DownFrame, MAX_DATA_BYTES } from '../protocol/frame.ts';
import type { TargetChannel } from './target-channels.ts';

/** Frames that wait behind data: answers to what a client asks that takes no data. */
const MAX_WAITING_FRAMES = 16_384;

export interface ChannelFlowOptions {
  readonly number: number;
  /** Credit that the client gave with `open`. */
  readonly window: number;
  readonly write: (frame: DownFrame) => void;
  /** The connection to the target takes no more for now. */
  readonly isTargetFull: () => boolean;
}

/** Who looks into the data, changes it and answers by itself: then each side has a window of its own. */
export interface FlowInspector {
  /** Nothing waits for the target any more. */
  targetDrained(): void;
  /** The same for the client. */
  clientDrained(): void;
}

interface Totals {
  readonly up: number;
  readonly down: number;
  readonly stderr: number;
}

type ChannelFrame = Exclude<DownFrame, { type: 'hello' | 'disconnect' }>;

export class ChannelFlow {
  readonly #options: ChannelFlowOptions;
  readonly #credit: ChannelCredit;
  readonly #totals = { up: 0, down: 0, stderr: 0 };
  readonly #up = new ByteQueue();
  #target: TargetChannel | undefined;
  #inspector: FlowInspector | undefined;
  #isGateOpen = false;
  #upEnded: 'no' | 'ending' | 'ended' = 'no';
  /** Frames that wait for credit, and those behind them. */
  #down: ChannelFrame[] = [];
  #hasSentClose = false;
  /** Bytes that we said, for which the target was given room as well. */
  #debt = 0;
  /** With an inspector: what the target sent and has not been given room for again. */
  #owedToTarget = 0;

  constructor(options: ChannelFlowOptions) {
    this.#options = options;
    this.#credit = new ChannelCredit(options.window);
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** `close` was the last frame, or waits for data before it. */
  get hasSentClose(): boolean {
    return this.#hasSentClose;
  }

  get isUpEmpty(): boolean {
    return this.#up.isEmpty;
  }

  get isDownEmpty(): boolean {
    return this.#down.length === 0;
  }

  attach(target: TargetChannel): void {
    this.#target = target;
  }

  /** What the target may send from the beginning. */
  get firstWindow(): number {
    return this.#credit.toSend;
  }

  /** From now on the client's data goes to the target. */
  openGate(): void {
    this.#isGateOpen = true;
    this.flushUp();
  }

  /** Before anything has gone to the target. */
  inspect(inspector: FlowInspector): void {
    this.#inspector = inspector;
    if (this.#upEnded === 'ending') {
      this.#upEnded = 'no';
    }
  }

  // -------------------------------------------------------------- client to target

  /** @throws ProtocolError when the client has sent more than it has credit for */
  received(bytes: number): void {
    this.#credit.received(bytes);
    this.#totals.up += bytes;
  }

  /** @param bytes may be a view of memory that is shared */
  toTarget(bytes: Uint8Array): void {
    const isDirect = this.#isGateOpen && this.#up.isEmpty;
    const now = isDirect ? bytes.subarray(0, this.#room) : bytes.subarray(0, 0);
    this.#sendUp(now);
    this.#up.push(bytes.subarray(now.length));
  }

  /** The client sends no more; the target hears of it behind what was sent. */
  endUp(): void {
    if (this.#upEnded === 'no') {
      this.#upEnded = 'ending';
      this.flushUp();
    }
  }

  /** Drops what has not gone to the target: the client has closed. */
  dropUp(): void {
    this.#up.clear();
    this.#upEnded = 'ended';
  }

  /** The target, or the connection to it, takes more. */
  flushUp(): void {
    if (this.#target === undefined || !this.#isGateOpen) {
      return;
    }
    const hadToWait = !this.#up.isEmpty;
    for (let part = this.#up.shift(this.#room); part; part = this.#up.shift(this.#room)) {
      this.#sendUp(part);
    }
    if (!this.#up.isEmpty) {
      return;
    }
    if (this.#upEnded === 'ending') {
      this.#upEnded = 'ended';
      this.#target.eof();
    }
    if (hadToWait) {
      this.#inspector?.targetDrained();
    }
  }

  /** So much of what the client sent is dealt with: it may send as much again. */
  consumed(bytes: number): void {
    const more = this.#credit.consumed(bytes);
    if (more > 0 && !this.#hasSentClose) {
      this.#options.write({ type: 'window', channel: this.#options.number, bytes: more });
    }
  }

  get #room(): number {
    return this.#options.isTargetFull() ? 0 : (this.#target?.room ?? 0);
  }

  #sendUp(bytes: Uint8Array): void {
    if (bytes.length > 0) {
      this.#target?.data(bytes);
      if (this.#inspector === undefined) {
        this.consumed(bytes.length);
      }
    }
  }

  // -------------------------------------------------------------- target to client

  fromTarget(type: 'data' | 'stderr', data: Uint8Array): void {
    if (data.length > 0) {
      this.send({ type, channel: this.#options.number, data });
    }
    this.taken(data.length);
  }

  /** With an inspector: so much of what the target sent is dealt with. */
  taken(bytes: number): void {
    if (this.#inspector !== undefined) {
      this.#owedToTarget += bytes;
      this.#giveOwed();
    }
  }

  /** Something of our own. */
  say(type: 'data' | 'stderr', data: Uint8Array): void {
    if (data.length > 0) {
      this.#debt += data.length;
      this.send({ type, channel: this.#options.number, data });
    }
  }

  /**
   * Behind all data that waits; nothing is sent after `close`.
   * @throws ProtocolError when the client gives no credit and asks on
   */
  send(frame: ChannelFrame): void {
    if (!this.#hasSentClose) {
      this.#hasSentClose = frame.type === 'close';
      const isReply = frame.type === 'success' || frame.type === 'failure';
      if (isReply && this.#down.length >= MAX_WAITING_FRAMES) {
        throw new ProtocolError('the client gives no credit for what it asks for');
      }
      this.#down.push(frame);
      this.#flushDown();
      this.#keepLast();
    }
  }

  /** @throws ProtocolError for credit beyond 4 GiB */
  granted(bytes: number): void {
    this.#credit.granted(bytes);
    const hadToWait = this.#down.length > 0;
    this.#flushDown();
    if (this.#inspector === undefined) {
      const paid = Math.min(bytes, this.#debt);
      this.#debt -= paid;
      this.#target?.giveWindow(bytes - paid);
    } else if (hadToWait && this.#down.length === 0) {
      this.#giveOwed();
      this.#inspector.clientDrained();
    }
  }

  /** The client has closed: nobody takes data any more. */
  drop(): void {
    this.dropUp();
    this.#down = this.#down.filter(({ type }) => type === 'close');
    this.#flushDown();
  }

  /** By halves of its window: each costs the target a packet. */
  #giveOwed(): void {
    if (this.#down.length === 0 && this.#owedToTarget * 2 >= this.#options.window) {
      const bytes = this.#owedToTarget;
      this.#owedToTarget = 0;
      this.#target?.giveWindow(bytes);
    }
  }

  /** What waits may be a few bytes in the middle of a large read. */
  #keepLast(): void {
    const last = this.#down.at(-1);
    if (last?.type === 'data' || last?.type === 'stderr') {
      const { buffer, byteOffset, length } = last.data;
      const data = unshared(Buffer.from(buffer, byteOffset, length));
      this.#down[this.#down.length - 1] = { ...last, data };
    }
  }

  /** Takes each frame from the queue before it is written: no frame may go twice. */
  #flushDown(): void {
    for (let first = this.#down.shift(); first !== undefined; first = this.#down.shift()) {
      if (first.type !== 'data' && first.type !== 'stderr') {
        this.#options.write(first);
        continue;
      }
      const part = first.data.subarray(0, Math.min(this.#credit.toSend, MAX_DATA_BYTES));
      if (part.length < first.data.length) {
        this.#down.unshift({ ...first, data: first.data.subarray(part.length) });
      }
      if (part.length === 0) {
        return;
      }
      this.#credit.sent(part.length);
      this.#totals[first.type === 'data' ? 'down' : 'stderr'] += part.length;
      this.#options.write({ ...first, data: part });
    }
  }
}

const BLOCK_BYTES = 16 * 1024;

/**
 * Bytes that wait, copied together: a client that sends its credit one byte at a time must not cost
 * more memory than one that sends it at once.
 */
class ByteQueue {
  readonly #blocks: { readonly bytes: Uint8Array; start: number; end: number }[] = [];

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  push(bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const room = last === undefined ? 0 : last.bytes.length - last.end;
    const first = bytes.subarray(0, room);
    if (last !== undefined) {
      last.bytes.set(first, last.end);
      last.end += first.length;
    }
    const rest = bytes.subarray(first.length);
    if (rest.length > 0) {
      const block = new Uint8Array(Math.max(BLOCK_BYTES, rest.length));
      block.set(rest);
      this.#blocks.push({ bytes: block, start: 0, end: rest.length });
    }
  }

  /** @returns up to `most` of the first bytes, as a view; undefined: there are none, or `most` is 0 */
  shift(most: number): Uint8Array | undefined {
    const first = this.#blocks[0];
    if (first === undefined || most === 0) {
      return undefined;
    }
    const start = first.start;
    first.start = Math.min(first.end, start + most);
    if (first.start === first.end) {
      this.#blocks.shift();
    }
    return first.bytes.subarray(start, first.start);
  }

  clear(): void {
    this.#blocks.length = 0;
  }
}
