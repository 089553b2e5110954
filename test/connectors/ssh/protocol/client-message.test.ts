import { describe, expect, test } from 'vitest';
import { decodeClientMessage } from '../../../../src/connectors/ssh/protocol/client-message.ts';
import { ProtocolError } from '../../../../src/errors.ts';

/** Fields of RFC 4251 §5: a number below 256 in an array is a byte, a number a uint32. */
function packet(
  ...fields: readonly (number | string | boolean | Buffer | readonly [number])[]
): Buffer {
  return Buffer.concat(
    fields.map((field) => {
      if (typeof field === 'number') {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(field);
        return bytes;
      }
      if (typeof field === 'boolean') return Buffer.from([field ? 1 : 0]);
      if (Array.isArray(field)) return Buffer.from([...field]);
      const bytes = Buffer.from(field as string | Buffer);
      return Buffer.concat([packet(bytes.length), bytes]);
    }),
  );
}

const SAMPLES = {
  'a session': [
    packet([90], 'session', 7, 2_097_152, 32_768),
    { type: 'open', kind: 'session', sender: 7, window: 2_097_152, maxPacket: 32_768 },
  ],
  'a forward': [
    packet([90], 'direct-tcpip', 1, 100, 200, 'db', 5432, '127.0.0.1', 40_000),
    {
      type: 'open',
      kind: 'direct-tcpip',
      sender: 1,
      window: 100,
      maxPacket: 200,
      destination: { host: 'db', port: 5432, originHost: '127.0.0.1', originPort: 40_000 },
    },
  ],
  'a command that is no UTF-8': [
    packet([98], 3, 'exec', true, Buffer.from([0x6c, 0xff])),
    {
      type: 'request',
      channel: 3,
      name: 'exec',
      wantReply: true,
      request: { kind: 'exec', command: Uint8Array.from([0x6c, 0xff]) },
    },
  ],
  'a terminal with its modes': [
    packet([98], 3, 'pty-req', true, 'xterm', 80, 24, 640, 480, Buffer.from([1, 0, 0, 0, 3, 0])),
    {
      type: 'request',
      channel: 3,
      name: 'pty-req',
      wantReply: true,
      request: {
        kind: 'pty-req',
        term: 'xterm',
        columns: 80,
        rows: 24,
        widthPixels: 640,
        heightPixels: 480,
        modes: Uint8Array.from([1, 0, 0, 0, 3, 0]),
      },
    },
  ],
  'a variable that is no UTF-8, which is not passed on': [
    packet([98], 3, 'env', false, 'LC_X', Buffer.from([0xe9])),
    { type: 'request', channel: 3, name: 'env', wantReply: false },
  ],
  'a request that nobody knows': [
    packet([98], 3, 'x@example.com', true, 'whatever'),
    { type: 'request', channel: 3, name: 'x@example.com', wantReply: true },
  ],
  'a signal': [
    packet([98], 3, 'signal', false, 'INT'),
    {
      type: 'request',
      channel: 3,
      name: 'signal',
      wantReply: false,
      request: { kind: 'signal', name: 'INT' },
    },
  ],
  'a wish of the connection': [
    packet([80], 'tcpip-forward', true, '', 80),
    { type: 'global', name: 'tcpip-forward', wantReply: true },
  ],
  data: [packet([94], 5, 'hello'), { type: 'data', channel: 5, data: Buffer.from('hello') }],
  'a window': [packet([93], 5, 1000), { type: 'window', channel: 5, bytes: 1000 }],
} as const;

describe('what a client says', () => {
  test.each(Object.entries(SAMPLES))('%s', (_name, [bytes, message]) => {
    expect(decodeClientMessage(bytes)).toEqual(message);
  });

  test.each(Object.entries(SAMPLES))('%s, cut off anywhere, is refused', (name, [bytes]) => {
    // The fields of what nobody knows are not looked at.
    const known = name === 'a request that nobody knows' || name === 'a wish of the connection';
    const end = known ? bytes.length - 12 : bytes.length;
    for (let length = 0; length < end; length += 1) {
      expect(() => decodeClientMessage(bytes.subarray(0, length))).toThrow(ProtocolError);
    }
  });

  test.each([
    ['a channel that takes nothing', packet([90], 'session', 1, 100, 0)],
    ['a port that does not exist', packet([90], 'direct-tcpip', 1, 9, 9, 'a', 65_536, 'b', 1)],
    ['a message that does not exist', packet([127], 1)],
    ['a name that is no UTF-8', packet([98], 1, Buffer.from([0xff]), false)],
  ])('%s is refused', (_name, bytes) => {
    expect(() => decodeClientMessage(bytes)).toThrow(ProtocolError);
  });
});
