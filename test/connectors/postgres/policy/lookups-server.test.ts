/** What PostgreSQL itself does with the comparisons that are taken for lookups: it leaves the column alone. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPARED_AS_IT_IS } from '../../../../src/connectors/postgres/policy/lookups/lookup-types.ts';
import { arrayElementCount } from '../../../../src/connectors/postgres/policy/walk/array-literal.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { textRows } from './sql-bench.ts';

const SAMPLES: Readonly<Record<string, string>> = {
  boolean: 'true',
  bytea: '\\x00',
  date: '2026-01-01',
  inet: '10.0.0.1',
  macaddr: '00:00:00:00:00:01',
  'time without time zone': '12:00',
  'timestamp without time zone': '2026-01-01 12:00',
  'timestamp with time zone': '2026-01-01 12:00+00',
  uuid: 'c0ffee00-0000-4000-8000-000000000000',
};

let server: EmbeddedPostgres;
let client: pg.Client;
const names = new Map<number, string>();

beforeAll(async () => {
  server = await startTestPostgres();
  client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  const oids = [...COMPARED_AS_IT_IS.keys()];
  const rows = await textRows(
    client,
    `SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid IN (${oids.join(', ')})`,
  );
  for (const [oid, name] of rows) names.set(Number(oid), name ?? '');
  await client.query(
    `CREATE TABLE t (${[...names].map(([oid, name]) => `c${oid} ${name}`).join(', ')})`,
  );
  await client.query('CREATE EXTENSION citext; CREATE TABLE n (c citext)');
  await client.query('SET enable_indexscan = off; SET plan_cache_mode = force_generic_plan');
});

afterAll(async () => {
  await client.end();
  await server[Symbol.asyncDispose]();
});

/** The condition as the server runs it. */
async function filterOf(condition: string, parameters?: string, table = 't'): Promise<string> {
  const query = `SELECT FROM ${table} WHERE ${condition}`;
  if (parameters === undefined)
    return found(await textRows(client, `EXPLAIN (COSTS off) ${query}`));
  await client.query(`PREPARE p (${parameters}) AS ${query}`);
  const plan = await textRows(client, 'EXPLAIN (COSTS off) EXECUTE p (NULL)');
  await client.query('DEALLOCATE p');
  return found(plan);
}

function found(plan: readonly (string | null)[][]): string {
  const lines = plan.flatMap(([line]) => line ?? []);
  return lines.find((line) => line.includes('Filter:'))?.trim() ?? lines.join('\n');
}

/** The column, or the text that varchar and citext are. */
const alone = (column: string): RegExp =>
  new RegExp(`^Filter: \\((?:${column}|\\(${column}\\)::text) = `);

const pairs = [...COMPARED_AS_IT_IS].flatMap(([column, values]) =>
  values.map((value) => [column, value] as const),
);

describe('the column is compared as it is', () => {
  test.each(pairs)('type %i with a value of type %i', async (column, value) => {
    const c = `c${column}`;
    const type = names.get(value) ?? 'none';
    const sample = `'${SAMPLES[type] ?? '1'}'`;
    for (const condition of [
      `${c} = ${sample}`,
      `${c} = ${sample}::${type}`,
      `${c} IN (${sample}::${type}, ${sample})`,
      `${c} = ANY (ARRAY[${sample}::${type}, ${sample}])`,
      `${c} = ANY ('{}'::${type}[])`,
    ]) {
      // A constant condition on a boolean is the column, or none.
      const filter = await filterOf(condition);
      expect(filter, condition).toMatch(column === 16 ? /^Filter: (c16|\(c16 = )/ : alone(c));
    }
    expect(await filterOf(`${c} = $1`, type)).toMatch(alone(c));
    expect(await filterOf(`${c} = ANY ($1)`, `${type}[]`)).toMatch(alone(c));
    expect(await filterOf(`${c} = $1`, 'unknown')).toMatch(alone(c));
    expect(await filterOf(`${c} = ANY ($1)`, 'unknown')).toMatch(alone(c));
  });

  test.each(['25', '1043'])('lower() of type %s', async (oid) => {
    const inner = oid === '25' ? 'c25' : '(c1043)::text';
    for (const condition of [`lower(c${oid}) = lower('A')`, `lower(c${oid}) IN ('a', 'b')`]) {
      expect(await filterOf(condition)).toContain(`Filter: (lower(${inner}) = `);
    }
    expect(await filterOf(`lower(c${oid}) = lower($1)`, 'unknown')).toMatch(/= lower\(\$1\)\)$/);
  });

  test.each(["c = 'a'", "c = 'a'::text", "c IN ('a'::text, 'b')"])(
    'citext: %s',
    async (condition) => {
      expect(await filterOf(condition, undefined, 'n')).toMatch(alone('c'));
    },
  );
});

test.each([
  ['c1700 = 1::float8', '(c1700)::double precision'],
  ['c1700 IN (1, 1::float8)', '(c1700)::double precision'],
  ['c20 = 1.5', '(c20)::numeric'],
  ["c1042 = 'a'::text", '(c1042)::text'],
  ["c1042 = ANY (ARRAY['a', 'b'])", '(c1042)::text'],
  ["c1043 = 'a'::char(3)", '(c1043)::bpchar'],
])('%s is compared with %s, and so it is no lookup', async (condition, converted) => {
  expect(await filterOf(condition)).toContain(converted);
});

test('the first place of an undeclared parameter gives it its type', async () => {
  const twice = 'c701 = $1 AND c1700 = $1';
  expect(await filterOf(twice, 'unknown')).toContain('(c1700)::double precision');
});

test('a cast carries the collation of a domain to the comparison', async () => {
  await client.query(
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE DOMAIN d AS text COLLATE any_case; CREATE TABLE e AS SELECT text 'Ann' AS c",
  );
  expect(await textRows(client, "SELECT 1 FROM e WHERE c = 'ANN'")).toEqual([]);
  expect(await textRows(client, "SELECT 1 FROM e WHERE c = ('ANN'::d)::text")).toEqual([['1']]);
});

test.each([
  '{}',
  ' { } ',
  '{a}',
  '{a,b}',
  ' { a , b c } ',
  '{NULL,"NULL"}',
  '{"a,b","c}","d\\"e","\\\\"}',
  '{{a,b},{c,d}}',
  '{{{1,2}},{{3,4}}}',
  '{"",x}',
])('the elements of %s are as many as the server says', async (literal) => {
  const { rows } = await client.query('SELECT cardinality($1::text[]) AS n', [literal]);
  expect(arrayElementCount(literal)).toBe(rows[0].n);
});

test.each([
  '',
  'a',
  '{',
  '{a',
  '{a,}',
  '{,a}',
  '{a}b',
  '{a{b}}',
  '{"a"b}',
  '{a"b"}',
  '[0:0]={a}',
  '{{}}',
  '{a\\,b}',
  'NULL',
  '1 2',
])('what is not read in the same way everywhere is not counted: %s', (literal) => {
  expect(arrayElementCount(literal)).toBeUndefined();
});
