/**
 * What a stream of kind `ssh` carries, in both directions: the channels of one local SSH connection
 * (RFC 4254), without the encryption and the key exchange, which the CLI ends with the local client
 * and the gateway begins anew with the target. Both sides of a session record and hash these frames.
 *
 *   client (CLI)                          gateway
 *     |-- hello {user, client} ------------>|  connects to the target, as policy and credential say
 *     |<-- hello {server} ------------------|  or disconnect {message}
 *     |-- open 0 session ------------------>|
 *     |<-- opened 0 ------------------------|  or openFailed
 *     |-- notCarried -R ------------------->|  refused here; for the record
 *     |-- request 0 exec "ls" (reply) ----->|  decided, perhaps held
 *     |<-- success 0 -----------------------|  or failure, with a text on stderr before it
 *     |<-- data 0, extended 0, window 0 ----|  within the credit that the receiver gave
 *     |-- eof 0 --->        <-- exit 0 -----|
 *     |<-- eof 0, close 0 ------------------|
 *     |-- close 0 ------------------------->|
 *
 * The layout of a frame; the tables below have the fields of the bodies:
 *
 *   length   4 bytes  of the body
 *   type     1 byte
 *   channel  4 bytes  0 with hello, notCarried and disconnect
 *   body
 *
 * Channels have one number for both ends, given by the client, never used twice in a stream. Data
 * and extended data together stay within the credit: `window` of open and opened, and of each
 * window frame. Everything else passes without credit, so that a signal overtakes nothing and yet
 * never waits for a reader.
 */

import { type OneOf, variants } from '../../../protocol/layout.ts';
import {
  always,
  bytes,
  CREDIT,
  command,
  FLAG,
  kindOf,
  type Lengths,
  lengthsOf,
  NUMBER,
  text,
  upTo,
  word,
} from './frame-fields.ts';

/** Bytes of data on a channel before its receiver has to give more: as many as OpenSSH takes. */
export const CHANNEL_WINDOW_BYTES = 2 * 1024 * 1024;
/** Body of one data frame. */
export const MAX_DATA_BYTES = 256 * 1024;
/** Channels open at once in a stream. */
export const MAX_CHANNELS = 64;
/** A command, or the value of an environment variable; what OpenSSH takes in a packet. */
export const MAX_STRING_BYTES = 256 * 1024;
/** A user, a host, a terminal, a signal: what is called by a name. */
export const MAX_NAME_BYTES = 1024;
/** For people: why something is refused or has ended. */
export const MAX_MESSAGE_BYTES = 16 * 1024;
/** RFC 4254 §8: five bytes for each of at most 160 modes. */
export const MAX_MODES_BYTES = 1024;

export const FRAME_HEADER_BYTES = 9;

/** Which way frames go: from the CLI to the gateway, or back. */
export type FrameDirection = 'up' | 'down';

const NAME = text(MAX_NAME_BYTES);
const MESSAGE = text(MAX_MESSAGE_BYTES);
const PORT = upTo(0xffff);
const SIZE = { columns: NUMBER, rows: NUMBER, widthPixels: NUMBER, heightPixels: NUMBER } as const;

const TARGET_TABLE = {
  session: { code: 1, fields: {} },
  /** RFC 4254 §7.2. */
  'direct-tcpip': {
    code: 2,
    fields: { host: NAME, port: PORT, originHost: NAME, originPort: PORT },
  },
} as const;

export type ChannelTarget = OneOf<'kind', typeof TARGET_TABLE>;

const REQUEST_TABLE = {
  /** Modes are encoded, RFC 4254 §8. */
  'pty-req': { code: 1, fields: { term: NAME, ...SIZE, modes: bytes(MAX_MODES_BYTES) } },
  'window-change': { code: 2, fields: SIZE },
  env: { code: 3, fields: { name: NAME, value: text(MAX_STRING_BYTES) } },
  shell: { code: 4, fields: {} },
  exec: { code: 5, fields: { command: command(MAX_STRING_BYTES) } },
  subsystem: { code: 6, fields: { name: NAME } },
  /** Without `SIG`. */
  signal: { code: 7, fields: { name: NAME } },
  /** RFC 4335. */
  break: { code: 8, fields: { milliseconds: NUMBER } },
  /** OpenSSH's `eow@openssh.com`, without reply: who sends it reads no more. */
  eow: { code: 9, fields: {} },
} as const;

/** RFC 4254 §6: what is known. Others never leave the CLI, and the gateway refuses them. */
export type ChannelRequest = OneOf<'kind', typeof REQUEST_TABLE>;

