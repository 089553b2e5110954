import { expect, test } from 'vitest';
import { CollectedFacts } from '../../../../src/connectors/ssh/policy/collected-facts.ts';

const COMMAND = { words: ['true'], assignments: [], startedBy: undefined, isReader: false };
const REDIRECTION = { path: '/tmp/a', operations: ['write'], from: 0, to: 1 } as const;
const WRITTEN_OUT = { command: 0, at: 'all' } as const;

test.each([
  ['commands', (facts: CollectedFacts) => facts.command(COMMAND)],
  ['redirections', (facts: CollectedFacts) => facts.redirection(REDIRECTION)],
  ['unknown', (facts: CollectedFacts) => facts.unknown('it sets PATH', WRITTEN_OUT)],
] as const)(
  'what does not fit among %s is told in a way that no rule can write out',
  (name, add) => {
    const facts = new CollectedFacts();
    for (let count = 0; count < 500; count += 1) add(facts);
    expect(facts.all.unknown.filter(({ startedBy }) => startedBy === undefined)).toEqual([]);
    add(facts);
    expect(facts.all.unknown.filter(({ startedBy }) => startedBy === undefined)).toHaveLength(1);
    expect(facts.all[name].length).toBeLessThanOrEqual(501);
  },
);

test('nor is it lost when there is no room left to tell it', () => {
  const facts = new CollectedFacts();
  for (let count = 0; count < 500; count += 1) {
    facts.command(COMMAND);
    facts.unknown('it sets PATH', WRITTEN_OUT);
  }
  expect(facts.command(COMMAND)).toBeUndefined();
  expect(facts.all.unknown.at(-1)?.startedBy).toBeUndefined();
});

test('what is nested too deeply is not looked at, and that is told', () => {
  const facts = new CollectedFacts();
  let deepest = 0;
  const nest = (level: number): void =>
    facts.within(() => {
      deepest = level;
      nest(level + 1);
    });
  nest(1);
  expect(deepest).toBe(64);
  expect(facts.all.unknown).toEqual([{ reason: 'it is nested too deeply', startedBy: undefined }]);
});
