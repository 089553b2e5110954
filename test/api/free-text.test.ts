import { expect, test } from 'vitest';
import { checkReason } from '../../src/api/free-text.ts';
import { EndRunRequest } from '../../src/api/runs.ts';

test.each([
  [
    'half a character',
    'INC-\udc00',
    'It contains half of a surrogate pair, which is not a character.',
  ],
  ['more than is recorded', 'x'.repeat(2001), 'It is longer than 2000 characters.'],
])('a reason of %s is refused before anything is signed or sent', (_what, reason, detail) => {
  expect(() => checkReason(reason)).toThrow(
    expect.objectContaining({
      code: 'HOOP_USAGE',
      message: 'the reason cannot be recorded',
      detail,
    }),
  );
});

test.each([undefined, '', 'INC-4711', 'two\nlines \u{1f600}', 'x'.repeat(2000)])(
  'any other text is a reason: %j',
  (reason) => {
    expect(() => checkReason(reason)).not.toThrow();
  },
);

test('who ends a run gives one line for the terminal of somebody else', () => {
  const isTaken = (reason: string) => EndRunRequest.safeParse({ v: 1, reason }).success;
  expect(['\u001b[2Jgone', 'two\nlines', '\u202eover'].filter(isTaken)).toEqual([]);
  expect(['deletes rows in a loop', 'Schlüssel verloren 🔑'].every(isTaken)).toBe(true);
});