export const CHANNEL_REQUEST = kindOf(REQUEST_TABLE, 'request of a channel');

const NOT_CARRIED_TYPE = {
  'remote-forward': 1,
  agent: 2,
  x11: 3,
  streamlocal: 4,
  tunnel: 5,
} as const;

const BOTH_WAYS = {
  window: { code: 0x57, fields: { bytes: CREDIT } },
  eof: { code: 0x46, fields: {} },
  close: { code: 0x43, fields: {} },
} as const;

/** From the CLI to the gateway. */
const UP = {
  /**
   * `user`: name that the local client logged in with, the login that is asked for on the target.
   * `software`: its identification, e.g. `OpenSSH_9.2p1`; untrusted.
   */
  hello: { code: 0x48, fields: { from: always('client'), user: NAME, software: NAME } },
  /** `window`: credit for data from the gateway. */
  open: {
    code: 0x4f,
    fields: { window: NUMBER, target: kindOf(TARGET_TABLE, 'channel') },
  },
  request: { code: 0x52, fields: { wantReply: FLAG, request: CHANNEL_REQUEST } },
  /**
   * Somebody asked for this, and the CLI has refused it: for the record, nothing follows from it.
   * Each at most once in a stream; only to a gateway that says that it knows the frame.
   */
  notCarried: {
    code: 0x55,
    fields: { what: word(NOT_CARRIED_TYPE, 'nothing that is not carried') },
  },
  ...BOTH_WAYS,
} as const;

/** From the gateway to the CLI. */
const DOWN = {
  /** `software`: of the target. */
  hello: { code: 0x48, fields: { from: always('gateway'), software: NAME } },
  opened: { code: 0x41, fields: { window: NUMBER } },
  /** RFC 4254 §5.1: 1 prohibited, 2 connect failed, 3 unknown type, 4 shortage. */
  openFailed: { code: 0x58, fields: { reason: NUMBER, message: MESSAGE } },
  /** Replies come in the order of the requests that wanted one. */
  success: { code: 0x53, fields: {} },
  failure: { code: 0x4e, fields: {} },
  exitStatus: { code: 0x51, fields: { status: NUMBER } },
  exitSignal: { code: 0x4b, fields: { name: NAME, coreDumped: FLAG, message: MESSAGE } },
  /** The last frame: the target was not reached, or is gone, or the session ends. */
  disconnect: { code: 0x5a, fields: { message: MESSAGE } },
  ...BOTH_WAYS,
} as const;

/** Frames that are not collected; extended data is of SSH_EXTENDED_DATA_STDERR, the only kind there is. */
export const DATA_TYPE = { data: 0x44, stderr: 0x45 } as const;

interface DataFrame<Type extends keyof typeof DATA_TYPE> {
  readonly type: Type;
  readonly channel: number;
  readonly data: Uint8Array;
}

type OfTheStream = { readonly type: 'hello' | 'notCarried' | 'disconnect' };
/** Hello and what else belongs to no channel say none. */
export type OnItsChannel<Frame> = Frame extends OfTheStream
  ? Frame
  : Frame & { readonly channel: number };

export type CollectedUp = OnItsChannel<OneOf<'type', typeof UP>>;
export type CollectedDown = OnItsChannel<OneOf<'type', typeof DOWN>>;
export type UpFrame = CollectedUp | DataFrame<'data'>;
export type DownFrame = CollectedDown | DataFrame<'data' | 'stderr'>;

export const FRAMES = { up: variants('type', UP), down: variants('type', DOWN) } as const;

/** Frames that belong to no channel. */
export const OF_THE_STREAM: ReadonlySet<number> = new Set([
  UP.hello.code,
  UP.notCarried.code,
  DOWN.disconnect.code,
]);

const DATA: Lengths = [1, MAX_DATA_BYTES];

/** Lengths that a body may have, before a byte of it is kept; of data nothing is collected. */
export const BODY_LENGTHS: Readonly<Record<FrameDirection, ReadonlyMap<number, Lengths>>> = {
  up: new Map([
    [DATA_TYPE.data, DATA],
    ...Object.values(UP).map(({ code, fields }) => [code, lengthsOf(fields)] as const),
  ]),
  down: new Map([
    [DATA_TYPE.data, DATA],
    [DATA_TYPE.stderr, DATA],
    ...Object.values(DOWN).map(({ code, fields }) => [code, lengthsOf(fields)] as const),
  ]),
};
