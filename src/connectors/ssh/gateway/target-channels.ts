/**
 * The channels of one SSH connection to a target (RFC 4254 §5). What the target sends comes out as
 * events, in its order and at once; it is kept within the windows that it was given.
 */
import type { Socket } from 'node:net';
import type { Client } from 'ssh2';
import { ProtocolError } from '../../../errors.ts';
import type { ChannelRequest, ChannelTarget } from '../protocol/frame.ts';
import { type Ssh2Protocol, ssh2Protocol } from './ssh2-protocol.ts';
import {
  closeMessage,
  DATA_HEADER_BYTES,
  eofMessage,
  failureMessage,
  openMessage,
  prohibitedMessage,
  requestFailureMessage,
  requestMessage,
  windowAdjustMessage,
  writeDataHeader,
} from './target-messages.ts';

/** What the target sends on one channel. */
export interface ChannelEvents {
  opened(channel: TargetChannel): void;
  /** RFC 4254 §5.1; no other event follows. */
  openFailed(reason: number, message: string): void;
  data(bytes: Buffer): void;
  stderr(bytes: Buffer): void;
  /** It may be sent more. */
  window(): void;
  exitStatus(status: number): void;
  exitSignal(signal: ExitSignal): void;
  eof(): void;
  /** The last event. */
  closed(): void;
}

export interface ExitSignal {
  /** Without `SIG`. */
  readonly name: string;
  readonly coreDumped: boolean;
  readonly message: string;
}

export interface TargetChannelsOptions {
  readonly client: Client;
  readonly socket: Socket;
  /** Of everything that goes there or comes from there. */
  readonly onBytes: (bytes: number) => void;
  /** Bytes that a server may not have read, which asks on and on. */
  readonly maxUnreadBytes: number;
  /** ProtocolError: the target broke the protocol; or what an event threw. */
  readonly onFault: (error: unknown) => void;
}

/** RFC 4253 §6.1: longest payload that everybody takes. */
const MAX_PACKET_BYTES = 32_768;
/** No server has so little; one that says so would have its data sealed byte by byte. */
const LEAST_PACKET_BYTES = 512;
const EXTENDED_DATA_STDERR = 1;
const MAX_WINDOW = 0xffffffff;
/** Bytes for the target that have not left yet, from which on nobody should add more. */
const SEND_BUFFER_BYTES = 1024 * 1024;

export class TargetChannels {
  readonly #options: TargetChannelsOptions;
  readonly #protocol: Ssh2Protocol;
  readonly #channels = new Map<number, TargetChannel>();
  #next = 0;
  #isCorked = false;

