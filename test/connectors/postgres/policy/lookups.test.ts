/** Which comparisons with a masked column are lookups, how many values they count, and which are none. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatementContext } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { type GrantText, grantOf } from './grant-fixture.ts';
import { confirmed, type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'lookups.sql');
const MASKED = [
  ...['email', 'mail_domain', 'login', 'nick', 'code', 'label', 'balance', 'ratio', 'small'],
  ...['number', 'account', 'born', 'seen', 'picture', 'address', 'vip', 'tags'],
];
const RULES = ['allow select, insert, update, delete, create table, create view on public.*'];
const support: GrantText = {
  rules: RULES,
  masks: MASKED.map((column) => `public.customers.${column} partial lookup`),
  inference: 'deny',
};

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function verdict(
  sql: string,
  context: Partial<StatementContext> = {},
  who: GrantText = support,
) {
  const analyses = await bench.analyse(sql, context);
  return evaluate(analyses, grantOf(who), { catalog: bench.catalog, text: sql });
}

/** What each comparison counts; or the refusal. */
async function counted(
  sql: string,
  context: Partial<StatementContext> = {},
  who: GrantText = support,
) {
  const decided = await verdict(sql, context, who);
  return decided.effect === 'refuse'
    ? decided.refusal.code
    : decided.statements.flatMap(({ lookups = [] }) => lookups.map(({ candidates }) => candidates));
}

const array = (parameter: number) => ({ parameter });
const types = (...oids: number[]) => ({ parameterTypes: oids });

