/**
 * One channel between the local client and the gateway. Up, the window that the client has is the
 * gateway's credit, so nothing waits here. Down, what comes is kept until the client's window and
 * its socket take it, within the credit that we gave the gateway.
 */
import { ProtocolError } from '../../../errors.ts';
import { ChannelCredit } from '../protocol/channel-credit.ts';
import type { DownFrame, UpFrame } from '../protocol/frame.ts';
import type { Ssh2Connection } from './ssh2-connection.ts';

/** The channel's own frames, behind the `opened`. */
export type ChannelFrame = Exclude<
  Extract<DownFrame, { readonly channel: number }>,
  { type: 'opened' | 'openFailed' }
>;
type Ordered =
  | Exclude<ChannelFrame, { type: 'window' | 'success' | 'failure' }>
  /** Our own words on stderr: no credit of the gateway's. */
  | { readonly type: 'notice'; readonly data: Uint8Array };

/** What one channel may send before another has its turn. */
const TURN_BYTES = 128 * 1024;
/** Pieces that wait are put together up to this length. */
const MERGED_BYTES = 4096;
const MAX_WINDOW = 0xffffffff;

export interface LocalChannelOptions {
  /** For the gateway and for us. */
  readonly number: number;
  /** What the client calls it. */
  readonly client: number;
  readonly window: number;
  readonly maxPacket: number;
  readonly isSession: boolean;
  /** As the gateway gave it. */
  readonly credit: number;
  readonly connection: Ssh2Connection;
  readonly toGateway: (frame: UpFrame) => void;
}

export class LocalChannel {
  readonly isSession: boolean;
  readonly #options: LocalChannelOptions;
  /** Its lines end as those of a terminal do. */
  hasTerminal = false;
  readonly #credit: ChannelCredit;
  /** What the client takes. */
  #window: number;
  readonly #waiting: Ordered[] = [];
  /** Of the first that waits. */
  #sentOfFirst = 0;
  #clientSaid: 'nothing' | 'eof' | 'close' = 'nothing';
  #gatewayHasClosed = false;

  constructor(options: LocalChannelOptions) {
    this.#options = options;
    this.isSession = options.isSession;
    this.#credit = new ChannelCredit(options.credit);
    this.#window = options.window;
  }

  /** Both have closed it. */
  get isOver(): boolean {
    return this.#clientSaid === 'close' && this.#gatewayHasClosed;
  }

  get client(): number {
    return this.#options.client;
  }

  /** @throws ProtocolError more than the window, or after the end */
  data(data: Buffer): void {
    this.#requireOpen();
    if (data.length === 0) {
      return;
    }
    if (data.length > this.#credit.toSend) {
      throw new ProtocolError('data beyond the window of the channel');
    }
    this.#credit.sent(data.length);
    this.#send({ type: 'data', channel: this.#options.number, data });
  }

  /** @throws ProtocolError */
  eof(): void {
    this.#requireOpen();
    this.#clientSaid = 'eof';
    this.#send({ type: 'eof', channel: this.#options.number });
  }

  /** @throws ProtocolError */
  clientClosed(): void {
    if (this.#clientSaid === 'close') {
      throw new ProtocolError('a channel was closed twice');
    }
    this.#clientSaid = 'close';
    // Nobody wants data any more. How it ended is still waited for: whoever has closed because both
    // directions had ended hears of the exit status afterwards (RFC 4254 §6.10).
    const rest = this.#waiting.splice(0);
    this.#waiting.push(...rest.filter((frame) => isOfTheEnd(frame)));
    this.#sentOfFirst = 0;
    this.#send({ type: 'close', channel: this.#options.number });
  }

  /** @throws ProtocolError */
  adjusted(bytes: number): void {
    this.#window += bytes;
    if (this.#window > MAX_WINDOW) {
      throw new ProtocolError('the window of a channel grows beyond 4 GiB');
    }
  }

