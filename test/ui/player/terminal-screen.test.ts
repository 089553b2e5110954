import { expect, test } from 'vitest';
import { TerminalScreen } from '../../../src/ui/player/terminal-screen.ts';
import { TerminalFilter } from '../../../src/ui/text/terminal-filter.ts';

const plainLines = (screen: TerminalScreen, columns = 200, rows = 100): string[] =>
  screen
    .lines(columns, rows)
    // Colours and the cursor are looked at by themselves.
    .map((line) => line.replaceAll(/\x1b\[[0-9;]*m/g, '').trimEnd());

function shown(text: string, { columns = 20, rows = 5 } = {}): string[] {
  const screen = new TerminalScreen();
  screen.resize(columns, rows);
  screen.write(text);
  const lines = plainLines(screen);
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}

test.each([
  ['text and line ends', 'one\r\ntwo', ['one', 'two']],
  ['CR goes back, and what is longer stays', 'abcdef\rXY', ['XYcdef']],
  ['BS moves and erases nothing', 'abc\b\bX', ['aXc']],
  ['a tab goes to the next stop', 'a\tb', ['a       b']],
  [
    'a long line goes on in the next',
    'abcdefghijklmnopqrstuvwxyz',
    ['abcdefghijklmnopqrst', 'uvwxyz'],
  ],
  [
    'without wrapping the last column is overwritten',
    '\x1b[?7labcdefghijklmnopqrstuvwxyz',
    ['abcdefghijklmnopqrsz'],
  ],
  ['the screen scrolls', '1\r\n2\r\n3\r\n4\r\n5\r\n6', ['2', '3', '4', '5', '6']],
  ['the cursor is placed', '\x1b[3;4Hx\x1b[1;1Hy', ['y', '', '   x']],
  ['the cursor moves', 'a\x1b[2Cb\x1b[1Bc\x1b[3Dd\x1b[1Ae', ['a  e', '  d c']],
  ['lines are erased', 'abcdef\x1b[3D\x1b[K', ['abc']],
  ['the screen is erased', 'abc\r\ndef\x1b[2Jx', ['', '   x']],
  ['characters are deleted and inserted', 'abcdef\r\x1b[2P\x1b[1@', [' cdef']],
  [
    'lines are inserted and deleted',
    '1\r\n2\r\n3\x1b[2;1H\x1b[1Lnew\x1b[1;1H\x1b[1M',
    ['new', '2', '3'],
  ],
  [
    'only the region scrolls',
    'top\r\n\x1b[2;3r\x1b[2;1Ha\r\nb\r\nc\x1b[5;1Hend',
    ['top', 'b', 'c', '', 'end'],
  ],
  ['a character is repeated', 'x\x1b[4b', ['xxxxx']],
  ['wide characters take two columns, and are whole or gone', '日本\rx\x1b[1;4Hy', ['x  y']],
  ['an accent belongs to what is before it', 'e\u0301x', ['e\u0301x']],
  ['boxes are drawn', '\x1b(0lqk\x1b(B l', ['┌─┐ l']],
  [
    'the alternate screen goes away again',
    'shell\x1b[?1049h\x1b[1;1Heditor\x1b[?1049l$',
    ['shell$'],
  ],
  [
    'a line down, a new line, a line up',
    'ab\x1bDc\x1bEd\x1bMe\x1b[1;1H\x1bMtop',
    ['top', 'ab', ' ec', 'd'],
  ],
  ['the cursor is saved', 'ab\x1b7\x1b[5;1Hx\x1b8c', ['abc', '', '', '', 'x']],
])('%s', (_what, text, lines) => {
  expect(shown(text)).toEqual(lines);
});

test('colours are kept where they are, and end with the line', () => {
  const screen = new TerminalScreen();
  screen.resize(10, 1);
  screen.write('\x1b[?25l\x1b[1;31mred\x1b[0m \x1b[38;5;208mx\x1b[39;48;2;1;2;3my\x1b[m');
  expect(screen.lines(10, 1)).toEqual(
    ['\x1b[1;31mred\x1b[0m \x1b[38;5;208mx\x1b[0m\x1b[48;2;1;2;3my\x1b[0m     '].map((line) =>
      line.trimEnd(),
    ),
  );
});

test('a window that is smaller shows the part with the cursor', () => {
  const screen = new TerminalScreen();
  screen.resize(100, 50);
  screen.write('\x1b[40;90Hhere');
  const lines = plainLines(screen, 20, 10);
  expect(lines).toHaveLength(10);
  expect(lines.at(-1)).toMatch(/here$/);
});

test('a new size keeps what is at the cursor', () => {
  const screen = new TerminalScreen();
  screen.resize(10, 5);
  screen.write('1\r\n2\r\n3\r\n4\r\n5');
  screen.resize(10, 2);
  expect(plainLines(screen)).toEqual(['4', '5']);
  screen.resize(3, 4);
  screen.write('\r\nabcdef');
  expect(plainLines(screen)).toEqual(['4', '5', 'abc', 'def']);
});

test('sizes that no screen has are cut', () => {
  const screen = new TerminalScreen();
  screen.resize(4_000_000_000, 0);
  expect([screen.columns, screen.rows]).toEqual([500, 1]);
});

test('whatever comes out of the filter, nothing but text and colours reaches the lines', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  const pieces = [
    '\x1b[',
    '\x1b]52;c;aGk=\x07',
    '\x1b7',
    '\x1b8',
    '\x1b(0',
    '?1049h',
    '?1049l',
    ';',
    '5',
    '99',
    'H',
    'J',
    'K',
    'L',
    'M',
    'P',
    '@',
    'X',
    'S',
    'T',
    'r',
    'd',
    'G',
    'b',
    'm',
    '38;2;',
    '\n',
    '\r',
    '\b',
    '\t',
    '日',
    'é',
    'x',
    '\u009b',
    '\u202e',
  ];
  const screen = new TerminalScreen();
  const filter = new TerminalFilter();
  for (let round = 0; round < 20_000; round++) {
    if (random(50) === 0) {
      screen.resize(1 + random(40), 1 + random(12));
    }
    screen.write(filter.write(Buffer.from(pieces[random(pieces.length)] ?? '')));
    if (random(20) === 0) {
      const lines = screen.lines(30, 10);
      expect(lines.length).toBeLessThanOrEqual(10);
      expect(lines.join('\n').replaceAll(/\x1b\[[0-9;]*m/g, '')).not.toMatch(
        /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/,
      );
    }
  }
});
