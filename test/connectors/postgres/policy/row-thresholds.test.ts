import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AllowedStatement } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { decideRows } from '../../../../src/connectors/postgres/policy/verdict/decide-rows.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(fileURLToPath(new URL('row-counts.sql', import.meta.url)));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function decide(sql: string, grant: Grant) {
  return evaluate(await bench.analyse(sql), grant, { catalog: bench.catalog, text: sql });
}

async function allowed(sql: string, grant: Grant): Promise<AllowedStatement> {
  const verdict = await decide(sql, grant);
  const [statement] = verdict.effect === 'allow' ? verdict.statements : [];
  if (!statement) throw new TypeError('refused');
  return statement;
}

const trial = (rows: number) => ({ counted: 'trial', rows, relations: [] }) as const;

/** What becomes of a statement by the number of rows that it changes, e.g. `allow 100 hold`. */
async function byCount(rules: readonly string[], sql: string): Promise<string> {
  const grant = grantOf({ rules });
  const verdict = await decide(sql, grant);
  if (verdict.effect === 'refuse') return verdict.refusal.code;
  const [statement] = verdict.statements;
  if (!statement) throw new TypeError('nothing was decided');
  const { approvals = [], rowThresholds = [] } = statement;
  const start = approvals.length > 0 ? `approve by ${approvals.length}` : 'allow';
  const steps = rowThresholds.map(({ above }) => {
    const decided = decideRows(statement, trial(above + 1));
    return `${above} ${decided.effect}`;
  });
  return [start, ...steps].join(' ');
}

const DELETE = 'DELETE FROM plain WHERE id = 1';

describe('rules with rows decide by the number of rows that change', () => {
  test.each<[rules: string, sql: string, expected: string]>([
    ['allow delete', DELETE, 'allow'],
    ['allow delete up to 100 rows', DELETE, 'allow 100 refuse'],
    ['allow delete up to 0 rows', DELETE, 'allow 0 refuse'],
    ['allow delete; approve delete above 100 rows', DELETE, 'allow 100 hold'],
    ['allow delete; deny delete above 100 rows', DELETE, 'allow 100 refuse'],
    [
      'allow delete; approve delete above 10 rows; deny delete above 100 rows',
      DELETE,
      'allow 10 hold 100 refuse',
    ],
    // What no rule allows at all needs no count.
    ['approve delete above 10 rows', DELETE, 'HOOP_NOT_ALLOWED'],
    ['deny delete above 10 rows', DELETE, 'HOOP_NOT_ALLOWED'],
    ['allow delete; deny delete; approve delete above 10 rows', DELETE, 'HOOP_DENIED'],
    // Of several that allow, the widest.
    ['allow delete up to 10 rows; allow delete up to 50 rows', DELETE, 'allow 50 refuse'],
    ['allow delete up to 10 rows; allow delete', DELETE, 'allow'],
    ['allow delete up to 10 rows; allow delete on public.orders', DELETE, 'allow 10 refuse'],
    // The end of the one is where the other begins, or before it.
    ['allow delete up to 100 rows; approve delete above 100 rows', DELETE, 'allow 100 hold'],
    ['allow delete up to 100 rows; approve delete above 10 rows', DELETE, 'allow 10 hold'],
    [
      'allow delete up to 10 rows; approve delete above 100 rows',
      DELETE,
      'allow 10 refuse 100 refuse',
    ],
    [
      'allow delete up to 10 rows; approve delete above 10 rows on public.orders',
      DELETE,
      'allow 10 refuse',
    ],
    // WHERE and the number are two conditions.
    [
      'allow delete; approve delete without WHERE; approve delete above 9 rows',
      DELETE,
      'allow 9 hold',
    ],
    [
      'allow delete; approve delete without WHERE; approve delete above 9 rows',
      'DELETE FROM plain',
      'approve by 2',
    ],
    ['allow delete with WHERE up to 10 rows', 'DELETE FROM plain', 'HOOP_NOT_ALLOWED'],
    ['allow delete; deny delete with WHERE above 10 rows', 'DELETE FROM plain', 'allow'],
    // Every part of a statement.
    [
      'allow select, delete up to 100 rows; allow update up to 10 rows',
      "WITH d AS (DELETE FROM plain WHERE id = 1) UPDATE owners SET name = 'x' WHERE id = 1",
      'allow 10 refuse 100 refuse',
    ],
    [
      'allow delete; approve delete above 5 rows on public.orders',
      'DELETE FROM orders WHERE id = 1',
      'allow 5 hold',
    ],
    ['allow insert; approve insert above 5 rows', 'COPY plain FROM STDIN', 'allow 5 hold'],
    ['allow insert; approve copy above 5 rows', 'COPY plain FROM STDIN', 'allow 5 hold'],
    ['allow insert; approve copy above 5 rows', 'INSERT INTO plain VALUES (50)', 'allow'],
    [
      'allow delete; deny delete above 5 rows',
      'EXPLAIN ANALYZE DELETE FROM plain',
      'allow 5 refuse',
    ],
    ['allow delete; deny delete above 5 rows', 'PREPARE x AS DELETE FROM plain', 'allow 5 refuse'],
    // What changes no rows is not counted.
    ['allow select, delete up to 5 rows', 'SELECT id FROM plain', 'allow'],
    ['allow delete, select; deny delete above 5 rows', 'EXPLAIN DELETE FROM plain', 'allow'],
    ['allow select; deny copy above 5 rows', 'COPY plain TO STDOUT', 'allow'],
  ])('%s: %s', async (rules, sql, expected) => {
    expect(await byCount(rules.split('; '), sql)).toBe(expected);
  });
});

