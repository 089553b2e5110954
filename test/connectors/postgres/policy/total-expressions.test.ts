import { loadModule, parse } from 'libpg-query';
import { beforeAll, expect, test } from 'vitest';
import { isTotalExpression } from '../../../../src/connectors/postgres/policy/walk/total-expressions.ts';

beforeAll(() => loadModule());

test.each([
  "((first || ' '::text) || last)",
  "COALESCE(first, ''::text)",
  'lower((email)::text) || (salary)::text',
  "to_tsvector('english'::regconfig, ((title || ' '::text) || body))",
  "setweight(to_tsvector('english'::regconfig, title), 'A'::\"char\") || to_tsvector('english'::regconfig, body)",
  '((salary > bonus) AND (email IS NOT NULL))',
  "CASE WHEN (salary IS NULL) THEN 'new'::text ELSE first END",
  'TRIM(BOTH FROM first)',
])('%s succeeds for every value', async (expression) => {
  expect(isTotalExpression(await parse(`SELECT ${expression}`))).toBe(true);
});

test.each([
  '(bonus + salary)',
  '((bonus + salary))::text',
  '(bonus / salary) > 5',
  'CASE WHEN (salary > 5) THEN (1 / bonus) ELSE 0 END',
  '(pin)::integer',
  '(first || last)::character varying(5)',
  'app.joined(first, last)',
  'app.lower(first)',
  '(first OPERATOR(app.||) last)',
  'repeat(first, salary)',
  'ARRAY[first, last]',
  'chr(salary) || first',
  'sqrt(salary) > bonus',
  'first, last',
])('%s may fail', async (expression) => {
  expect(isTotalExpression(await parse(`SELECT ${expression}`))).toBe(false);
});

test('what could not be parsed may fail', () => {
  expect(isTotalExpression(undefined)).toBe(false);
});
