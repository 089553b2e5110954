import { expect, test } from 'vitest';
import { lineDiff } from '../../src/ui/text/line-diff.ts';

function shown(before: string, after: string): string {
  return lineDiff(before, after)
    .map((line) => (line === undefined ? '~' : `${line.sign}${line.text}`))
    .join('|');
}

test.each([
  ['', 'a\nb\n', '+a|+b'],
  ['a\nb\n', '', '-a|-b'],
  ['a\nb\nc\n', 'a\nB\nc\n', ' a|-b|+B| c'],
  ['a\n', 'a', '-a|+a (no newline at end of file)'],
  ['1\n2\n3\n4\n5\n6\n7\n', '1\n2\n3\nx\n4\n5\n6\n7\n', ' 2| 3|+x| 4| 5'],
  ['a\n1\n2\n3\n4\n5\nb\n', 'A\n1\n2\n3\n4\n5\nB\n', '-a|+A| 1| 2|~| 4| 5|-b|+B'],
  ['same\n', 'same\n', ''],
])('%j, then %j', (before, after, expected) => {
  expect(shown(before, after)).toBe(expected);
});

test('texts with nothing in common end soon', () => {
  const many = (word: string) => Array.from({ length: 20_000 }, (_, n) => `${word}${n}`).join('\n');
  expect(lineDiff(many('a'), many('b'))).toHaveLength(40_000);
});