  constructor(options: TargetChannelsOptions) {
    this.#options = options;
    this.#protocol = ssh2Protocol(options.client);
    this.#protocol.handle({
      opened: (id, remote, window, maxPacket) =>
        this.#with(id, (channel) => channel.onOpened(remote, window, maxPacket)),
      openFailed: (id, reason, message) => {
        this.#with(id, (channel) => channel.onOpenFailed(reason, message));
        this.#channels.delete(id);
      },
      window: (id, bytes) => this.#with(id, (channel) => channel.onWindow(bytes)),
      data: (id, data) => {
        options.onBytes(data.length);
        this.#with(id, (channel) => channel.onData(data));
      },
      extendedData: (id, data, type) => {
        options.onBytes(data.length);
        this.#with(id, (channel) => channel.onExtendedData(data, type));
      },
      eof: (id) => this.#with(id, (channel) => channel.onEof()),
      close: (id) => {
        const channel = this.#channels.get(id);
        this.#channels.delete(id);
        this.#guard(() => channel?.onClose());
      },
      request: (id, type, wantReply, data) =>
        this.#with(id, (channel) => channel.onRequest(type, wantReply, data)),
      reply: (id, isSuccess) => this.#with(id, (channel) => channel.onReply(isSuccess)),
      globalRequest: () => this.#send(requestFailureMessage()),
      open: (remote) => this.#send(prohibitedMessage(remote)),
    });
  }

  get protocol(): Pick<Ssh2Protocol, 'rekey' | 'ping'> {
    return this.#protocol;
  }

  /** More should wait for `drain` of the socket. */
  get isFull(): boolean {
    return this.#unreadBytes >= SEND_BUFFER_BYTES;
  }

  get #unreadBytes(): number {
    return this.#options.socket.writableLength + this.#protocol.waiting;
  }

  /** @param window bytes of data that the target may send before it is given more */
  open(target: ChannelTarget, window: number, events: ChannelEvents): void {
    const id = this.#next;
    this.#next += 1;
    const send = (message: Uint8Array): void => this.#send(message);
    const sendData = (remote: number, data: Uint8Array): void => this.#sendData(remote, data);
    this.#channels.set(id, new TargetChannel({ events, window, send, sendData }));
    send(openMessage(id, window, MAX_PACKET_BYTES, target));
  }

  #with(id: number, act: (channel: TargetChannel) => void): void {
    const channel = this.#channels.get(id);
    this.#guard(() => {
      if (channel === undefined) {
        throw new ProtocolError('the server spoke of a channel that there is not');
      }
      act(channel);
    });
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      // Thrown on, ssh2 would take it for an error of its own.
      this.#options.onFault(error);
    }
  }

  /** The packets of one call leave with one write: of a piece of data there are several. */
  #cork(): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      const { socket } = this.#options;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
  }

  #send(message: Uint8Array): void {
    this.#cork();
    this.#options.onBytes(message.length);
    this.#protocol.send(message.length, (packet, at) => packet.set(message, at));
    if (this.#unreadBytes > this.#options.maxUnreadBytes) {
      this.#options.onFault(new ProtocolError('the server does not read what it asks for'));
    }
  }

  #sendData(remote: number, data: Uint8Array): void {
    this.#cork();
    this.#options.onBytes(data.length);
    this.#protocol.send(DATA_HEADER_BYTES + data.length, (packet, at) => {
      writeDataHeader(packet, at, remote, data.length);
      packet.set(data, at + DATA_HEADER_BYTES);
    });
  }
}

interface TargetChannelOptions {
  readonly events: ChannelEvents;
  readonly window: number;
  readonly send: (message: Uint8Array) => void;
  readonly sendData: (remote: number, data: Uint8Array) => void;
}

export class TargetChannel {
  readonly #options: TargetChannelOptions;
  readonly #replies: ((isSuccess: boolean) => void)[] = [];
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #remote = 0;
  #maxPacket = 0;
  /** What the target may still send. */
  #toReceive: number;
  /** What it takes. */
  #toSend = 0;
  #hasEnded = false;
  /** It has said how it ended. */
  #hasExited = false;
  #isClosing = false;

  constructor(options: TargetChannelOptions) {
    this.#options = options;
    this.#toReceive = options.window;
  }

  /** Bytes of data that it takes now. */
  get room(): number {
    return this.#isClosing ? 0 : this.#toSend;
  }

  /** @param onReply called when the target has answered, or has closed without; absent: no reply is wanted */
  request(request: ChannelRequest, onReply?: (isSuccess: boolean) => void): void {
    if (this.#isClosing) {
      onReply?.(false);
      return;
    }
    if (onReply !== undefined) {
      this.#replies.push(onReply);
    }
    this.#options.send(requestMessage(this.#remote, onReply !== undefined, request));
  }

  /** @param data not more than `room` */
  data(data: Uint8Array): void {
    if (data.length > this.room) {
      throw new RangeError('more data than the target has room for');
    }
    this.#toSend -= data.length;
    for (let at = 0; at < data.length; at += this.#maxPacket) {
      this.#options.sendData(this.#remote, data.subarray(at, at + this.#maxPacket));
    }
  }

  /** The target may send so much more. */
  giveWindow(bytes: number): void {
    if (bytes > 0 && !this.#isClosing) {
      this.#toReceive += bytes;
      this.#options.send(windowAdjustMessage(this.#remote, bytes));
    }
  }

  eof(): void {
    if (!this.#isClosing) {
      this.#options.send(eofMessage(this.#remote));
    }
  }

