import { describe, expect, test } from 'vitest';
import {
  MessageScanner,
  type ScannedItem,
} from '../../../../src/connectors/postgres/protocol/message-scanner.ts';
import { BACKEND, FRONTEND } from '../../../../src/connectors/postgres/protocol/message-types.ts';
import { StartupPacketReader } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { ProtocolError } from '../../../../src/errors.ts';
import { CODECS } from './every-codec.ts';
import { type GoldenFile, readGoldenFiles } from './golden-file.ts';

const files = readGoldenFiles();
const good = files.filter(({ expect }) => expect === 'ok');
const bad = files.filter(({ expect }) => expect !== 'ok');
const headerLength = ({ direction }: GoldenFile): number => (direction === 'startup' ? 4 : 5);

function roundTrip(file: GoldenFile): Uint8Array {
  const trip = CODECS[`${file.direction}/${file.message}`];
  if (trip === undefined) {
    throw new Error(`no codec for ${file.direction}/${file.message}`);
  }
  return trip(file.bytes.subarray(headerLength(file)));
}

/** Framing first, as on the wire, then the codec. */
function read(file: GoldenFile, chunks: readonly Buffer[]): Uint8Array {
  if (file.direction === 'startup') {
    const reader = new StartupPacketReader();
    const results = chunks.flatMap((chunk) => reader.push(chunk) ?? []);
    expect(results.length).toBe(1);
    return results[0]?.bytes ?? new Uint8Array(0);
  }
  const items: ScannedItem[] = [];
  const scanner = new MessageScanner({ decide: () => 'whole', maxWholeLength: 65_536 });
  for (const chunk of chunks) {
    scanner.push(chunk, (item) => items.push(item));
  }
  expect(items.length).toBe(1);
  expect(scanner.atBoundary).toBe(true);
  return items[0]?.bytes ?? new Uint8Array(0);
}

test('every message type has a file with golden bytes', () => {
  const covered = new Set(good.map(({ direction, message }) => `${direction}/${message}`));
  expect([...covered].sort()).toEqual(Object.keys(CODECS).sort());
});

test('every message type has a codec', () => {
  const names = [
    ...Object.keys(FRONTEND).map((name) => `frontend/${name}`),
    ...Object.keys(BACKEND).map((name) => `backend/${name}`),
  ];
  expect(names.filter((name) => CODECS[name] === undefined)).toEqual([]);
});

describe.each(good)('$name: $title', (file) => {
  test('is decoded, and encoded to the same bytes', () => {
    expect(Buffer.from(roundTrip(file)).toString('hex')).toBe(file.bytes.toString('hex'));
  });

  test('is framed the same wherever it is split', () => {
    for (let at = 0; at <= file.bytes.length; at++) {
      const chunks = [file.bytes.subarray(0, at), file.bytes.subarray(at)];
      expect(Buffer.from(read(file, chunks)).equals(file.bytes)).toBe(true);
    }
    const single = Array.from(file.bytes, (byte) => Buffer.of(byte));
    expect(Buffer.from(read(file, single)).equals(file.bytes)).toBe(true);
  });

  test('is refused when any part of its end is missing', () => {
    const start = headerLength(file);
    for (let end = start; end < file.bytes.length; end++) {
      const trip = CODECS[`${file.direction}/${file.message}`];
      try {
        const again = trip?.(file.bytes.subarray(start, end));
        // Some bodies are any bytes at all, and every part of them is one.
        expect(again?.length).toBe(end);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }
  });
});

describe.each(bad)('$name: $title', (file) => {
  test(`is refused with ${file.expect}`, () => {
    const attempt = (): Uint8Array => {
      read(file, [file.bytes]);
      return roundTrip(file);
    };
    expect(attempt).toThrow(expect.objectContaining({ code: file.expect }));
  });
});