describe('a lookup is', () => {
  test.each<[string, readonly unknown[]]>([
    ["SELECT id, email FROM customers WHERE email = 'a@b.example'", [1]],
    ["SELECT id FROM customers WHERE 'a@b.example' = email", [1]],
    ['SELECT * FROM customers WHERE email = $1', [1]],
    ['SELECT "customers".* FROM "public"."customers" WHERE "customers"."email" = $1 LIMIT $2', [1]],
    ['SELECT id FROM customers c WHERE c.email = $1 AND tenant_id = $2 ORDER BY id', [1]],
    ['SELECT id FROM customers WHERE tenant_id = 4 AND (name = $1 AND email = $2)', [1]],
    ['SELECT id FROM customers WHERE lower(email) = lower($1)', [1]],
    ["SELECT id FROM customers WHERE upper(email) = upper(trim(' a@b '))", [1]],
    ["SELECT id FROM customers WHERE pg_catalog.lower(email) OPERATOR(pg_catalog.=) 'a'", [1]],
    ['SELECT id FROM customers WHERE email IN ($1, $2, $3)', [3]],
    ["SELECT id FROM customers WHERE lower(email) IN ('a', lower('B'))", [2]],
    ['SELECT id FROM customers WHERE email = ANY ($1)', [array(1)]],
    ['SELECT id FROM customers WHERE email = ANY ($1::text[])', [array(1)]],
    ['SELECT id FROM customers WHERE lower(email) = ANY ($1)', [array(1)]],
    ['SELECT id FROM customers WHERE email = SOME (ARRAY[$1, $2])', [2]],
    ["SELECT id FROM customers WHERE email = ANY (ARRAY['a', 'b', NULL])", [3]],
    ["SELECT id FROM customers WHERE email = ANY (ARRAY['a', 'b']::text[])", [2]],
    [`SELECT id FROM customers WHERE email = ANY ('{a,"b,c",NULL}')`, [3]],
    ["SELECT id FROM customers WHERE email = ANY ('{}'::varchar[])", [0]],
    ['SELECT id FROM customers WHERE email = NULL', [1]],
    ['SELECT id FROM customers WHERE email = $1::text AND login = $2', [1, 1]],
    ['SELECT EXISTS (SELECT 1 FROM customers WHERE email = $1)', [1]],
    ['SELECT EXISTS(SELECT 1 AS one FROM customers WHERE email = $1 LIMIT 1)', [1]],
    ['SELECT count(*) FROM customers WHERE email = $1', [1]],
    ['SELECT 1 AS one FROM customers WHERE customers.email = $1 LIMIT $2', [1]],
    ['SELECT o.* FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = $1', [1]],
    ['SELECT * FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email = $1)', [1]],
    ['WITH c AS (SELECT id FROM customers WHERE email = $1) SELECT * FROM c', [1]],
    ['SELECT id FROM (SELECT id, email AS e FROM customers) q WHERE e = $1', [1]],
    ['SELECT id FROM customer_list WHERE mail = $1', [1]],
    [
      "SELECT id FROM customers WHERE email = 'a' UNION SELECT id FROM customers WHERE email = 'b'",
      [1, 1],
    ],
    ['UPDATE customers SET name = $1 WHERE email = $2', [1]],
    ['DELETE FROM customers WHERE email = $1', [1]],
    ['DELETE FROM orders USING customers c WHERE c.id = customer_id AND c.email = $1', [1]],
    ['INSERT INTO notes (id) SELECT id FROM customers WHERE email = $1', [1]],
    ["EXPLAIN SELECT id FROM customers WHERE email = 'a'", [1]],
    ["EXPLAIN ANALYZE SELECT id FROM customers WHERE email IN ('a', 'b')", [2]],
    ["DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = 'a'", [1]],
    ['PREPARE p (text) AS SELECT id FROM customers WHERE email = $1', [1]],
    // Of each type that people mask, and literals as they are written.
    ["SELECT id FROM customers WHERE nick = 'Ann'", [1]],
    ['SELECT id FROM customers WHERE nick = $1 AND lower(nick) = $2', [1, 1]],
    ['SELECT id FROM customers WHERE mail_domain = $1', [1]],
    ["SELECT id FROM customers WHERE code = 'ab'", [1]],
    ['SELECT id FROM customers WHERE label = $1', [1]],
    ['SELECT id FROM customers WHERE number = 4915112345678 AND number IN (1, 2)', [1, 2]],
    ['SELECT id FROM customers WHERE balance = 10 AND balance IN (1, 2.5)', [1, 2]],
    ['SELECT id FROM customers WHERE ratio = 0.5', [1]],
    ["SELECT id FROM customers WHERE account = 'c0ffee00-0000-4000-8000-000000000000'", [1]],
    ["SELECT id FROM customers WHERE born = date '1990-01-01'", [1]],
    ["SELECT id FROM customers WHERE seen = '2026-01-01 00:00+00'", [1]],
    ['SELECT id FROM customers WHERE picture = $1', [1]],
    ["SELECT id FROM customers WHERE address = '10.0.0.1'", [1]],
  ])('%s', async (sql, candidates) => {
    expect(await counted(sql)).toEqual(candidates);
  });

  test.each<[string, number[], readonly unknown[]]>([
    ['SELECT id FROM customers WHERE email = $1', [25], [1]],
    ['SELECT id FROM customers WHERE email = $1', [1043], [1]],
    ['SELECT id FROM customers WHERE login = $1', [25], [1]],
    ['SELECT id FROM customers WHERE number = $1', [23], [1]],
    ['SELECT id FROM customers WHERE email = ANY ($1)', [1009], [array(1)]],
    ['SELECT id FROM customers WHERE email = ANY ($1)', [1015], [array(1)]],
    ['SELECT id FROM customers WHERE email = $1 OR false', [25], ['HOOP_DENIED']],
    // Declared, or cast, a parameter may stand in several places.
    ['SELECT id FROM customers WHERE email = $1 AND login = $1', [25], [1, 1]],
    ['SELECT id FROM customers WHERE email = $1::text AND login = $1::text', [], [1, 1]],
  ])('%s with parameters of types %j', async (sql, oids, candidates) => {
    const found = await counted(sql, types(...oids));
    expect(typeof found === 'string' ? [found] : found).toEqual(candidates);
  });
});

