import { expect, test } from 'vitest';
import { findStatements, parseStatementId } from '../../src/replay/find-statements.ts';
import type { Decision, Prompt, Statement } from '../../src/replay/timeline.ts';

function prompt(id: string, parent?: string): Prompt {
  return {
    type: 'prompt',
    timeMs: 0,
    id,
    source: 'flag',
    text: `do ${id}`,
    bytes: 5,
    sha256: 'f'.repeat(64),
    isCut: false,
    sentMs: 0,
    parent,
  };
}

function decision(statement: number): Decision {
  return {
    statement,
    effect: 'allow',
    verbs: [],
    relations: [],
    columnsComputed: [],
    columnsMasked: [],
    outputsMasked: undefined,
    rules: [],
    code: undefined,
    message: undefined,
    policyCommit: 'c0ffee',
    comments: undefined,
    prompt: undefined,
  };
}

function statement(number: number, changes: Partial<Statement> = {}): Statement {
  return {
    type: 'statement',
    number,
    stream: 1,
    at: 0,
    protocol: 'simple',
    text: 'SELECT 1',
    textLength: 8,
    name: '',
    parameters: [],
    decisions: [decision(number)],
    prompt: undefined,
    approvals: [],
    results: [],
    error: undefined,
    notices: [],
    outcome: 'ok',
    startMs: 0,
    endMs: 0,
    ...changes,
  };
}

test.each([
  ['7', { type: 'number', number: 7 }],
  ['#7', { type: 'number', number: 7 }],
  ['2.5', { type: 'decided', stream: 2, statement: 5 }],
  ['0', undefined],
  ['2.', undefined],
  ['-1', undefined],
  ['1.2.3', undefined],
  ['7; rm', undefined],
])('the id %s', (text, id) => {
  expect(parseStatementId(text)).toEqual(id);
});

test('all runs of one prepared statement have its id', () => {
  const runs = [1, 2, 3].map((number) => statement(number, { decisions: [decision(4)] }));
  const { found } = findStatements(runs, { type: 'decided', stream: 1, statement: 4 });
  expect(found.map((one) => one.statement.number)).toEqual([1, 2, 3]);
  expect(findStatements(runs, { type: 'decided', stream: 2, statement: 4 }).found).toEqual([]);
  const many = Array.from({ length: 50 }, (_, index) =>
    statement(index + 1, { decisions: [decision(4)] }),
  );
  expect(findStatements(many, { type: 'decided', stream: 1, statement: 4 })).toMatchObject({
    found: { length: 20 },
    more: 30,
  });
});

test('the prompts behind a statement end where they are not in the recording, or lead back', () => {
  const of = (...prompts: Prompt[]) =>
    findStatements([...prompts, statement(1, { prompt: 'p1' })], {
      type: 'number',
      number: 1,
    }).found[0]?.prompts.map(({ id }) => id);
  expect(of(prompt('p0'), prompt('p1', 'p0'))).toEqual(['p1', 'p0']);
  expect(of(prompt('p1', 'elsewhere'))).toEqual(['p1']);
  expect(of(prompt('p0', 'p1'), prompt('p1', 'p0'))).toEqual(['p1', 'p0']);
  expect(of(prompt('p1', 'p1'))).toEqual(['p1']);
  expect(of()).toEqual([]);
});