test('what needs approval anyway is not counted first: all who might have to agree are asked', async () => {
  const rules = ['approve delete', 'approve delete above 10 rows', 'deny delete above 100 rows'];
  expect(await byCount(rules, DELETE)).toBe('approve by 2 100 refuse');
});

test('a statement of an agent must stay within the numbers of both', async () => {
  const sides = {
    principal: grantOf({ rules: ['allow delete', 'approve delete above 10 rows'] }).rules,
    agent: grantOf({ rules: ['allow delete up to 50 rows'] }).rules,
  };
  const agent = {
    name: 'devin',
    file: 'agents/devin.yaml',
    principal: 'ann@example.org',
    isAgent: false,
    sides,
  };
  const statement = await allowed(DELETE, { ...grantOf({}), agent });
  expect(statement.rowThresholds?.map(({ above, outcome }) => [above, outcome.effect])).toEqual([
    [10, 'hold'],
    [50, 'refuse'],
  ]);
  const [, refused] = statement.rowThresholds ?? [];
  expect(refused?.outcome).toMatchObject({
    refusal: { hint: expect.stringContaining('Allowed for agent devin: delete of up to 50 rows') },
  });
});

test('a refusal by the number says the number, what was counted and what is allowed', async () => {
  const grant = grantOf({ rules: ['allow delete up to 100 rows on public.*'] });
  const statement = await allowed('DELETE FROM orders WHERE id > 1', grant);
  const decided = decideRows(statement, {
    counted: 'trial',
    rows: 4211,
    relations: [
      { schema: 'public', name: 'items', rows: 4000 },
      { schema: 'public', name: 'orders', rows: 211 },
    ],
  });
  expect(decided).toMatchObject({
    effect: 'refuse',
    refusal: {
      code: 'HOOP_NOT_ALLOWED',
      message: 'DELETE on public.orders that changes more than 100 rows is not allowed by policy',
      detail:
        'It would change 4,211 rows: 4,000 rows of public.items, 211 rows of public.orders (counted in a rolled-back run; other rows may match later). Rule p/rule-1 (policies/p.yaml:10, policy 0123456789ab) says so.',
      hint: 'Allowed here: delete of up to 100 rows on public.*.',
    },
  });
});

test('above a number for which nobody can approve it is refused', async () => {
  const [allow, approve] = grantOf({
    rules: ['allow delete', 'approve delete above 5 rows'],
  }).rules;
  if (!allow || !approve?.approval) throw new TypeError('no rules');
  const rules = [allow, { ...approve, approval: { ...approve.approval, groups: [] } }];
  const statement = await allowed(DELETE, { ...grantOf({}), rules });
  expect(decideRows(statement, trial(6))).toMatchObject({
    effect: 'refuse',
    refusal: { code: 'HOOP_APPROVAL_UNAVAILABLE' },
  });
});