describe('no lookup is', () => {
  test.each([
    "SELECT id FROM customers WHERE email = 'a' OR email = 'b'",
    "SELECT id FROM customers WHERE NOT email = 'a'",
    "SELECT id FROM customers WHERE NOT (email = 'a' AND id = 1)",
    "SELECT id FROM customers WHERE email <> 'a'",
    "SELECT id FROM customers WHERE email NOT IN ('a')",
    "SELECT id FROM customers WHERE email > 'a'",
    "SELECT id FROM customers WHERE email LIKE 'a%'",
    "SELECT id FROM customers WHERE email ~ '^a'",
    "SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b'",
    "SELECT id FROM customers WHERE email IS NOT DISTINCT FROM 'a'",
    "SELECT id FROM customers WHERE (email = 'a') IS NOT TRUE",
    "SELECT id FROM customers WHERE (email = 'a') = false",
    "SELECT id FROM customers WHERE CASE WHEN email = 'a' THEN true END",
    "SELECT id FROM customers WHERE coalesce(email = 'a', true)",
    "SELECT id FROM customers WHERE email = ALL (ARRAY['a'])",
    // The column is computed with, converted, or compared by another collation.
    "SELECT id FROM customers WHERE lower(lower(email)) = 'a'",
    "SELECT id FROM customers WHERE substr(email, 1, 1) = 'a'",
    "SELECT id FROM customers WHERE email || '' = 'a'",
    'SELECT id FROM customers WHERE left(email, 1) = ANY ($1)',
    "SELECT id FROM customers WHERE email::text = 'a'",
    "SELECT id FROM customers WHERE email::char(1) = 'a'",
    'SELECT id FROM customers WHERE email COLLATE "C" = \'a\'',
    "SELECT id FROM customers WHERE email = 'a' COLLATE any_case",
    "SELECT id FROM customers WHERE email = 'a'::any_case_text",
    "SELECT id FROM customers WHERE email = ('a'::any_case_text)::text",
    "SELECT id FROM customers WHERE email = lower('a'::any_case_text)",
    "SELECT id FROM customers WHERE email = ANY (ARRAY['a'::any_case_text])",
    "SELECT id FROM customers WHERE low = 'a'".replace('customers', 'customer_list'),
    "SELECT id FROM (SELECT id, coalesce(email, '') AS e FROM customers) q WHERE e = 'a'",
    "SELECT id FROM (SELECT id, email AS e FROM customers UNION ALL SELECT 0, 'x') q WHERE e = 'a'",
    // PostgreSQL converts the column, so that one value can stand for many.
    'SELECT id FROM customers WHERE balance = 10::float8',
    "SELECT id FROM customers WHERE balance = '10'::float4",
    'SELECT id FROM customers WHERE balance IN (10, 11::float8)',
    'SELECT id FROM customers WHERE balance = ANY (ARRAY[10::float8])',
    'SELECT id FROM customers WHERE balance = ANY ($1::float8[])',
    'SELECT id FROM customers WHERE number = 1.5',
    "SELECT id FROM customers WHERE number = '1'::numeric",
    'SELECT id FROM customers WHERE small = 0.5',
    "SELECT id FROM customers WHERE code = 'ab'::text",
    "SELECT id FROM customers WHERE code = ANY (ARRAY['ab', 'cd'])",
    "SELECT id FROM customers WHERE lower(code) = 'ab'",
    "SELECT id FROM customers WHERE login = 'ab'::char(5)",
    "SELECT id FROM customers WHERE email = 'ab'::name",
    "SELECT id FROM customers WHERE label = 'ab'::text",
    "SELECT id FROM customers WHERE born = timestamptz '2026-01-01'",
    "SELECT id FROM customers WHERE seen = date '2026-01-01'",
    "SELECT id FROM customers WHERE tags = '{a}'",
    // The type of an undeclared parameter is that of its first place.
    'SELECT id FROM customers WHERE $1::float8 > 0 AND balance = $1',
    'SELECT $1::float8 FROM customers WHERE balance IN ($1, $2)',
    'SELECT id FROM customers WHERE $1 = ratio AND balance = $1',
    // The other side is not one value.
    'SELECT id FROM customers WHERE email = name',
    'SELECT id FROM customers c WHERE email = (SELECT max(note) FROM orders)',
    'SELECT id FROM customers WHERE email IN (SELECT note FROM orders)',
    'SELECT id FROM customers WHERE email = ANY (SELECT note FROM orders)',
    'SELECT id FROM customers WHERE email = ANY (ARRAY(SELECT note FROM orders))',
    "SELECT id FROM customers c, (VALUES ('a'), ('b')) v (x) WHERE c.email = v.x",
    "SELECT id FROM customers WHERE email IN (VALUES ('a'), ('b'))",
    'SELECT (SELECT id FROM customers WHERE email = o.note) FROM orders o',
    'SELECT c.id FROM orders o, LATERAL (SELECT id FROM customers WHERE email = o.note) c',
    'SELECT id FROM customers, generate_series(1, 9) g WHERE number = g',
    'SELECT id FROM customers WHERE email = chr((random() * 100)::int)',
    "SELECT id FROM customers WHERE email = current_setting('my.guess')",
    'SELECT id FROM customers WHERE email = current_user',
    "SELECT id FROM customers WHERE email = ANY (string_to_array('a,b', ','))",
    "SELECT id FROM customers WHERE email = ANY ('[0:1]={a,b}')",
    "SELECT id FROM customers WHERE email = ANY (ARRAY[ARRAY['a'], ARRAY['b']])",
    "SELECT id FROM customers WHERE email = ANY ($1 || 'x')",
    "SELECT id FROM customers WHERE (email, id) = ('a', 1)",
    "SELECT id FROM customers WHERE (email, id) IN (('a', 1))",
    // Not in a WHERE.
    "SELECT email = 'a' FROM customers",
    "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id AND c.email = 'a'",
    "SELECT o.id FROM orders o LEFT JOIN customers c ON c.email = 'a'",
    "SELECT count(*) FILTER (WHERE email = 'a') FROM customers",
    "SELECT email FROM customers GROUP BY email HAVING email = 'a'",
    "SELECT id FROM customers ORDER BY email = 'a'",
    "MERGE INTO notes n USING customers c ON c.email = 'a' WHEN MATCHED THEN DO NOTHING",
    // Kept to be run again, uncounted.
    "CREATE VIEW v AS SELECT id FROM customers WHERE email = 'a'",
    "CREATE TABLE t AS SELECT id FROM customers WHERE email = 'a'",
    "SELECT id INTO t FROM customers WHERE email = 'a'",
    // Rows that the statement makes are as many as it likes.
    "WITH RECURSIVE r (e, n) AS (SELECT email, 1 FROM customers UNION ALL SELECT e, n + 1 FROM r WHERE n < 3) SELECT n FROM r WHERE e = 'a'",
  ])('%s', async (sql) => {
    const analyses = await bench.analyse(sql);
    expect(analyses.flatMap(({ lookups = [] }) => lookups)).toEqual([]);
    const decided = await verdict(sql);
    const shown = decided.effect === 'allow' ? decided.statements[0]?.masks : undefined;
    // What it shows of the comparison is masked whole, or it does not run.
    expect(decided.effect === 'refuse' || shown?.some((one) => one?.mask === 'full')).toBe(true);
  });

  test.each<[string, number[]]>([
    ['SELECT id FROM customers WHERE balance = $1', [701]],
    ['SELECT id FROM customers WHERE balance IN ($1, 2)', [701]],
    ['SELECT id FROM customers WHERE balance = ANY ($1)', [1022]],
    ['SELECT id FROM customers WHERE code = $1', [25]],
    ['SELECT id FROM customers WHERE login = $1', [1042]],
    ['SELECT id FROM customers WHERE seen = $1', [1082]],
    // Text that is cast into an array has as many elements as its own text says, in a form of its own.
    ['SELECT id FROM customers WHERE email = ANY ($1::text[])', [25]],
    ['SELECT id FROM customers WHERE email = ANY ($1)', [22]],
  ])('%s with parameters of types %j', async (sql, oids) => {
    expect(await counted(sql, types(...oids))).toMatch(/^HOOP_/);
  });

  test('a parameter of a domain with a collation of its own', async () => {
    const domain = bench.catalog.type('public', 'any_case_text')?.oid ?? 0;
    for (const condition of ['email = $1', 'email = $1::text', 'email = lower($1)']) {
      const sql = `SELECT id FROM customers WHERE ${condition}`;
      expect(await counted(sql, types(domain))).toBe('HOOP_DENIED');
    }
  });

  test('an operator or a function of somebody’s own that takes the place of the built-in one', async () => {
    const searchPath = ['trick', 'pg_catalog', 'public'];
    const equal = "SELECT id FROM customers WHERE email = 'a'";
    expect(await counted(equal, { searchPath })).toMatch(/^HOOP_/);
    expect(await counted(equal.replace(' = ', ' OPERATOR(trick.=) '))).toMatch(/^HOOP_/);
    const lower = "SELECT id FROM customers WHERE lower(email) OPERATOR(pg_catalog.=) 'a'";
    expect(await counted(lower)).toEqual([1]);
    expect(await counted(lower, { searchPath })).toMatch(/^HOOP_/);
    expect(await counted(lower.replace('lower', 'trick.lower'))).toMatch(/^HOOP_/);
  });
});

