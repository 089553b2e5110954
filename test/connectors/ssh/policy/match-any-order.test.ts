/** What deny rules find, against the definition in its shortest form. */
import { expect, test } from 'vitest';
import {
  commandMayFit,
  MAYBE,
  NO,
  YES,
} from '../../../../src/connectors/ssh/policy/match-command.ts';
import type { ShellWord } from '../../../../src/connectors/ssh/policy/shell-types.ts';

const PATTERN = ['git', '*', 'push', 'a*', '-x', '/srv/**'];
const WORDS: readonly ShellWord[] = [
  ...['git', '/bin/git', 'push', 'a', 'ab', '-x', '-', '--y', '/srv/a'],
  { unknown: 'one' },
  { unknown: 'many' },
];

/** Whether one word fits one of the pattern: what the other tests are about. */
function oneFits(wanted: string, word: ShellWord, isProgram: boolean): number {
  return isProgram ? commandMayFit([wanted], [word]) : commandMayFit(['p', wanted], ['p', word]);
}

function fits(pattern: readonly string[], words: readonly ShellWord[], i = 0): number {
  const [wanted, ...wantedRest] = pattern;
  const [word, ...rest] = words;
  if (wanted === '**' || (wanted === undefined && word === undefined)) {
    return YES;
  }
  if (word === undefined) {
    return NO;
  }
  const isMany = typeof word !== 'string' && word.unknown === 'many';
  const isOption = typeof word === 'string' && i > 0 && /^-./.test(word);
  const here = wanted === undefined ? NO : isMany ? MAYBE : oneFits(wanted, word, i === 0);
  return Math.max(
    isMany ? Math.min(MAYBE, fits(pattern, rest, i)) : NO,
    isMany && wanted !== undefined ? Math.min(MAYBE, fits(wantedRest, words, i + 1)) : NO,
    isOption ? fits(pattern, rest, i) : NO,
    isOption && rest.length > 0 ? fits(pattern, rest.slice(1), i) : NO,
    here === NO ? NO : Math.min(here, fits(wantedRest, rest, i + 1)),
  );
}

test('options, unknown words and open ends are found in every combination', () => {
  const seen = [0, 0, 0];
  // A linear congruential generator: the same cases every time.
  let state = 1;
  const pick = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  for (let round = 0; round < 20_000; round += 1) {
    const pattern = Array.from({ length: 1 + pick(3) }, () => PATTERN[pick(PATTERN.length)] ?? '');
    const words = Array.from({ length: pick(6) }, () => WORDS[pick(WORDS.length)] ?? '');
    const whole = pick(2) === 0 ? pattern : [...pattern, '**'];
    const wanted = words.length === 0 ? NO : fits(whole, words);
    seen[wanted] = (seen[wanted] ?? 0) + 1;
    if (commandMayFit(whole, words) !== wanted) {
      expect({ whole, words, is: commandMayFit(whole, words) }).toEqual({ wanted });
    }
  }
  expect(seen.every((count) => count > 100)).toBe(true);
});
