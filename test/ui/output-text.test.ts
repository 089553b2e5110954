import { expect, test } from 'vitest';
import { OutputText, outputLines } from '../../src/ui/text/output-text.ts';

test.each([
  ['colours are gone', '\x1b[1;31mred\x1b[0m', ['red']],
  ['a progress bar is what it was last', '10%\r 50%\r100%\r\n', ['100%']],
  ['what was erased with BS is gone', 'pasx\bsword', ['password']],
  [
    'a title, a clipboard and a link leave nothing',
    'a\x1b]52;c;aGk=\x07b\x1b]8;;http://x\x1b\\c',
    ['abc'],
  ],
  ['other controls are shown', 'a\x01b', ['a⟪U+0001⟫b']],
  ['tabs go to their stops', 'a\tb', ['a       b']],
])('%s', (_what, text, lines) => {
  expect(outputLines(text)).toEqual(lines);
});

test('a line that never ends is given out in parts', () => {
  const output = new OutputText();
  const parts = Array.from({ length: 40 }, () => output.write(Buffer.alloc(4096, 'x'))).flat();
  expect(parts.length).toBeGreaterThan(1);
  expect([...parts, ...output.end()].join('')).toHaveLength(40 * 4096);
});