test('what the lookup finds is shown right: counts, EXISTS, other columns; the column stays masked', async () => {
  const masks = async (sql: string) => {
    const decided = await verdict(sql);
    return decided.effect === 'allow' ? decided.statements[0]?.masks?.map((one) => one?.mask) : [];
  };
  expect(await masks('SELECT count(*), max(id) FROM customers WHERE email = $1')).toEqual([
    undefined,
    undefined,
  ]);
  expect(await masks('SELECT EXISTS (SELECT 1 FROM customers WHERE email = $1)')).toEqual([
    undefined,
  ]);
  expect(await masks('SELECT id, email FROM customers WHERE email = $1')).toEqual([
    undefined,
    'partial',
  ]);
});

test('EXECUTE counts each time what its statement compares; FETCH counts nothing more', async () => {
  const [one] = await bench.analyse(
    'PREPARE p (text) AS SELECT id FROM customers WHERE email = $1',
  );
  const [many] = await bench.analyse(
    'PREPARE q (text[]) AS SELECT id FROM customers WHERE email = ANY ($1)',
  );
  const prepared = (name: string) => {
    const analysis = name === 'p' ? one : many;
    return analysis && confirmed(analysis);
  };
  expect(await counted("EXECUTE p ('a'); EXECUTE p ('b')", { prepared })).toEqual([1, 1]);
  expect(await counted("EXECUTE q ('{a,b}')", { prepared })).toEqual([2]);
  expect(await counted("EXECUTE q (ARRAY['a', 'b', 'c'])", { prepared })).toEqual([3]);
  expect(await counted('EXECUTE q ($1)', { prepared })).toEqual([array(1)]);
  expect(await counted("EXECUTE q (string_to_array('a,b', ','))", { prepared })).toBe(
    'HOOP_DENIED',
  );
  expect(await counted("EXPLAIN ANALYZE EXECUTE p ('a')", { prepared })).toEqual([1]);
  const [cursor] = await bench.analyse(
    "DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = 'a'",
  );
  const cursors = { cursor: () => cursor && confirmed(cursor) };
  expect(await counted('FETCH 10 FROM c; MOVE BACKWARD ALL FROM c', cursors)).toEqual([0, 0]);
});

