/**
 * Which operator and which function a statement means, as hoop has it and as the server has it: the
 * parse tree that the server keeps of a view says by OID what it has chosen.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  concreteTypeOf,
  TYPE,
} from '../../../../src/connectors/postgres/policy/calls/function-types.ts';
import { possibleOperators } from '../../../../src/connectors/postgres/policy/calls/operators.ts';
import { resolveFunction } from '../../../../src/connectors/postgres/policy/calls/resolve-function.ts';
import {
  constant,
  type Lineage,
} from '../../../../src/connectors/postgres/policy/facts/lineage.ts';
import { findFunctions } from '../../../../src/connectors/postgres/policy/facts/names.ts';
import { StatementFacts } from '../../../../src/connectors/postgres/policy/facts/statement-facts.ts';
import { WorkBudget } from '../../../../src/connectors/postgres/policy/parse/work-budget.ts';
import { seededRandom } from '../../../recording/session-pair.ts';
import { type SqlBench, startSqlBench, textRows } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'overloads.sql');

/** What type comes out, and what its view's tree calls at the top; null: the server refuses it. */
const CHOSEN = `CREATE FUNCTION pg_temp.chosen(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
  EXECUTE 'CREATE TEMP VIEW told AS SELECT ' || expression || ' AS x';
  SELECT a.atttypid || ' ' || coalesce(substring(r.ev_action::text FROM
      ':targetList \\(\\{TARGETENTRY :expr \\{(?:OPEXPR|FUNCEXPR|AGGREF|WINDOWFUNC) :\\w+ (\\d+)'), '0') INTO found
    FROM pg_rewrite r JOIN pg_attribute a ON a.attrelid = r.ev_class AND a.attnum = 1
    WHERE r.ev_class = 'pg_temp.told'::regclass;
  RAISE EXCEPTION USING ERRCODE = 'HP001', MESSAGE = found;
EXCEPTION WHEN SQLSTATE 'HP001' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN NULL;
END $$`;

const TYPES =
  `bool int2 int4 int8 float4 float8 numeric money text varchar(5) bpchar "char" name bytea
  date time timetz timestamp timestamptz interval uuid json jsonb xml inet cidr macaddr point box circle
  polygon lseg path oid regclass regtype regproc xid tid bit varbit tsvector tsquery int4range numrange
  int4multirange int4[] int8[] text[] varchar[] citext hstore ltree shape frame mood mood[] word digit
  digits loose person worker`.split(/\s+/);
const CASES = 800;
const OPERANDS = [...TYPES.map((type) => `NULL::${type}`), 'NULL', 'ROW(1, 2)'];

let bench: SqlBench;
let client: pg.Client;
let types: ReadonlyMap<string, number>;
let operators: readonly string[];
let functions: readonly string[];
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
  client = new pg.Client({ connectionString: bench.url });
  await client.connect();
  await client.query(CHOSEN);
  const names = async (sql: string) => (await textRows(client, sql)).map(([name]) => name ?? '');
  const listed = TYPES.map((type) => `('${type}')`).join(', ');
  const oids = await textRows(client, `SELECT t, t::regtype::oid FROM (VALUES ${listed}) v (t)`);
  types = new Map(oids.map(([type, oid]) => [type ?? '', Number(oid)]));
  operators = await names('SELECT DISTINCT oprname FROM pg_operator ORDER BY 1');
  functions =
    await names(`SELECT DISTINCT proname FROM pg_proc WHERE prokind = 'f' AND pronargs BETWEEN 1 AND 3
    AND provolatile <> 'v' AND prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'void'::regtype) ORDER BY 1`);
});
afterAll(async () => {
  await client?.end();
  await bench?.[Symbol.asyncDispose]();
});

async function servers(expressions: readonly string[]): Promise<(string | null)[]> {
  const { rows } = await client.query<{ c: string | null }>(
    'SELECT pg_temp.chosen(e) AS c FROM unnest($1::text[]) WITH ORDINALITY AS t (e, n) ORDER BY n',
    [expressions],
  );
  return rows.map(({ c }) => c);
}

