/**
 * What a local SSH client says once it is logged in: the connection protocol, RFC 4254. ssh2 has a
 * parser for it, but one that makes text of commands, loses the modes of terminals and drops data
 * that comes before the answer to `exec`.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../../../errors.ts';
import type { ChannelRequest } from './frame.ts';
import { PacketReader } from './packet-reader.ts';

/** RFC 4250 §4.1.2, those from 80 on. */
export const FIRST_CONNECTION_MESSAGE = 80;
const GLOBAL_REQUEST = 80;
const REQUEST_SUCCESS = 81;
const REQUEST_FAILURE = 82;
const CHANNEL_OPEN = 90;
const CHANNEL_OPEN_CONFIRMATION = 91;
const CHANNEL_OPEN_FAILURE = 92;
const CHANNEL_WINDOW_ADJUST = 93;
const CHANNEL_DATA = 94;
const CHANNEL_EXTENDED_DATA = 95;
const CHANNEL_EOF = 96;
const CHANNEL_CLOSE = 97;
const CHANNEL_REQUEST = 98;
const CHANNEL_SUCCESS = 99;
const CHANNEL_FAILURE = 100;

/** `data` is a view of the payload: whoever keeps it makes a copy. */
export type ClientMessage =
  | { readonly type: 'global'; readonly name: string; readonly wantReply: boolean }
  | {
      readonly type: 'open';
      /** The number that the client knows the channel by. */
      readonly sender: number;
      readonly window: number;
      readonly maxPacket: number;
      readonly kind: string;
      /** Of direct-tcpip. */
      readonly destination?: {
        readonly host: string;
        readonly port: number;
        readonly originHost: string;
        readonly originPort: number;
      };
    }
  | { readonly type: 'window'; readonly channel: number; readonly bytes: number }
  | { readonly type: 'data'; readonly channel: number; readonly data: Buffer }
  | { readonly type: 'eof'; readonly channel: number }
  | { readonly type: 'close'; readonly channel: number }
  | {
      readonly type: 'request';
      readonly channel: number;
      readonly name: string;
      readonly wantReply: boolean;
      /** Absent: none that can be passed on. */
      readonly request?: ChannelRequest;
    }
  /** Answers to what we never ask, and extended data, which only servers send. */
  | { readonly type: 'ignored' };

const MAX_PORT = 65_535;

/** @throws ProtocolError */
export function decodeClientMessage(payload: Uint8Array): ClientMessage {
  const reader = new PacketReader(payload);
  switch (reader.byte()) {
    case GLOBAL_REQUEST:
      return { type: 'global', name: reader.text(), wantReply: reader.boolean() };
    case CHANNEL_OPEN:
      return open(reader);
    case CHANNEL_WINDOW_ADJUST:
      return { type: 'window', channel: reader.uint32(), bytes: reader.uint32() };
    case CHANNEL_DATA:
      return { type: 'data', channel: reader.uint32(), data: reader.string() };
    case CHANNEL_EOF:
      return { type: 'eof', channel: reader.uint32() };
    case CHANNEL_CLOSE:
      return { type: 'close', channel: reader.uint32() };
    case CHANNEL_REQUEST:
      return request(reader);
    case REQUEST_SUCCESS:
    case REQUEST_FAILURE:
    case CHANNEL_OPEN_CONFIRMATION:
    case CHANNEL_OPEN_FAILURE:
    case CHANNEL_EXTENDED_DATA:
    case CHANNEL_SUCCESS:
    case CHANNEL_FAILURE:
      return { type: 'ignored' };
    default:
      throw new ProtocolError(`unknown message ${payload[0]}`);
  }
}

function open(reader: PacketReader): ClientMessage {
  const kind = reader.text();
  const sender = reader.uint32();
  const window = reader.uint32();
  const maxPacket = reader.uint32();
  if (maxPacket === 0) {
    throw new ProtocolError('a channel that takes no data');
  }
  const opened = { type: 'open', kind, sender, window, maxPacket } as const;
  if (kind !== 'direct-tcpip') {
    return opened;
  }
  const host = reader.text();
  const port = reader.uint32();
  const originHost = reader.text();
  const originPort = reader.uint32();
  if (port > MAX_PORT || originPort > MAX_PORT) {
    throw new ProtocolError('a port above 65535');
  }
  return { ...opened, destination: { host, port, originHost, originPort } };
}

function request(reader: PacketReader): ClientMessage {
  const channel = reader.uint32();
  const name = reader.text();
  const wantReply = reader.boolean();
  const decoded = channelRequest(name, reader);
  return {
    type: 'request',
    channel,
    name,
    wantReply,
    ...(decoded === undefined ? {} : { request: decoded }),
  };
}

function channelRequest(name: string, reader: PacketReader): ChannelRequest | undefined {
  switch (name) {
    case 'pty-req':
      return {
        kind: 'pty-req',
        term: reader.text(),
        ...size(reader),
        modes: Uint8Array.from(reader.string()),
      };
    case 'window-change':
      return { kind: 'window-change', ...size(reader) };
    case 'env':
      return environmentVariable(reader);
    case 'shell':
      return { kind: 'shell' };
    case 'exec':
      return { kind: 'exec', command: Uint8Array.from(reader.string()) };
    case 'subsystem':
      return { kind: 'subsystem', name: reader.text() };
    case 'signal':
      return { kind: 'signal', name: reader.text() };
    // https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL, section 2.1.
    case 'eow@openssh.com':
      return { kind: 'eow' };
    case 'break':
      return { kind: 'break', milliseconds: reader.uint32() };
    default:
      return undefined;
  }
}

/** A locale of old is no reason to end the connection: what is not UTF-8 is not passed on. */
function environmentVariable(reader: PacketReader): ChannelRequest | undefined {
  const name = reader.string();
  const value = reader.string();
  return isUtf8(name) && isUtf8(value)
    ? { kind: 'env', name: name.toString(), value: value.toString() }
    : undefined;
}

function size(reader: PacketReader): {
  readonly columns: number;
  readonly rows: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
} {
  return {
    columns: reader.uint32(),
    rows: reader.uint32(),
    widthPixels: reader.uint32(),
    heightPixels: reader.uint32(),
  };
}
