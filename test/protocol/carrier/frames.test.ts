import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import {
  type CarriedItem,
  encodeAccepted,
  encodeEnd,
  encodeHalfClose,
  encodeOpen,
  encodeRefused,
  encodeWindow,
  FRAME_HEADER_BYTES,
  FrameScanner,
  HELLO,
  MAX_DATA_BYTES,
  writeDataHeader,
} from '../../../src/protocol/carrier/frames.ts';

/** What the frames say, whatever the pieces were: data in a row of one stream are joined. */
function read(chunks: readonly Buffer[]): string[] {
  const frames = new FrameScanner<Buffer>((chunk, start, end) => chunk.subarray(start, end));
  const said: string[] = [];
  let data: { stream: number; text: string } | undefined;
  const say = (text?: string): void => {
    if (data !== undefined) {
      said.push(`${data.stream} data ${data.text}`);
      data = undefined;
    }
    if (text !== undefined) {
      said.push(text);
    }
  };
  for (const chunk of chunks) {
    frames.feed(chunk);
    for (let item = frames.next(); item !== undefined; item = frames.next()) {
      if (item.kind !== 'data') {
        say(`${item.stream} ${inWords(item)}`);
        continue;
      }
      expect(item.bytes.buffer).toBe(chunk.buffer);
      expect(item.bytes.length).toBeGreaterThan(0);
      if (data?.stream !== item.stream) {
        say();
      }
      data = { stream: item.stream, text: `${data?.text ?? ''}${item.bytes.toString('latin1')}` };
    }
  }
  say();
  return said;
}

function inWords(item: Exclude<CarriedItem<Buffer>, { kind: 'data' }>): string {
  switch (item.kind) {
    case 'end':
      return `end ${item.code}`;
    case 'window':
      return `window ${item.more}`;
    case 'open':
      return `open ${item.streamKind}`;
    case 'refused':
      return `refused ${Buffer.from(item.why).toString()}`;
    default:
      return item.kind;
  }
}

function frame(stream: number, body: string): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeDataHeader(header, stream, body.length);
  return Buffer.concat([header, Buffer.from(body, 'latin1')]);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const FRAMES = Buffer.concat([
  encodeOpen(7, 'postgres'),
  encodeAccepted(7),
  frame(7, 'SELECT 1'),
  frame(4_294_967_295, 'x'),
  encodeRefused(2, Buffer.from('{"no":1}')),
  encodeWindow(7, 4_294_967_295),
  frame(7, 'rows'),
  encodeHalfClose(7),
  encodeEnd(7, 1011),
]);
const SAID = [
  '7 open postgres',
  '7 accepted',
  '7 data SELECT 1',
  '4294967295 data x',
  '2 refused {"no":1}',
  '7 window 4294967295',
  '7 data rows',
  '7 half-close',
  '7 end 1011',
];

describe('the frames of a stream connection', () => {
  test('have these bytes', () => {
    expect(hex(frame(1, 'abc'))).toBe('4400000300000001616263');
    expect(hex(encodeOpen(258, 'cancel'))).toBe('4f0000060000010263616e63656c');
    expect(hex(encodeAccepted(1))).toBe('4100000000000001');
    expect(hex(encodeRefused(1, Buffer.from('no')))).toBe('58000002000000016e6f');
    expect(hex(encodeEnd(1, 1000))).toBe('450000020000000103e8');
    expect(hex(encodeHalfClose(1))).toBe('4600000000000001');
    expect(hex(encodeWindow(1, 262_144))).toBe('570000040000000100040000');
    expect(hex(HELLO)).toBe('4800000000000000');
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    writeDataHeader(header, 0xfffffffe, MAX_DATA_BYTES);
    expect(hex(header)).toBe('44fffffffffffffe');
  });

  test('say the same wherever the connection cuts them in two', () => {
    for (let at = 0; at <= FRAMES.length; at += 1) {
      expect(read([FRAMES.subarray(0, at), FRAMES.subarray(at)])).toEqual(SAID);
    }
  });

  test('say the same one byte at a time', () => {
    expect(read([...FRAMES].map((_, at) => FRAMES.subarray(at, at + 1)))).toEqual(SAID);
  });

  test('that are cut off say no more than came', () => {
    for (let at = 0; at < FRAMES.length; at += 1) {
      const said = read([FRAMES.subarray(0, at)]);
      const last = said.at(-1);
      expect(said.slice(0, -1)).toEqual(SAID.slice(0, Math.max(0, said.length - 1)));
      expect(SAID[said.length - 1] ?? '').toSatisfy((text: string) => text.startsWith(last ?? ''));
    }
  });

  test.each([
    ['an unknown type', '5a00000100000001'],
    ['data of no bytes', '4400000000000001'],
    ['a half-close with a body', '4600000100000001'],
    ['an end of one byte', '4500000100000001'],
    ['an end of three bytes', '4500000300000001'],
    ['an open without a kind', '4f00000000000001'],
    ['an open with a kind that is too long', '4f00001100000001'],
    ['an accepted with a body', '4100000100000001'],
    ['a refusal without a body', '5800000000000001'],
    ['a refusal of 64 KiB', '5801000000000001'],
    ['a window of three bytes', '5700000300000001'],
    ['a hello that is not the first', '4800000000000000'],
    ['data of stream 0', '4400000100000000'],
    ['a TLS alert in clear', '1503030002010000'],
    ['an HTTP reply', Buffer.from('HTTP/1.1 400 Bad Request\r\n').toString('hex')],
  ])('refuse %s', (_what, bytes) => {
    expect(() => read([Buffer.from(bytes, 'hex')])).toThrow(ProtocolError);
  });

  test('cannot be made with what they cannot hold', () => {
    const into = new Uint8Array(FRAME_HEADER_BYTES);
    for (const length of [0, -1, 1.5, MAX_DATA_BYTES + 1]) {
      expect(() => writeDataHeader(into, 1, length)).toThrow(RangeError);
    }
    for (const stream of [-1, 1.5, 2 ** 32]) {
      expect(() => writeDataHeader(into, stream, 1)).toThrow(RangeError);
    }
    for (const more of [0, -1, 1.5, 2 ** 32]) {
      expect(() => encodeWindow(1, more)).toThrow(RangeError);
    }
    for (const code of [-1, 1.5, 65_536]) {
      expect(() => encodeEnd(1, code)).toThrow(RangeError);
    }
    expect(() => encodeRefused(1, new Uint8Array(65_536))).toThrow(RangeError);
    expect(() => encodeRefused(1, new Uint8Array(0))).toThrow(RangeError);
    for (const kind of ['', 'a kind', 'x'.repeat(17), 'é']) {
      expect(() => encodeOpen(1, kind)).toThrow(RangeError);
    }
  });

  test('let nothing but a ProtocolError out of random bytes', () => {
    let seed = 20_240_601;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    let refused = 0;
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Buffer.from(Array.from({ length: random(60) }, () => random(256)));
      // Half of them begin as a frame does, or nothing would get past the first byte.
      const chunk =
        round % 2 === 0 ? bytes : Buffer.concat([frame(1, 'x'.repeat(1 + random(9))), bytes]);
      try {
        read([chunk.subarray(0, random(chunk.length + 1)), chunk]);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
