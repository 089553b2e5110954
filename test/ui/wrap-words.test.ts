import { describe, expect, test } from 'vitest';
import { terminalWidth } from '../../src/ui/text/terminal-width.ts';
import { wrapWords } from '../../src/ui/text/wrap-words.ts';

const NOTE = { first: 'hoop: ', rest: 'hoop:   ' };

describe('prose is broken between words', () => {
  test('where it is too wide, and only there', () => {
    expect(wrapWords('one two three', 80, NOTE)).toEqual(['hoop: one two three']);
    expect(wrapWords('the session goes on until it ends', 30, NOTE)).toEqual([
      'hoop: the session goes on',
      'hoop:   until it ends',
    ]);
    const fits = 'x'.repeat(24);
    expect(wrapWords(fits, 30, NOTE)).toEqual([`hoop: ${fits}`]);
  });

  test('a command, a quoted name and a long word stay whole, wider than the terminal if need be', () => {
    const command = '`hoop sessions verify /a/long/path/of/a/file`';
    expect(wrapWords(`saved; check with ${command}, please`, 40, NOTE)).toEqual([
      'hoop: saved; check with',
      `hoop:   ${command},`,
      'hoop:   please',
    ]);
    expect(wrapWords('target "my own db" is gone now', 30, NOTE)).toEqual([
      'hoop: target "my own db" is',
      'hoop:   gone now',
    ]);
    expect(wrapWords('y'.repeat(99), 40, NOTE)).toEqual([`hoop: ${'y'.repeat(99)}`]);
  });

  test('wide characters take two columns', () => {
    expect(wrapWords('漢字漢字漢字 漢字漢字漢字', 30, NOTE)).toHaveLength(2);
  });

  test('without a terminal nothing is broken', () => {
    expect(wrapWords('word '.repeat(100).trim(), undefined, NOTE)).toHaveLength(1);
  });
});

test('a pipe has no width, but for programs that say which', () => {
  expect(terminalWidth({ isTTY: true, columns: 100 }, { HOOP_COLUMNS: '60' })).toBe(100);
  expect(terminalWidth({ columns: 100 }, { COLUMNS: '80' })).toBeUndefined();
  expect(terminalWidth({}, { HOOP_COLUMNS: '78' })).toBe(78);
  for (const wrong of ['', '0', '-1', 'wide', '12.5', '39']) {
    expect(terminalWidth({}, { HOOP_COLUMNS: wrong })).toBeUndefined();
  }
});
