import { describe, expect, test } from 'vitest';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import {
  type DownFrame,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_NAME_BYTES,
  MAX_STRING_BYTES,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../../../../src/connectors/ssh/protocol/frame-decoder.ts';
import { ProtocolError } from '../../../../src/errors.ts';

const session = { kind: 'session' } as const;
const size = { columns: 80, rows: 24, widthPixels: 640, heightPixels: 480 };

function request(request: Extract<UpFrame, { type: 'request' }>['request'], wantReply = true) {
  return { type: 'request', channel: 1, wantReply, request } as const;
}

/** Each with the bytes that it has been since the first release. */
const UP: readonly (readonly [UpFrame, string])[] = [
  [
    { type: 'hello', from: 'client', user: 'deploy', software: 'OpenSSH_9.2' },
    '0000001948000000000000000664 65706c6f79 0000000b 4f70656e5353485f392e32',
  ],
  [
    { type: 'open', channel: 1, target: session, window: 0x100000 },
    '00000005 4f 00000001 00100000 01',
  ],
  [
    {
      type: 'open',
      channel: 0xffffffff,
      target: {
        kind: 'direct-tcpip',
        host: 'db',
        port: 5432,
        originHost: '::1',
        originPort: 65535,
      },
      window: 0,
    },
    '0000001a 4f ffffffff 00000000 02 00000002 6462 00001538 00000003 3a3a31 0000ffff',
  ],
  [
    request({ kind: 'pty-req', term: 'xterm', ...size, modes: Uint8Array.of(1, 0, 0, 0, 3, 0) }),
    '00000025 52 00000001 01 01 00000005 787465726d 00000050 00000018 00000280 000001e0 00000006 010000000300',
  ],
  [
    request({ kind: 'window-change', ...size }, false),
    '00000012 52 00000001 00 02 00000050 00000018 00000280 000001e0',
  ],
  [
    request({ kind: 'env', name: 'LANG', value: 'C' }, false),
    '0000000f 52 00000001 00 03 00000004 4c414e47 00000001 43',
  ],
  [request({ kind: 'shell' }), '00000002 52 00000001 01 04'],
  [
    request({ kind: 'exec', command: Uint8Array.of(0x6c, 0x73, 0xff) }),
    '00000009 52 00000001 01 05 00000003 6c73ff',
  ],
  [request({ kind: 'subsystem', name: 'sftp' }), '0000000a 52 00000001 01 06 00000004 73667470'],
  [request({ kind: 'signal', name: 'INT' }, false), '00000009 52 00000001 00 07 00000003 494e54'],
  [request({ kind: 'break', milliseconds: 500 }), '00000006 52 00000001 01 08 000001f4'],
  [request({ kind: 'eow' }, false), '00000002 52 00000001 00 09'],
  [{ type: 'notCarried', what: 'remote-forward' }, '00000001 55 00000000 01'],
  [{ type: 'notCarried', what: 'agent' }, '00000001 55 00000000 02'],
  [{ type: 'notCarried', what: 'x11' }, '00000001 55 00000000 03'],
  [{ type: 'notCarried', what: 'streamlocal' }, '00000001 55 00000000 04'],
  [{ type: 'notCarried', what: 'tunnel' }, '00000001 55 00000000 05'],
  [{ type: 'data', channel: 7, data: Uint8Array.of(0, 0xff) }, '00000002 44 00000007 00ff'],
  [{ type: 'window', channel: 7, bytes: 65536 }, '00000004 57 00000007 00010000'],
  [{ type: 'eof', channel: 7 }, '00000000 46 00000007'],
  [{ type: 'close', channel: 7 }, '00000000 43 00000007'],
];

const DOWN: readonly (readonly [DownFrame, string])[] = [
  [{ type: 'hello', from: 'gateway', software: 'x' }, '00000005 48 00000000 00000001 78'],
  [{ type: 'opened', channel: 1, window: 1048576 }, '00000004 41 00000001 00100000'],
  [
    { type: 'openFailed', channel: 1, reason: 2, message: 'nö' },
    '0000000b 58 00000001 00000002 00000003 6ec3b6',
  ],
  [{ type: 'success', channel: 1 }, '00000000 53 00000001'],
  [{ type: 'failure', channel: 1 }, '00000000 4e 00000001'],
  [{ type: 'data', channel: 1, data: Uint8Array.of(9) }, '00000001 44 00000001 09'],
  [{ type: 'stderr', channel: 1, data: Uint8Array.of(9) }, '00000001 45 00000001 09'],
  [{ type: 'window', channel: 1, bytes: 1 }, '00000004 57 00000001 00000001'],
  [{ type: 'exitStatus', channel: 1, status: 137 }, '00000004 51 00000001 00000089'],
  [
    { type: 'exitSignal', channel: 1, name: 'KILL', coreDumped: true, message: '' },
    '0000000d 4b 00000001 00000004 4b494c4c 01 00000000',
  ],
  [{ type: 'eof', channel: 1 }, '00000000 46 00000001'],
  [{ type: 'close', channel: 1 }, '00000000 43 00000001'],
  [{ type: 'disconnect', message: 'bye' }, '00000007 5a 00000000 00000003 627965'],
];

function hex32(number: number): string {
  return number.toString(16).padStart(8, '0');
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

function decoderOf(direction: 'up' | 'down'): FrameDecoder<UpFrame> | FrameDecoder<DownFrame> {
  return direction === 'up' ? FrameDecoder.up() : FrameDecoder.down();
}

/** What the chunks say; the pieces of one data frame are joined, as nothing depends on them. */
function decode(
  direction: 'up' | 'down',
  chunks: readonly Uint8Array[],
): { readonly at: number; readonly frame: UpFrame | DownFrame }[] {
  const decoder = decoderOf(direction);
  const found: { at: number; frame: UpFrame | DownFrame }[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      const at = decoder.frameStart;
      const last = found.at(-1);
      if (last?.at === at && 'data' in last.frame && 'data' in frame) {
        last.frame = { ...last.frame, data: joined(last.frame.data, frame.data) };
      } else {
        found.push({ at, frame: 'data' in frame ? { ...frame, data: joined(frame.data) } : frame });
      }
    }
  }
  expect(decoder.isBetweenFrames).toBe(true);
  return found;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

type Golden = readonly (readonly [UpFrame | DownFrame, string])[];

const DIRECTIONS: readonly (readonly ['up' | 'down', Golden])[] = [
  ['up', UP],
  ['down', DOWN],
];

/** The same numbers for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe.each(DIRECTIONS)('frames that go %s', (direction, frames) => {
  test.each(frames)('%o has its golden bytes, both ways', (frame, hex) => {
    expect(Buffer.concat(encodeFrame(frame)).toString('hex')).toBe(bytesOf(hex).toString('hex'));
    expect(decode(direction, [bytesOf(hex)])).toEqual([{ at: 0, frame }]);
  });

  test('say the same wherever the stream is cut, with the offset of each', () => {
    const stream = Buffer.concat(frames.map(([, hex]) => bytesOf(hex)));
    let at = 0;
    const expected = frames.map(([frame, hex]) => {
      const start = at;
      at += bytesOf(hex).length;
      return { at: start, frame };
    });
    for (let cut = 0; cut <= stream.length; cut += 1) {
      expect(decode(direction, [stream.subarray(0, cut), stream.subarray(cut)])).toEqual(expected);
    }
    const single = Array.from(stream, (byte) => Uint8Array.of(byte));
    expect(decode(direction, single)).toEqual(expected);
  });

  test('cut short or longer than they are, are refused or not whole, and never something else', () => {
    for (const [frame, hex] of frames) {
      const body = bytesOf(hex).subarray(9);
      for (const length of [...body.keys(), body.length + 1]) {
        if ('data' in frame && length > 0) {
          continue;
        }
        const changed = bytesOf(hex);
        changed.writeUInt32BE(length);
        const decoder = decoderOf(direction);
        decoder.feed(Buffer.concat([changed.subarray(0, 9), Buffer.concat([body], length)]));
        expect(() => decoder.next(), `${hex} with ${length}`).toThrow(ProtocolError);
        expect(() => decoder.next(), 'again').toThrow(ProtocolError);
      }
    }
  });

  test('of random bytes are frames or ProtocolError, with nothing large kept', () => {
    const random = randomNumbers(42);
    const types = frames.map(([, hex]) => bytesOf(hex)[4] ?? 0);
    const outcomes = { frames: 0, refused: 0 };
    for (let round = 0; round < 5000; round += 1) {
      const bytes = Uint8Array.from({ length: 9 + random(60) }, () => random(256));
      bytes.set([0, 0, random(8) === 0 ? 1 : 0, random(40), types[random(types.length)] ?? 0]);
      const decoder = decoderOf(direction);
      decoder.feed(bytes);
      try {
        while (decoder.next() !== undefined) outcomes.frames += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        outcomes.refused += 1;
      }
    }
    expect(outcomes.frames).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  test('with one bit changed are frames or ProtocolError', () => {
    for (const [, hex] of frames) {
      for (let bit = 0; bit < bytesOf(hex).length * 8; bit += 1) {
        const bytes = bytesOf(hex);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const decoder = decoderOf(direction);
        decoder.feed(bytes);
        try {
          while (decoder.next() !== undefined);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }
    }
  });

  test('of a length that none has are refused by their header alone', () => {
    for (let type = 0; type < 256; type += 1) {
      const header = Buffer.alloc(9);
      header.writeUInt32BE(0xffffffff);
      header[4] = type;
      const decoder = decoderOf(direction);
      decoder.feed(header);
      expect(() => decoder.next()).toThrow(ProtocolError);
    }
  });

  test('of the other direction are refused', () => {
    const known = new Set(frames.map(([, hex]) => bytesOf(hex)[4]));
    const others = (direction === 'up' ? DOWN : UP).filter(
      ([, hex]) => !known.has(bytesOf(hex)[4]),
    );
    expect(others.length).toBeGreaterThan(1);
    for (const [, hex] of others) {
      const decoder = decoderOf(direction);
      decoder.feed(bytesOf(hex));
      expect(() => decoder.next()).toThrow(ProtocolError);
    }
  });
});

describe('the decoder', () => {
  test('gives data as it comes, as views, before the frame is whole', () => {
    const decoder = FrameDecoder.up();
    const data = Buffer.alloc(MAX_DATA_BYTES, 'x');
    const [header = Buffer.alloc(0)] = encodeFrame({ type: 'data', channel: 3, data });
    decoder.feed(header);
    expect(decoder.next()).toBeUndefined();
    const first = data.subarray(0, 10);
    decoder.feed(first);
    const frame = decoder.next();
    expect(frame).toMatchObject({ type: 'data', channel: 3 });
    expect(frame?.type === 'data' && frame.data.buffer === first.buffer).toBe(true);
    expect(decoder.isBetweenFrames).toBe(false);
    decoder.feed(data.subarray(10));
    decoder.next();
    expect(decoder.isBetweenFrames).toBe(true);
  });

  test.each([
    ['data of no byte', '00000000 44 00000001'],
    ['data longer than a frame may have', '00040001 44 00000001'],
    ['a window of 0', '00000004 57 00000001 00000000'],
    ['a hello on a channel', '00000008 48 00000001 00000000 00000000'],
    ['what is not carried on a channel', '00000001 55 00000001 02'],
    ['what is not carried under number 0', '00000001 55 00000000 00'],
    ['what is not carried under number 6', '00000001 55 00000000 06'],
    ['two that are not carried', '00000002 55 00000000 0101'],
    ['a flag of 2', '00000002 52 00000001 02 04'],
    ['an unknown request', '00000002 52 00000001 01 0a'],
    ['an unknown kind of channel', '00000005 4f 00000001 00100000 03'],
    [
      'a port of 65536',
      '00000017 4f 00000001 00000000 02 00000001 78 00010000 00000001 78 00000001',
    ],
    ['a NUL in a name', '00000009 52 00000001 00 07 00000003 490054'],
    ['a NUL in a command', '00000009 52 00000001 01 05 00000003 6c0073'],
    ['text that is not UTF-8', '00000009 52 00000001 00 07 00000003 49ff54'],
    ['a string longer than its frame', '00000009 52 00000001 00 07 00000004 494e54'],
    ['a name of 1025 bytes', `00000407 52 00000001 00 07 00000401 ${'41'.repeat(1025)}`],
    [
      'a command longer than commands are',
      `${hex32(MAX_STRING_BYTES + 7)} 52 00000001 01 05 ${hex32(MAX_STRING_BYTES + 1)} ${'41'.repeat(MAX_STRING_BYTES + 1)}`,
    ],
  ])('refuses %s', (_what, hex) => {
    const decoder = FrameDecoder.up();
    decoder.feed(bytesOf(hex));
    expect(() => decoder.next()).toThrow(ProtocolError);
  });

  test('takes the longest of everything', () => {
    const name = 'n'.repeat(MAX_NAME_BYTES);
    const message = 'm'.repeat(MAX_MESSAGE_BYTES);
    const up: UpFrame[] = [
      { type: 'hello', from: 'client', user: name, software: name },
      request({ kind: 'env', name, value: 'v'.repeat(MAX_STRING_BYTES) }),
      request({ kind: 'exec', command: new Uint8Array(MAX_STRING_BYTES).fill(65) }),
      {
        type: 'open',
        channel: 1,
        window: 1,
        target: {
          kind: 'direct-tcpip',
          host: name,
          port: 1,
          originHost: name,
          originPort: 1,
        },
      },
    ];
    expect(decode('up', up.flatMap(encodeFrame)).map(({ frame }) => frame)).toEqual(up);
    const down: DownFrame[] = [
      { type: 'openFailed', channel: 1, reason: 1, message },
      { type: 'exitSignal', channel: 1, name, coreDumped: false, message },
      { type: 'disconnect', message },
    ];
    expect(decode('down', down.flatMap(encodeFrame)).map(({ frame }) => frame)).toEqual(down);
  });

  test('keeps the order mark at the start of a text: it is part of the name', () => {
    const frame = request({ kind: 'subsystem', name: '\ufeffsftp' });
    expect(decode('up', encodeFrame(frame))).toEqual([{ at: 0, frame }]);
  });
});

describe('the encoder', () => {
  test('does not copy data that is long', () => {
    const data = Buffer.alloc(MAX_DATA_BYTES);
    expect(encodeFrame({ type: 'data', channel: 1, data })[1]).toBe(data);
  });

  test.each<[string, UpFrame | DownFrame]>([
    ['data of no byte', { type: 'data', channel: 1, data: new Uint8Array(0) }],
    ['too much data', { type: 'stderr', channel: 1, data: new Uint8Array(MAX_DATA_BYTES + 1) }],
    ['a channel of -1', { type: 'eof', channel: -1 }],
    ['a NUL', request({ kind: 'env', name: 'A\0B', value: '' })],
    ['a NUL in a command', request({ kind: 'exec', command: Uint8Array.of(65, 0) })],
    ['a status of -1', { type: 'exitStatus', channel: 1, status: -1 }],
    ['a long message', { type: 'disconnect', message: 'x'.repeat(MAX_MESSAGE_BYTES + 1) }],
  ])('does not write %s', (_what, frame) => {
    expect(() => encodeFrame(frame)).toThrow(RangeError);
  });
});
