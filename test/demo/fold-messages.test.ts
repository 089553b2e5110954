import { expect, test } from 'vitest';
import { foldMessages } from '../../src/demo/run-demo.ts';

test('a message is folded between words, under its label', () => {
  expect(
    foldMessages('ERROR:  no\nDETAIL:  Rule one of the policy 5e17a113dd38 says so.\n', 40),
  ).toBe('ERROR:  no\nDETAIL:  Rule one of the policy\n         5e17a113dd38 says so.\n');
});

test('so is what the gateway says through ssh, as hoop folds its own', () => {
  expect(foldMessages('hoop: Rule one of the policy 5e17a113dd38 says so.\n', 40)).toBe(
    'hoop: Rule one of the policy\nhoop:   5e17a113dd38 says so.\n',
  );
});

test('tables stay as they are, and so does everything where the width is not known', () => {
  const table = ` id | ${'x'.repeat(60)} | ${'y'.repeat(20)}\n`;
  expect(foldMessages(table, 40)).toBe(table);
  const long = `NOTICE:  ${'word '.repeat(30)}\n`;
  expect(foldMessages(long, undefined)).toBe(long);
});