  /** Sends nothing after it; `closed` comes when the target has closed, too. */
  close(): void {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#options.send(closeMessage(this.#remote));
    }
  }

  onOpened(remote: number, window: number, maxPacket: number): void {
    if (this.#state !== 'opening') {
      throw new ProtocolError('the server opened a channel twice');
    }
    if (maxPacket < LEAST_PACKET_BYTES) {
      throw new ProtocolError(`the server takes packets of ${maxPacket} bytes only`);
    }
    this.#state = 'open';
    this.#remote = remote;
    this.#toSend = window;
    this.#maxPacket = Math.min(maxPacket, MAX_PACKET_BYTES);
    this.#options.events.opened(this);
  }

  onOpenFailed(reason: number, message: string): void {
    if (this.#state !== 'opening') {
      throw new ProtocolError('the server refused a channel that was open');
    }
    this.#state = 'closed';
    this.#options.events.openFailed(reason, message);
  }

  onWindow(bytes: number): void {
    this.#mustBeOpen();
    if (this.#toSend + bytes > MAX_WINDOW) {
      throw new ProtocolError('the server gave a window beyond 4 GiB');
    }
    this.#toSend += bytes;
    if (!this.#isClosing) {
      this.#options.events.window();
    }
  }

  onData(data: Buffer): void {
    this.#received(data);
    if (!this.#isClosing) {
      this.#options.events.data(data);
    }
  }

  onExtendedData(data: Buffer, type: number): void {
    this.#received(data);
    if (type !== EXTENDED_DATA_STDERR) {
      // Nobody will take it, so nobody gives room for it again.
      this.giveWindow(data.length);
    } else if (!this.#isClosing) {
      this.#options.events.stderr(data);
    }
  }

  onEof(): void {
    this.#mustBeOpen();
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#options.events.eof();
    }
  }

  onClose(): void {
    this.#mustBeOpen();
    this.#state = 'closed';
    this.close();
    for (const reply of this.#replies.splice(0)) {
      reply(false);
    }
    this.#options.events.closed();
  }

  onReply(isSuccess: boolean): void {
    this.#mustBeOpen();
    const reply = this.#replies.shift();
    if (reply === undefined) {
      throw new ProtocolError('the server answered what nobody asked');
    }
    reply(isSuccess);
  }

  onRequest(type: string, wantReply: boolean, data: unknown): void {
    this.#mustBeOpen();
    if (type === 'exit-status' && typeof data === 'number') {
      this.#exited(() => this.#options.events.exitStatus(data));
    } else if (type === 'exit-signal' && isExitSignal(data)) {
      const { signal: name, coreDumped, errorMessage: message } = data;
      this.#exited(() => this.#options.events.exitSignal({ name, coreDumped, message }));
    } else if (wantReply && !this.#isClosing) {
      // OpenSSH asks this way, too, whether we are there; any answer will do.
      this.#options.send(failureMessage(this.#remote));
    }
  }

  /** Once: no window counts it, and for a client that takes no data each more would be kept. */
  #exited(tell: () => void): void {
    if (!this.#hasExited) {
      this.#hasExited = true;
      tell();
    }
  }

  #received(data: Buffer): void {
    this.#mustBeOpen();
    if (this.#hasEnded) {
      throw new ProtocolError('the server sent data after its end');
    }
    if (data.length > this.#toReceive) {
      throw new ProtocolError('the server sent more data than it was given room for');
    }
    this.#toReceive -= data.length;
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') {
      throw new ProtocolError('the server spoke of a channel that is not open');
    }
  }
}

/** ssh2 reads the fields. */
function isExitSignal(
  data: unknown,
): data is { signal: string; coreDumped: boolean; errorMessage: string } {
  if (typeof data !== 'object' || data === null) {
    return false;
  }
  const of = (name: string): unknown => Reflect.get(data, name);
  return (
    typeof of('signal') === 'string' &&
    typeof of('coreDumped') === 'boolean' &&
    typeof of('errorMessage') === 'string'
  );
}
