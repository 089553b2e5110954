/**
 * The part of ssh2's Client that is not public, and what the gateway does with it: it has channels
 * of its own (target-channels.ts), because those of ssh2 neither keep a server within its window
 * nor pass a client's window on, and because a pty with its modes, a command that is not UTF-8 or a
 * break cannot be sent with them. Checked when a connection is made, so that another version of
 * ssh2 fails at once and not in the middle of somebody's work.
 */
import type { Client } from 'ssh2';
import { HoopError } from '../../../errors.ts';
import { Ssh2Ciphers } from '../shared/ssh2-ciphers.ts';
import type { TargetReading } from './target-reading.ts';

/** Whose packets are sealed and opened by ssh2, and whose channels are not its own. */
export interface Ssh2Protocol {
  /** Seals and sends; while keys are exchanged, when that is over. */
  send(length: number, fill: (packet: Buffer, at: number) => void): void;
  /** Bytes that wait until keys are exchanged: a server may take its time, or all time. */
  readonly waiting: number;
  /** Ignored while it goes on. */
  rekey(): void;
  /** Asks for an answer of any kind. */
  ping(): void;
  /** The packet has a form that no server may send: ends the connection. */
  handle(handlers: ChannelHandlers): void;
}

export interface ChannelHandlers {
  opened(channel: number, remote: number, window: number, maxPacket: number): void;
  openFailed(channel: number, reason: number, message: string): void;
  window(channel: number, bytes: number): void;
  data(channel: number, data: Buffer): void;
  extendedData(channel: number, data: Buffer, type: number): void;
  eof(channel: number): void;
  close(channel: number): void;
  request(channel: number, type: string, wantReply: boolean, data: unknown): void;
  reply(channel: number, isSuccess: boolean): void;
  /** The server asks for something that is not about a channel; it wants to hear about it. */
  globalRequest(): void;
  /** The server wants to open a channel. */
  open(remote: number): void;
}

interface PacketWriter {
  readonly allocStart: number;
  alloc(length: number): Buffer;
  finalize(packet: Buffer): Buffer;
}

interface Internals {
  readonly _handlers: Record<string, (...values: never[]) => void>;
  readonly _packetRW: { readonly write: PacketWriter };
  readonly _kexinit: unknown;
  _queue: Buffer[] | undefined;
  readonly _cipher: { encrypt(packet: Buffer): void };
  readonly _decipher: unknown;
  rekey(): void;
  ping(): void;
  requestFailure(): void;
  /** Each decipher that is made has it then. @returns false: its place is wanted, others: none of ours */
  _onPayload: (payload: Buffer) => unknown;
  /** @returns where it stopped; undefined: everything is opened */
  _parse(chunk: Buffer, at: number, length: number): number | undefined;
  parse: (chunk: Buffer, at: number, length: number) => void;
}

const CHANNEL_HANDLERS = [
  'CHANNEL_OPEN_CONFIRMATION',
  'CHANNEL_OPEN_FAILURE',
  'CHANNEL_WINDOW_ADJUST',
  'CHANNEL_DATA',
  'CHANNEL_EXTENDED_DATA',
  'CHANNEL_EOF',
  'CHANNEL_CLOSE',
  'CHANNEL_REQUEST',
  'CHANNEL_SUCCESS',
  'CHANNEL_FAILURE',
  'CHANNEL_OPEN',
  'GLOBAL_REQUEST',
];

/** Answers to `ping` beyond which nobody waits for one. */
const MAX_CALLBACKS = 1000;
/** Servers ask nothing then; what comes with the end of the login is answered. */
const MAX_ANSWERS_BEFORE_LOGIN = 100;

/** @param client that has begun to connect. @throws HOOP_INTERNAL: another version of ssh2. */
export function ssh2Protocol(client: Client): Ssh2Protocol {
  const internals: unknown = Reflect.get(client, '_protocol');
  const callbacks: unknown = Reflect.get(client, '_callbacks');
  if (!isInternals(internals) || !Array.isArray(callbacks)) {
    throw new HoopError('HOOP_INTERNAL', 'the installed version of ssh2 cannot be used');
  }
  let waiting = 0;
  const ciphers = new Ssh2Ciphers();
  return {
    get waiting() {
      return internals._kexinit === undefined ? 0 : waiting;
    },
    send(length, fill) {
      ciphers.tune(internals);
      const { write } = internals._packetRW;
      const packet = write.alloc(length);
      fill(packet, write.allocStart);
      const sealed = write.finalize(packet);
      if (internals._kexinit === undefined) {
        waiting = 0;
        internals._cipher.encrypt(sealed);
      } else {
        internals._queue ??= [];
        waiting = (internals._queue.length === 0 ? 0 : waiting) + sealed.length;
        internals._queue.push(sealed);
      }
    },
    rekey: () => internals.rekey(),
    ping() {
      if (callbacks.length < MAX_CALLBACKS) {
        // Answers come in the order of the questions.
        callbacks.push(() => undefined);
        internals.ping();
      }
    },
    handle: (handlers) => handle(internals, handlers),
  };
}

