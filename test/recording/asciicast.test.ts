import { expect, test } from 'vitest';
import {
  CastReader,
  castEvent,
  castHeader,
  castSize,
  MAX_CAST_LINE_BYTES,
  parseCastSize,
} from '../../src/recording/formats/asciicast.ts';

const HEADER = castHeader({ columns: 80, rows: 24, startedMs: 1_700_000_000_500 });

test('lines are those of asciicast v2', () => {
  expect(HEADER.toString()).toBe('{"version":2,"width":80,"height":24,"timestamp":1700000000.5}\n');
  expect(castEvent(1234.4, 'o', '\x1b[31mé\r\n').toString()).toBe(
    '[1.234,"o","\\u001b[31mé\\r\\n"]\n',
  );
});

test('what is written is read, however it is split', () => {
  const bytes = Buffer.concat([HEADER, castEvent(5, 'o', 'é'), castEvent(6, 'r', castSize(1, 2))]);
  const reader = new CastReader();
  expect([...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)))).toEqual([
    { type: 'header', columns: 80, rows: 24, startedMs: 1_700_000_000_500 },
    { type: 'event', atMs: 5, code: 'o', text: 'é' },
    { type: 'event', atMs: 6, code: 'r', text: '1x2' },
  ]);
});

test.each([
  ['no JSON', 'hello'],
  ['keys that were typed', '[1,"i","secret"]'],
  ['a time before the beginning', '[-1,"o","x"]'],
  ['more than three members', '[1,"o","x","y"]'],
  ['another version', '{"version":3,"width":80,"height":24,"timestamp":1}'],
  ['a screen of no size', '{"version":2,"width":0,"height":24,"timestamp":1}'],
  ['a line that is too long', `[1,"o","${'x'.repeat(MAX_CAST_LINE_BYTES)}"]`],
])('%s is left out, and the next line is read', (_what, line) => {
  const reader = new CastReader();
  const items = reader.push(Buffer.from(`${line}\n`));
  expect([...items, ...reader.push(castEvent(7, 'm', 'next'))]).toEqual([
    { type: 'event', atMs: 7, code: 'm', text: 'next' },
  ]);
});

test('a size is one that a terminal can have', () => {
  expect(parseCastSize('120x40')).toEqual({ columns: 120, rows: 40 });
  expect(['0x1', '1x', 'axb', '99999x1', '1x1x1'].map(parseCastSize)).toEqual(
    Array.from({ length: 5 }),
  );
});
