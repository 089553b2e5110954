import { expect, test } from 'vitest';
import { EscapeBoundary } from '../../../src/run/terminal/escape-boundary.ts';

test.each([
  ['plain text', 'abc', true],
  ['an escape character', '\x1b', false],
  ['an unfinished sequence', '\x1b[38;5;', false],
  ['a finished one', '\x1b[38;5;1m', true],
  ['the title of a window', '\x1b]0;title', false],
  ['the title, ended by BEL', '\x1b]0;title\x07', true],
  ['the title, ended by ST', '\x1b]0;title\x1b\\', true],
  ['a device control string', '\x1bP+q544e\x1b', false],
  ['a character set', '\x1b(', false],
  ['a character set, named', '\x1b(B', true],
  ['a sequence that another one cuts off', '\x1b[3\x1b[1m', true],
  ['a cancelled one', '\x1b[3\x18', true],
])('%s', (_what, bytes, expected) => {
  const boundary = new EscapeBoundary();
  // In pieces, as they come.
  for (const byte of Buffer.from(bytes)) {
    boundary.shown(Uint8Array.of(byte));
  }
  expect(boundary.isAtBoundary).toBe(expected);
});

test('a character of several bytes is not cut, and a string without an end keeps nothing back for ever', () => {
  const boundary = new EscapeBoundary();
  const [first, second, third] = Buffer.from('€');
  boundary.shown(Uint8Array.of(first ?? 0, second ?? 0));
  expect(boundary.isAtBoundary).toBe(false);
  boundary.shown(Uint8Array.of(third ?? 0));
  expect(boundary.isAtBoundary).toBe(true);
  boundary.shown(Buffer.from(`\x1b]0;${'x'.repeat(70_000)}`));
  expect(boundary.isAtBoundary).toBe(true);
});
