import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import {
  type CarriedItem,
  encodeEnd,
  FrameScanner,
  HALF_CLOSE,
  HELLO,
  MAX_DATA_BYTES,
  writeDataHeader,
} from '../../../src/protocol/carrier/frames.ts';

function scanner(): FrameScanner<Buffer> {
  return new FrameScanner((chunk, start, end) => chunk.subarray(start, end));
}

/** What the frames say, whatever the pieces were: the bytes joined, and the end. */
function read(chunks: readonly Buffer[]): { data: string; end: number | undefined } {
  const { data, end } = readAll(chunks);
  return { data, end };
}

function readAll(chunks: readonly Buffer[]): {
  data: string;
  end: number | undefined;
  /** Bytes of data before each half-close. */
  halfCloses: number[];
} {
  const frames = scanner();
  const data: Buffer[] = [];
  const halfCloses: number[] = [];
  let end: number | undefined;
  for (const chunk of chunks) {
    frames.feed(chunk);
    for (let item = frames.next(); item !== undefined; item = frames.next()) {
      if (item.kind === 'end') {
        end = item.code;
      } else if (item.kind === 'half-close') {
        halfCloses.push(Buffer.concat(data).length);
      } else {
        expect(item.bytes.buffer).toBe(chunk.buffer);
        expect(item.bytes.length).toBeGreaterThan(0);
        data.push(item.bytes);
      }
    }
  }
  return { data: Buffer.concat(data).toString('latin1'), end, halfCloses };
}

function frame(body: string): Buffer {
  const header = Buffer.alloc(4);
  writeDataHeader(header, body.length);
  return Buffer.concat([header, Buffer.from(body, 'latin1')]);
}

const STREAM = Buffer.concat([frame('SELECT 1'), frame('x'), frame('rows'), encodeEnd(1011)]);

describe('the frames of the raw carrier', () => {
  test('have these bytes', () => {
    expect(frame('abc').toString('hex')).toBe('44000003616263');
    expect(Buffer.from(encodeEnd(1000)).toString('hex')).toBe('4500000203e8');
    expect(Buffer.from(HALF_CLOSE).toString('hex')).toBe('46000000');
    expect(Buffer.from(HELLO).toString('hex')).toBe('48000000');
    const header = new Uint8Array(4);
    writeDataHeader(header, MAX_DATA_BYTES);
    expect([...header]).toEqual([0x44, 0xff, 0xff, 0xff]);
  });

  test('say the same wherever the connection cuts them in two', () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      const parts = [STREAM.subarray(0, at), STREAM.subarray(at)];
      expect(read(parts)).toEqual({ data: 'SELECT 1xrows', end: 1011 });
    }
  });

  test('say the same one byte at a time', () => {
    const bytes = [...STREAM].map((_, at) => STREAM.subarray(at, at + 1));
    expect(read(bytes)).toEqual({ data: 'SELECT 1xrows', end: 1011 });
  });

  test('pass a body on as the pieces that came, without a copy', () => {
    const frames = scanner();
    frames.feed(Buffer.concat([frame('first'), frame('second').subarray(0, 7)]));
    const items: CarriedItem<Buffer>[] = [];
    for (let item = frames.next(); item !== undefined; item = frames.next()) {
      items.push(item);
    }
    expect(items.map((item) => item.kind === 'data' && String(item.bytes))).toEqual([
      'first',
      'sec',
    ]);
  });

  test('say where one direction ends and the other does not, however they are cut', () => {
    const bytes = Buffer.concat([frame('SELECT 1'), HALF_CLOSE, encodeEnd(1000)]);
    for (let at = 0; at <= bytes.length; at += 1) {
      const parts = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(readAll(parts)).toEqual({ data: 'SELECT 1', end: 1000, halfCloses: [8] });
    }
  });

  test('that are cut off have no end', () => {
    for (let at = 0; at < STREAM.length; at += 1) {
      expect(read([STREAM.subarray(0, at)]).end).toBeUndefined();
    }
  });

  test.each([
    ['an unknown type', '58000001'],
    ['data of no bytes', '44000000'],
    ['a half-close with a body', '4600000141'],
    ['an end of one byte', '4500000103'],
    ['an end of three bytes', '450000030003e8'],
    ['a hello that is not the first', '48000000'],
    ['bytes after the end', '4500000203e844'],
    ['a TLS alert in clear', '15030300020100'],
    ['an HTTP reply', Buffer.from('HTTP/1.1 400 Bad Request\r\n').toString('hex')],
  ])('refuse %s', (_what, hex) => {
    expect(() => read([Buffer.from(hex, 'hex')])).toThrow(ProtocolError);
  });

  test.each([0, -1, 1.5, MAX_DATA_BYTES + 1])('cannot hold %d bytes', (length) => {
    expect(() => writeDataHeader(new Uint8Array(4), length)).toThrow(RangeError);
  });

  test('let nothing but a ProtocolError out of random bytes', () => {
    let seed = 20_240_601;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    let refused = 0;
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
      // Half of them begin as a frame does, or nothing would get past the first byte.
      const chunk =
        round % 2 === 0 ? bytes : Buffer.concat([frame('x'.repeat(1 + random(9))), bytes]);
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