test('fifty branches of a UNION are fifty lookups', async () => {
  const branch = (_: unknown, index: number) =>
    `SELECT id FROM customers WHERE email = 'a${index}'`;
  const sql = Array.from({ length: 50 }, branch).join(' UNION ALL ');
  expect(await counted(sql)).toHaveLength(50);
});

describe('what the policy says', () => {
  const FIND = 'SELECT id FROM customers WHERE email = $1';
  const masked = (mask: string, inference: 'allow' | 'deny' = 'deny'): GrantText => ({
    rules: RULES,
    masks: [mask],
    inference,
  });

  test('without lookup: true it is refused as any other comparison is, and says who can change that', async () => {
    const decided = await verdict(FIND, {}, masked('public.customers.email partial'));
    expect(decided).toMatchObject({
      effect: 'refuse',
      refusal: {
        code: 'HOOP_DENIED',
        message: 'masked column public.customers.email may be shown, but not used in operator =',
        hint: 'Select the column as it is, and filter, join, sort and compute with unmasked columns. If you have to find rows by its values, ask the policy’s owner.',
      },
    });
  });

  test('with it, what is no lookup is told what would be one', async () => {
    const decided = await verdict("SELECT id FROM customers WHERE email LIKE 'a%'");
    expect(decided).toMatchObject({
      effect: 'refuse',
      refusal: { code: 'HOOP_DENIED', hint: expect.stringContaining('WHERE email = $1') },
    });
  });

  test('where inference is allowed nothing counts, and the same statement runs', async () => {
    expect(await counted(FIND, {}, masked('public.customers.email partial', 'allow'))).toEqual([]);
    expect(
      await counted(FIND, {}, masked('public.customers.email partial lookup', 'allow')),
    ).toEqual([]);
  });

  test('columns without a mask are no lookups, and do not count', async () => {
    expect(await counted("SELECT id FROM customers WHERE name = 'Ann'")).toEqual([]);
    expect(await counted('SELECT id FROM one_customer')).toEqual([]);
  });

  test('the copy of a column in an inheriting table needs the permission of its own mask, too', async () => {
    expect(
      await counted(
        'SELECT id FROM archive WHERE email = $1',
        {},
        masked('public.archive.email full'),
      ),
    ).toBe('HOOP_DENIED');
  });
});