  /** Lines for whoever reads stderr of the channel. */
  say(lines: readonly string[]): void {
    if (lines.length === 0 || this.#clientSaid === 'close' || this.#gatewayHasClosed) return;
    const end = this.hasTerminal ? '\r\n' : '\n';
    const text = lines.map((line) => `hoop: ${line}${end}`).join('');
    this.#waiting.push({ type: 'notice', data: Buffer.from(text) });
  }

  /** @throws ProtocolError the gateway sends more than it may, or after the end */
  received(frame: ChannelFrame): void {
    if (this.#gatewayHasClosed || this.#waiting.at(-1)?.type === 'close') {
      throw new ProtocolError('a frame for a channel that the gateway has closed');
    }
    const messages = this.#options.connection.messages;
    switch (frame.type) {
      case 'window':
        this.#credit.granted(frame.bytes);
        messages?.channelWindowAdjust(this.client, frame.bytes);
        return;
      case 'success':
        messages?.channelSuccess(this.client);
        return;
      case 'failure':
        messages?.channelFailure(this.client);
        return;
      case 'data':
      case 'stderr':
        this.#credit.received(frame.data.length);
    }
    if (this.#clientSaid !== 'close' || isOfTheEnd(frame)) {
      this.#wait(frame);
    }
  }

  /** Somebody who writes single bytes, to a reader that has stopped, shall not cost an object each. */
  #wait(frame: Ordered): void {
    const last = this.#waiting.at(-1);
    const isMore =
      this.#waiting.length > 1 &&
      (frame.type === 'data' || frame.type === 'stderr') &&
      last?.type === frame.type &&
      last.data.length + frame.data.length <= MERGED_BYTES;
    if (isMore) {
      this.#waiting[this.#waiting.length - 1] = {
        ...frame,
        data: Buffer.concat([last.data, frame.data]),
      };
    } else {
      this.#waiting.push(frame);
    }
  }

  /** @returns whether more could go at once, when it is this channel's turn again */
  flush(): boolean {
    let room = TURN_BYTES;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      if ('data' in first) {
        const sent = this.#sendPart(first, room);
        room -= sent;
        if (sent === 0 || this.#sentOfFirst > 0) {
          return room === 0;
        }
      } else {
        this.#waiting.shift();
        this.#pass(first);
      }
    }
    return false;
  }

  /** @returns bytes that went */
  #sendPart(frame: Extract<Ordered, { readonly data: Uint8Array }>, room: number): number {
    const { connection, maxPacket } = this.#options;
    const { data } = frame;
    let sent = 0;
    while (connection.hasRoom && this.#sentOfFirst < data.length) {
      const length = Math.min(
        data.length - this.#sentOfFirst,
        maxPacket,
        this.#window,
        room - sent,
      );
      if (length === 0) {
        break;
      }
      const at = data.byteOffset + this.#sentOfFirst;
      const part = Buffer.from(data.buffer, at, length);
      if (frame.type === 'data') {
        connection.messages?.channelData(this.client, part);
      } else {
        connection.sendStderr(this.client, part);
      }
      this.#window -= length;
      this.#sentOfFirst += length;
      sent += length;
    }
    if (this.#sentOfFirst === data.length) {
      this.#waiting.shift();
      this.#sentOfFirst = 0;
    }
    const give = frame.type === 'notice' ? 0 : this.#credit.consumed(sent);
    if (give > 0 && this.#clientSaid !== 'close') {
      this.#send({ type: 'window', channel: this.#options.number, bytes: give });
    }
    return sent;
  }

  #pass(frame: Exclude<Ordered, { readonly data: Uint8Array }>): void {
    const messages = this.#options.connection.messages;
    switch (frame.type) {
      case 'exitStatus':
        messages?.exitStatus(this.client, frame.status);
        return;
      case 'exitSignal':
        this.#options.connection.sendExitSignal(this.client, frame);
        return;
      case 'eof':
        messages?.channelEOF(this.client);
        return;
      case 'close':
        this.#gatewayHasClosed = true;
        messages?.channelClose(this.client);
        return;
    }
  }

  #requireOpen(): void {
    if (this.#clientSaid !== 'nothing') {
      throw new ProtocolError('data after the end of a channel');
    }
  }

  #send(frame: UpFrame): void {
    this.#options.toGateway(frame);
  }
}

function isOfTheEnd({ type }: Ordered): boolean {
  return type === 'exitStatus' || type === 'exitSignal' || type === 'close';
}
