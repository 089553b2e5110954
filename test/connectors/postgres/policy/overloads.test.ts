/**
 * Types of a database's own in public, with operators of everyday names and casts that are applied
 * unasked, as extensions bring them: what does not call their code is not refused for it.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'overloads.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

async function reasons(sql: string, searchPath = ['pg_catalog', 'public']): Promise<string> {
  const analyses = await bench.analyse(sql, { searchPath });
  return analyses.flatMap(({ opaque }) => opaque.map(({ reason }) => reason)).join('\n');
}

describe('a statement that calls only what is built in, or of a known extension', () => {
  test.each([
    "SELECT 'a'::text = 'b'",
    "SELECT id FROM person WHERE name = 'x' AND name IN ('a', 'b') AND name LIKE 'a%' AND id BETWEEN 1 AND 2",
    "SELECT CASE name WHEN 'a' THEN 1 ELSE 2 END, nullif(name, ''), name || id, name < 'x' FROM person",
    'SELECT id FROM person JOIN person q USING (id, name) WHERE (person.id, q.name) = (1, $1)',
    "SELECT id FROM person WHERE name = ANY ('{a,b}') OR name IN (SELECT name FROM worker) OR name = $1",
    "SELECT id FROM person WHERE lower(name) = 'x' AND length(name) > 3 AND tableoid = 'person'::regclass",
    "SELECT x FROM (VALUES ('a'), ('b')) v (x) WHERE x = 'a' AND current_user = 'me'",
    "SELECT count(*) = 1, max(name) = 'x', (array_agg(name))[1] = 'x', now() = 'today' FROM person",
    "SELECT ('a'::citext = 'A'), 'a=>1'::hstore -> 'a' = '1', 'a.b'::ltree <@ 'a', name % 'x', normal_rand(1, 0, 1) FROM person",
    `SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n
      ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(person)$' COLLATE pg_catalog.default
      AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3`,
    "SELECT picked FROM (SELECT 1 AS picked) q WHERE picked = 1 AND 'x'::word = 'y' AND 1::digit = 2",
  ])('is none for its namesakes: %s', async (sql) => {
    expect(await reasons(sql)).toBe('');
  });
});

describe('a statement that calls code of the database is refused for it', () => {
  test.each([
    ["SELECT NULL::shape = 'x'", 'shape_eq'],
    ['SELECT NULL::shape = NULL::frame', 'shape_eq'],
    ['SELECT NULL::shape BETWEEN $1 AND $2', 'shape_eq'],
    ['SELECT NULL::shape NOT BETWEEN $1 AND $2', 'shape_eq'],
    ["SELECT NULL::shape IN ('x', 'y')", 'shape_eq'],
    ['SELECT ($1, NULL::shape) = (1, $2)', 'shape_eq'],
    ['SELECT (1, NULL::shape) IN (SELECT 1, NULL::shape)', 'shape_eq'],
    ["SELECT CASE NULL::shape WHEN 'x' THEN 1 END", 'shape_eq'],
    ["SELECT nullif(NULL::shape, 'x')", 'shape_eq'],
    [
      'SELECT a.x FROM (SELECT NULL::shape AS x) a JOIN (SELECT NULL::shape AS x) b USING (x)',
      'shape_eq',
    ],
    ["SELECT 'a'::text = 5", 'odd_eq'],
    ["SELECT 1 + 'a'::text", 'odd_sum'],
    ["SELECT 'a'::text @ 'b'::text", 'shape_eq'],
    ['SELECT lower(NULL::shape)', 'public.lower'],
    ['SELECT length(NULL::frame)', 'public.length'],
    ['SELECT upper(NULL::shape)', 'public.text'],
    ['SELECT picked(1)', 'public.picked'],
    ['SELECT picked(1, 2, 3)', 'public.picked'],
    ['SELECT 1 WHERE 1 OPERATOR(public.=) 2', 'own_eq'],
    // The parameter is a shape in one place, whatever stands beside it in the other.
    ['SELECT $1 = NULL::shape, $1 @ $1', 'shape_eq'],
    ["SELECT * FROM crosstab('SELECT 1, 2, 3') AS t (a int, b int)", 'crosstab'],
  ])('%s', async (sql, called) => {
    expect(await reasons(sql)).toContain(called);
  });

  test('and which of two with the same operands is meant, search_path says', async () => {
    expect(await reasons('SELECT 1 = 2')).toBe('');
    expect(await reasons('SELECT 1 = 2', ['public', 'pg_catalog'])).toContain('own_eq');
  });
});

test('a function that was added to a known extension is none of it', async () => {
  const { catalog } = bench;
  const [own] = catalog.functions('public', 'similarity');
  expect(own).toMatchObject({ extension: 'pg_trgm', language: 'c' });
  expect(await reasons("SELECT similarity('a', 'b')")).toBe('');
  const [added] = catalog.functions('public', 'added');
  expect(added).toMatchObject({ extension: 'pg_trgm', language: 'sql' });
  expect(await reasons("SELECT added('a')")).toContain('public.added');
  expect(await reasons('SELECT summed(1)')).toContain('public.summed');
});