/** The type that hoop has for it. */
async function typeOf(expression: string): Promise<number | undefined> {
  const [analysis] = await bench.analyse(`SELECT ${expression} AS x`);
  return analysis?.outputs?.[0]?.typeOid;
}

function factsOf(searchPath: readonly string[]): StatementFacts {
  const unused = (): never => {
    throw new Error('no query is walked');
  };
  const walks = { query: unused, view: unused };
  return new StatementFacts({ ...bench.context, searchPath }, walks, new WorkBudget());
}

function picker(seed: number): <T>(list: readonly T[]) => T {
  const random = seededRandom(seed);
  return (list) => {
    const found = list[Math.floor(random() * list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  };
}

/** Of each of them: what hoop has another idea of than the server. */
async function differences(expressions: readonly string[]): Promise<string[]> {
  const answers = await servers(expressions);
  const found: string[] = [];
  for (const [index, expression] of expressions.entries()) {
    const answer = answers[index];
    if (!answer) continue;
    const [type] = answer.split(' ');
    // What is shown is told without the domain that it is of.
    const shown = concreteTypeOf(bench.catalog, Number(type));
    const own = await typeOf(expression);
    if (own !== undefined && own !== shown) found.push(`${expression}: ${own}, not ${type}`);
  }
  return found;
}

/** As `NULL::type` and a literal are in a statement. */
function operandOf(text: string): Lineage {
  const [, type] = text.split('::');
  return constant(
    type === undefined ? (text === 'NULL' ? TYPE.unknown : TYPE.record) : types.get(type),
  );
}

describe('the operator is the one that the server chooses', () => {
  test.each([
    ['pg_catalog', 'public'],
    ['public', 'pg_catalog'],
  ])('with search_path %s, %s', async (...searchPath) => {
    await client.query(`SET search_path = ${searchPath.join(', ')}`);
    const pick = picker(3);
    const cases = Array.from({ length: CASES }, () => {
      const name = pick(pick([['=', '=', '<', '~~', '||', '+', '-', '&&', '@>'], operators]));
      const left = pick(OPERANDS);
      const right = pick([left, 'NULL', 'NULL::text', pick(OPERANDS), pick(OPERANDS)]);
      return pick([true, false]) ? { name, left, right } : { name, left: right, right: left };
    });
    const answers = await servers(cases.map(({ name, left, right }) => `${left} ${name} ${right}`));
    const facts = factsOf(searchPath);
    const wrong: string[] = [];
    let compared = 0;
    for (const [index, { name, left, right }] of cases.entries()) {
      const operands = [operandOf(left), operandOf(right)];
      const possible = possibleOperators(facts, [name], operands).map(
        ({ operator }) => operator.oid,
      );
      const answer = answers[index];
      if (!answer) continue;
      compared += 1;
      const [, chosen] = answer.split(' ');
      // Rows that are written out are compared field by field.
      if (left.startsWith('ROW') && right.startsWith('ROW')) continue;
      const said = `${left} ${name} ${right}: ${possible.join(', ')}, not ${chosen}`;
      if (possible.join(' ') !== chosen) wrong.push(said);
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(CASES / 8);
  });
});

test('the function is the one that the server chooses', async () => {
  await client.query('SET search_path = pg_catalog, public');
  const facts = factsOf(['pg_catalog', 'public']);
  const pick = picker(4);
  const own = [
    'lower',
    'length',
    'picked',
    'shape',
    'similarity',
    'replace',
    'concat',
    'coalesce_all',
  ];
  const usual = [
    'abs',
    'round',
    'date_part',
    'age',
    'array_append',
    'to_char',
    'jsonb_set',
    'format',
  ];
  const wrong: string[] = [];
  let compared = 0;
  const cases = Array.from({ length: CASES * 2 }, () => ({
    name: pick(pick([own, usual, functions])),
    args: Array.from({ length: pick([1, 1, 2, 2, 3]) }, () =>
      pick(pick([OPERANDS, ['NULL', 'NULL::text', 'NULL::int4']])),
    ),
  }));
  const answers = await servers(cases.map(({ name, args }) => `"${name}"(${args.join(', ')})`));
  for (const [index, { name, args }] of cases.entries()) {
    const [, chosen = '0'] = answers[index]?.split(' ') ?? [];
    // A cast that is written like a call calls none.
    if (chosen === '0') continue;
    compared += 1;
    const lineages = args.map(operandOf);
    const call = { names: [name], args: lineages, location: undefined };
    const { candidates } = findFunctions(facts, [name], args.length);
    const possible = resolveFunction(facts, call, candidates).possible.map(
      ({ called }) => called.oid,
    );
    if (possible.join(' ') !== chosen) wrong.push(`${name}(${args}): ${possible}, not ${chosen}`);
  }
  expect(wrong).toEqual([]);
  expect(compared).toBeGreaterThan(CASES / 5);
});

describe('what comes out has the type that the server gives it', () => {
  test('operators between random types', async () => {
    const pick = picker(1);
    const expressions = Array.from(
      { length: CASES },
      () => `${pick(OPERANDS)} ${pick(operators)} ${pick(['NULL', ...OPERANDS])}`,
    );
    expect(await differences(expressions)).toEqual([]);
  });

  test('functions of random types', async () => {
    const pick = picker(2);
    const expressions = Array.from({ length: CASES }, () => {
      const args = Array.from({ length: pick([1, 1, 2, 3]) }, () => pick(OPERANDS));
      return `"${pick(functions)}"(${args.join(', ')})`;
    });
    expect(await differences(expressions)).toEqual([]);
  });

  test('values that are made one, and parts of values', async () => {
    const pick = picker(5);
    const forms = [
      (a: string, b: string) => `coalesce(${a}, ${b})`,
      (a: string, b: string) => `CASE WHEN true THEN ${a} ELSE ${b} END`,
      (a: string, b: string) => `CASE WHEN true THEN ${a} WHEN false THEN ${b} END`,
      (a: string, b: string) => `nullif(${a}, ${b})`,
      (a: string, b: string) => `greatest(${a}, ${b})`,
      (a: string, b: string) => `ARRAY[${a}, ${b}]`,
      (a: string, b: string) => `(ARRAY[${a}, ${b}])[1]`,
      (a: string, b: string) => `(ARRAY[${a}, ${b}])[1:2][1]`,
      (a: string, b: string) => `(SELECT x FROM (SELECT ${a} AS x UNION ALL SELECT ${b}) u)`,
      (a: string, b: string) => `(SELECT x FROM (VALUES (${a}), (${b})) u (x))`,
      (a: string, b: string) => `ARRAY(SELECT ${a} UNION SELECT ${b})`,
      (a: string, b: string) =>
        `(SELECT x FROM (SELECT ${a} AS x) a FULL JOIN (SELECT ${b} AS x) b USING (x))`,
      (a: string, b: string) => `array_append(ARRAY[${a}], ${b})`,
      (a: string, b: string) => `array_agg(${a}) || ${b}`,
      (a: string, b: string) => `lag(${a}, 1, ${b}) OVER ()`,
      (a: string) => `(${a})[1]`,
      (a: string) => `- ${a}`,
      (a: string) => `max(${a})`,
    ];
    const constants = [
      'NULL',
      "'x'",
      '1',
      '1.5',
      '3000000000',
      '-2147483648',
      "B'1'",
      'current_date',
    ];
    const some = [...OPERANDS, ...constants, 'localtime', 'current_user', 'now()'];
    const expressions = Array.from({ length: CASES * 2 }, () => {
      const left = pick(some);
      return pick(forms)(left, pick([left, ...constants, pick(some), pick(some)]));
    });
    expect(await differences(expressions)).toEqual([]);
  });
});
