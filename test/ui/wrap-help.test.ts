import { expect, test } from 'vitest';
import { wrapHelp } from '../../src/ui/text/wrap-help.ts';

test('a paragraph that is too wide is filled anew, and all else stays as it was', () => {
  const text = `
One two three four five six seven eight nine ten eleven twelve.
Short.

Kept:
  an example that is much wider than what is allowed here, as it was written
`;
  expect(wrapHelp(text, 40)).toBe(`
One two three four five six seven eight
nine ten eleven twelve. Short.

Kept:
  an example that is much wider than what is allowed here, as it was written
`);
});

test('a paragraph that fits keeps its line ends', () => {
  const text = 'One,\ntwo.\n\nThree.\n';
  expect(wrapHelp(text, 40)).toBe(text);
});
