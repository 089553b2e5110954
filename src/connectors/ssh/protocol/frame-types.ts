/**
 * The layout of a frame, all numbers big endian:
 *
 *   length   4 bytes  of the body
 *   type     1 byte
 *   channel  4 bytes  0 with hello, notCarried and disconnect
 *   body
 *
 * In bodies a number has 4 bytes, a flag one (0 or 1), a string its length and then its bytes. Text
 * is UTF-8 without NUL: a server would take what is before a NUL, and the policy what is behind it.
 */
import {
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_MODES_BYTES,
  MAX_NAME_BYTES,
  MAX_STRING_BYTES,
} from './frame.ts';
import type { NotCarried } from './not-carried.ts';

export const FRAME_HEADER_BYTES = 9;

/** Which way frames go: from the CLI to the gateway, or back. */
export type FrameDirection = 'up' | 'down';

export const FRAME_TYPE = {
  opened: 0x41,
  close: 0x43,
  data: 0x44,
  stderr: 0x45,
  eof: 0x46,
  hello: 0x48,
  exitSignal: 0x4b,
  failure: 0x4e,
  open: 0x4f,
  exitStatus: 0x51,
  request: 0x52,
  success: 0x53,
  notCarried: 0x55,
  window: 0x57,
  openFailed: 0x58,
  disconnect: 0x5a,
} as const;

export const TARGET_TYPE = { session: 1, 'direct-tcpip': 2 } as const;

export const REQUEST_TYPE = {
  'pty-req': 1,
  'window-change': 2,
  env: 3,
  shell: 4,
  exec: 5,
  subsystem: 6,
  signal: 7,
  break: 8,
  eow: 9,
} as const;

export const NOT_CARRIED_TYPE = {
  'remote-forward': 1,
  agent: 2,
  x11: 3,
  streamlocal: 4,
  tunnel: 5,
} as const satisfies Readonly<Record<NotCarried, number>>;

type Lengths = readonly [least: number, most: number];

const NUMBER = 4;
const NAME = NUMBER + MAX_NAME_BYTES;
const DATA: Lengths = [1, MAX_DATA_BYTES];
const NONE: Lengths = [0, 0];
const ONE_NUMBER: Lengths = [NUMBER, NUMBER];

/** Lengths that a body may have, before a byte of it is kept; of data nothing is collected. */
export const BODY_LENGTHS: Readonly<Record<FrameDirection, Readonly<Record<number, Lengths>>>> = {
  up: {
    [FRAME_TYPE.hello]: [2 * NUMBER, 2 * NAME],
    [FRAME_TYPE.open]: [1 + NUMBER, 1 + NUMBER + 2 * (NAME + NUMBER)],
    // An environment variable is the longest, or a terminal's modes with its name and size.
    [FRAME_TYPE.request]: [2, 2 + NAME + 5 * NUMBER + MAX_MODES_BYTES + MAX_STRING_BYTES],
    [FRAME_TYPE.notCarried]: [1, 1],
    [FRAME_TYPE.data]: DATA,
    [FRAME_TYPE.window]: ONE_NUMBER,
    [FRAME_TYPE.eof]: NONE,
    [FRAME_TYPE.close]: NONE,
  },
  down: {
    [FRAME_TYPE.hello]: [NUMBER, NAME],
    [FRAME_TYPE.opened]: ONE_NUMBER,
    [FRAME_TYPE.openFailed]: [2 * NUMBER, 2 * NUMBER + MAX_MESSAGE_BYTES],
    [FRAME_TYPE.success]: NONE,
    [FRAME_TYPE.failure]: NONE,
    [FRAME_TYPE.data]: DATA,
    [FRAME_TYPE.stderr]: DATA,
    [FRAME_TYPE.window]: ONE_NUMBER,
    [FRAME_TYPE.exitStatus]: ONE_NUMBER,
    [FRAME_TYPE.exitSignal]: [1 + 2 * NUMBER, 1 + NAME + NUMBER + MAX_MESSAGE_BYTES],
    [FRAME_TYPE.eof]: NONE,
    [FRAME_TYPE.close]: NONE,
    [FRAME_TYPE.disconnect]: [NUMBER, NUMBER + MAX_MESSAGE_BYTES],
  },
};