/**
 * Takes what a server may ask for outside of channels away from ssh2, which would keep a callback
 * for each list of host keys (`hostkeys-00@openssh.com`), as many as a server likes to send, and
 * ask for proofs of keys that nobody learns.
 * @param client that has just begun to connect. @throws HOOP_INTERNAL
 */
export function declineGlobalRequests(client: Client): void {
  const internals: unknown = Reflect.get(client, '_protocol');
  if (!isInternals(internals)) {
    throw new HoopError('HOOP_INTERNAL', 'the installed version of ssh2 cannot be used');
  }
  let answers = MAX_ANSWERS_BEFORE_LOGIN;
  onGlobalRequest(internals, () => {
    answers -= 1;
    if (answers >= 0) {
      internals.requestFailure();
    }
  });
}

/**
 * Opens of what was read as much as one turn of the event loop may take.
 * @param client that has just begun to connect. @throws HOOP_INTERNAL
 */
export function openInTurns(
  client: Client,
  reading: Pick<TargetReading, 'messageOpened' | 'isOver' | 'putBack'>,
): void {
  const internals: unknown = Reflect.get(client, '_protocol');
  if (!isInternals(internals)) {
    throw new HoopError('HOOP_INTERNAL', 'the installed version of ssh2 cannot be used');
  }
  const { _onPayload: onPayload } = internals;
  internals._onPayload = (payload) => {
    const wanted = onPayload(payload);
    reading.messageOpened();
    return wanted ?? (reading.isOver ? false : undefined);
  };
  internals.parse = (chunk, at, length) => {
    for (let next: number | undefined = at; next !== undefined && next < length; ) {
      next = internals._parse(chunk, next, length);
      if (reading.isOver && next !== undefined && next < length) {
        reading.putBack(chunk.subarray(next, length));
        return;
      }
    }
  };
}

function onGlobalRequest(internals: Internals, onAsked: () => void): void {
  internals._handlers['GLOBAL_REQUEST'] = (_self: Internals, _name: string, wantReply: boolean) => {
    if (wantReply) {
      onAsked();
    }
  };
}

function handle(internals: Internals, to: ChannelHandlers): void {
  type Self = Internals;
  const own = internals._handlers;
  own['CHANNEL_OPEN_CONFIRMATION'] = (
    _self: Self,
    info: { recipient: number; sender: number; window: number; packetSize: number },
  ) => to.opened(info.recipient, info.sender, info.window, info.packetSize);
  own['CHANNEL_OPEN_FAILURE'] = (_self: Self, channel: number, reason: number, text: string) =>
    to.openFailed(channel, reason, text);
  own['CHANNEL_WINDOW_ADJUST'] = (_self: Self, channel: number, bytes: number) =>
    to.window(channel, bytes);
  own['CHANNEL_DATA'] = (_self: Self, channel: number, data: Buffer) => to.data(channel, data);
  own['CHANNEL_EXTENDED_DATA'] = (_self: Self, channel: number, data: Buffer, type: number) =>
    to.extendedData(channel, data, type);
  own['CHANNEL_EOF'] = (_self: Self, channel: number) => to.eof(channel);
  own['CHANNEL_CLOSE'] = (_self: Self, channel: number) => to.close(channel);
  own['CHANNEL_REQUEST'] = (
    _self: Self,
    channel: number,
    type: string,
    wantReply: boolean,
    data: unknown,
  ) => to.request(channel, type, wantReply, data);
  own['CHANNEL_SUCCESS'] = (_self: Self, channel: number) => to.reply(channel, true);
  own['CHANNEL_FAILURE'] = (_self: Self, channel: number) => to.reply(channel, false);
  own['CHANNEL_OPEN'] = (_self: Self, { sender }: { sender: number }) => to.open(sender);
  onGlobalRequest(internals, () => to.globalRequest());
}

function isInternals(value: unknown): value is Internals {
  const has = (of: unknown, name: string, type: string): boolean =>
    typeof of === 'object' && of !== null && typeof Reflect.get(of, name) === type;
  const member = (name: string): unknown =>
    typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  const packets = member('_packetRW');
  const write: unknown =
    typeof packets === 'object' && packets !== null ? Reflect.get(packets, 'write') : undefined;
  return (
    has(value, 'rekey', 'function') &&
    has(value, 'ping', 'function') &&
    has(value, 'requestFailure', 'function') &&
    has(value, '_onPayload', 'function') &&
    has(value, '_parse', 'function') &&
    has(value, 'parse', 'function') &&
    has(member('_cipher'), 'encrypt', 'function') &&
    has(write, 'alloc', 'function') &&
    has(write, 'finalize', 'function') &&
    has(write, 'allocStart', 'number') &&
    CHANNEL_HANDLERS.every((name) => has(member('_handlers'), name, 'function'))
  );
}
