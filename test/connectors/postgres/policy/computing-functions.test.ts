/** Functions in SQL that only compute are looked into; all others stay as opaque as they were. */
import { loadModule, parse } from 'libpg-query';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { grantOf } from './grant-fixture.ts';
import { textRows } from './sql-bench.ts';

const SCHEMA = `
  CREATE SCHEMA evil;
  CREATE SEQUENCE ids;
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE people (id int PRIMARY KEY, name text, email text, flag boolean, salary int, mood mood);
  CREATE TABLE plain (id int PRIMARY KEY, name text);
  INSERT INTO people VALUES (1, 'Ada', 'ada@example.com', true, 100, 'good');
  INSERT INTO plain VALUES (1, 'Ada');`;

const RULES = ['allow select, insert, update, delete on public.*'] as const;
const MASKS = [
  'public.people.email full',
  'public.people.flag full',
  'public.people.salary full',
] as const;

let server: EmbeddedPostgres;
let admin: pg.Client;
let reader: pg.Client;
let source: CatalogSource;

beforeAll(async () => {
  await loadModule();
  server = await startTestPostgres();
  admin = new pg.Client({ connectionString: server.url('postgres') });
  reader = new pg.Client({ connectionString: server.url('postgres') });
  await Promise.all([admin.connect(), reader.connect()]);
  await admin.query(SCHEMA);
  source = openCatalogSource({ query: (sql) => textRows(reader, sql), parse });
  await source.current();
});
afterAll(async () => {
  await admin.end();
  await reader.end();
  await server[Symbol.asyncDispose]();
});

interface Asked {
  readonly inference?: 'allow' | 'deny';
  readonly rules?: readonly string[];
  readonly unsettled?: 'all' | 'relations';
}

/** @returns 'passes', the names of masked columns, or why it is refused */
async function judged(sql: string, asked: Asked = {}): Promise<string> {
  const { inference = 'allow', rules = RULES, unsettled } = asked;
  const catalog = await source.refresh();
  const analysis = analyseStatements(await parse(sql), sql, {
    catalog,
    searchPath: ['pg_catalog', 'public'],
    role: 'postgres',
    parameterTypes: [],
    cursor: () => undefined,
    prepared: () => undefined,
    ...(unsettled ? { unsettled } : {}),
  });
  const verdict = evaluate(analysis, grantOf({ rules: [...rules], masks: [...MASKS], inference }), {
    catalog,
  });
  if (verdict.effect === 'refuse') {
    const { message, detail } = verdict.refusal;
    return `refused: ${message} ${detail}`;
  }
  const masks = verdict.statements[0]?.masks ?? [];
  const masked = (analysis[0]?.outputs ?? []).filter((_, index) => masks[index] !== undefined);
  return masked.length === 0 ? 'passes' : `masked: ${masked.map(({ name }) => name).join(' ')}`;
}

/** Makes these, and takes them back. */
async function within(made: string, run: () => Promise<void>): Promise<void> {
  const before = await admin.query<{ oid: string }>(
    "SELECT oid FROM pg_class WHERE relkind IN ('r', 'v')",
  );
  await admin.query(made);
  try {
    await run();
  } finally {
    const known = before.rows.map(({ oid }) => oid);
    const { rows } = await admin.query<{ name: string; kind: string }>(
      `SELECT oid::regclass::text AS name, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
       FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text IN ('public', 'evil') AND NOT oid = ANY ($1)`,
      [known],
    );
    for (const { name, kind } of rows) await admin.query(`DROP ${kind} IF EXISTS ${name} CASCADE`);
    const own = await admin.query<{ name: string }>(
      "SELECT oid::regprocedure::text AS name FROM pg_proc WHERE oid >= 16384 AND pronamespace::regnamespace::text IN ('public', 'evil')",
    );
    for (const { name } of own.rows) await admin.query(`DROP FUNCTION IF EXISTS ${name} CASCADE`);
    await admin.query('DROP DOMAIN IF EXISTS code CASCADE');
  }
}

const F = (body: string, rest = ''): string =>
  `CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql ${rest} AS $body$${body}$body$`;

describe('a function in SQL that only computes', () => {
  test.each([
    ['of its parameter by number', F('SELECT upper($1)')],
    ['of its parameter by name', F("SELECT lower(a) || '!' || f.a")],
    ['declared IMMUTABLE', F('SELECT upper(a)', 'IMMUTABLE STRICT')],
    ['with a search_path of its own', F('SELECT upper(a)', "SET search_path = ''")],
    [
      'with CASE, COALESCE and a cast',
      F("SELECT CASE WHEN a = '' THEN NULL ELSE coalesce(a, 'x')::varchar(3) END;"),
    ],
    ['that asks for a setting', F("SELECT current_setting('app.tenant', true)", 'STABLE')],
    ['kept as a tree', 'CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql RETURN upper(a)'],
    [
      'kept as a tree with BEGIN ATOMIC',
      'CREATE FUNCTION f(a text) RETURNS text BEGIN ATOMIC SELECT upper(a); END',
    ],
    [
      'with a default',
      "CREATE FUNCTION f(a text, b text DEFAULT upper('x')) RETURNS text LANGUAGE sql AS 'SELECT a || b'",
    ],
    [
      'that calls another one',
      `CREATE FUNCTION g(text) RETURNS text LANGUAGE sql AS 'SELECT lower($1)'; ${F('SELECT g(a)')}`,
    ],
    [
      'with an overload',
      `CREATE FUNCTION f(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text'; ${F('SELECT upper(a)')}`,
    ],
  ])('passes: %s', async (_, made) => {
    await within(made, async () => {
      expect(await judged('SELECT id, f(name) FROM plain')).toBe('passes');
      expect(await judged("SELECT id FROM people WHERE name = f('x')")).toBe('passes');
      expect((await admin.query('SELECT f(name) FROM plain')).rowCount).toBe(1);
    });
  });

  test('keeps the mask of what it gets', async () => {
    await within(F('SELECT a'), async () => {
      expect(await judged('SELECT id, f(email) FROM people')).toBe('masked: f');
      expect(await judged('SELECT s.x FROM (SELECT f(email) AS x FROM people) s')).toBe(
        'masked: x',
      );
    });
  });

  test('that gives back a boolean shows no masked one', async () => {
    const made = "CREATE FUNCTION same(boolean) RETURNS boolean LANGUAGE sql AS 'SELECT $1'";
    await within(made, async () => {
      expect(await judged('SELECT same(flag) FROM people')).toBe('masked: same');
    });
  });

  test('of a masked column is inference, as a built-in one is', async () => {
    await within(F('SELECT reverse(a)'), async () => {
      const deny = { inference: 'deny' } as const;
      const where = (name: string) => `SELECT id FROM people WHERE ${name}(email) = 'x'`;
      expect(await judged(where('f'), deny)).toMatch(/^refused/);
      expect(await judged(where('reverse'), deny)).toMatch(/^refused/);
      expect(await judged('SELECT f(name) FROM people', deny)).toBe('passes');
    });
  });

  test('with the name of a built-in one that only carries its argument computes all the same', async () => {
    const made = "CREATE FUNCTION evil.max(text) RETURNS text LANGUAGE sql AS 'SELECT $1'";
    await within(made, async () => {
      expect(await judged('SELECT evil.max(email) FROM people', { inference: 'deny' })).toMatch(
        /^refused/,
      );
      expect(await judged('SELECT evil.max(email) FROM people')).toBe('masked: max');
    });
  });

  test('with a masked value stores none of it and counts no rows with it', async () => {
    await within(F('SELECT a'), async () => {
      expect(await judged('INSERT INTO plain SELECT id, f(email) FROM people')).toMatch(/^refused/);
      expect(await judged('SELECT generate_series(1, length(f(email))) FROM people')).toMatch(
        /^refused/,
      );
    });
  });

  test('passes in views, checks, defaults and generated columns', async () => {
    const made = `${F('SELECT upper(a)', 'IMMUTABLE')};
      CREATE DOMAIN code AS text CHECK (f(VALUE) = VALUE);
      CREATE TABLE t (id int, name text CHECK (f(name) <> ''), loud text GENERATED ALWAYS AS (f(name)) STORED,
        made text DEFAULT f('x'), code code);
      CREATE VIEW v AS SELECT id, f(name) AS name, f(email) AS email FROM people`;
    await within(made, async () => {
      expect(await judged("INSERT INTO t (id, name, code) VALUES (1, 'a', 'X') RETURNING *")).toBe(
        'passes',
      );
      expect(await judged("UPDATE t SET name = 'b'")).toBe('passes');
      expect(await judged("SELECT 'X'::code")).toBe('passes');
      expect(await judged('SELECT * FROM v')).toBe('masked: email');
      expect(await judged('SELECT id, name FROM v')).toBe('passes');
    });
  });

  test('is refused where a rule denies it, or what it calls', async () => {
    const made = `${F('SELECT upper(version())')}; CREATE TABLE t (id int, name text DEFAULT f('x'))`;
    await within(made, async () => {
      const sql = ["SELECT f('x')", 'INSERT INTO t (id) VALUES (1)'];
      for (const text of sql) {
        expect(await judged(text)).toBe('passes');
        for (const denied of ['public.f', 'pg_catalog.version']) {
          const rules = [...RULES, `deny calls of ${denied}`];
          expect(await judged(text, { rules })).toMatch(/^refused/);
        }
      }
    });
  });

  test('is not trusted while names may have changed', async () => {
    await within(F('SELECT upper(a)'), async () => {
      expect(await judged("SELECT f('x')", { unsettled: 'relations' })).toMatch(/^refused/);
      expect(await judged("SELECT f('x')", { unsettled: 'all' })).toMatch(/^refused/);
    });
  });

  test('is opaque again when it has been replaced', async () => {
    await within(F('SELECT upper(a)'), async () => {
      expect(await judged("SELECT f('x')")).toBe('passes');
      await admin.query(
        "CREATE OR REPLACE FUNCTION f(a text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people'",
      );
      expect(await judged("SELECT f('x')")).toMatch(/^refused/);
    });
  });
});

describe('a function that does more, or that may', () => {
  const OPAQUE = /^refused: function public\.f\(\) is not allowed/;
  const call = "SELECT f('x')";
  test.each([
    ['reads a table', F('SELECT email FROM people')],
    ['reads a table in a subquery', F('SELECT (SELECT email FROM public.people LIMIT 1)')],
    [
      'reads a table in EXISTS',
      F('SELECT CASE WHEN EXISTS (SELECT FROM public.people) THEN a END'),
    ],
    ['asks for rows', F('SELECT a WHERE a > $1')],
    ['runs two statements', F('SELECT a; SELECT a')],
    ['changes a table', F('DELETE FROM plain RETURNING name')],
    ['changes a table in WITH', F('WITH d AS (DELETE FROM public.plain RETURNING name) SELECT a')],
    ['runs SQL that it gets', F('SELECT query_to_xml(a, true, true, $$$$)::text')],
    ['reads files', F('SELECT pg_read_file(a)')],
    ['changes a setting', F("SELECT set_config('search_path', a, true)")],
    ['changes a setting that it gets', F('SELECT set_config(a, a, true)')],
    ['keeps what it gets', F('SELECT setseed(length(a))::text')],
    ['tells others what it gets', F("SELECT pg_notify('x', a)::text")],
    ['waits as long as it is told', F('SELECT pg_sleep(length(a))::text')],
    ['draws from a sequence', F("SELECT nextval('public.ids')::text")],
    [
      'draws from a sequence as a default',
      "CREATE FUNCTION f(a text, b bigint DEFAULT nextval('ids')) RETURNS text LANGUAGE sql AS 'SELECT a'",
    ],
    ['makes rows', F('SELECT generate_series(1, length(a))::text')],
    ['returns a set', "CREATE FUNCTION f(a text) RETURNS SETOF text LANGUAGE sql AS 'SELECT a'"],
    ['has the rights of its owner', F('SELECT upper(a)', 'SECURITY DEFINER')],
    ['runs with settings', F('SELECT upper(a)', 'SET standard_conforming_strings = off')],
    ['has a string that may end elsewhere', F("SELECT '\\' || (SELECT email FROM people) || '\\'")],
    [
      'calls itself',
      F('SELECT a') +
        `; CREATE OR REPLACE FUNCTION f(a text) RETURNS text LANGUAGE sql AS 'SELECT f(a)'`,
    ],
    [
      'calls one that reads a table',
      `CREATE FUNCTION g(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people'; ${F('SELECT g(a)')}`,
    ],
    [
      'calls one that reads a table as a default',
      "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS 'SELECT email FROM people'; CREATE FUNCTION f(a text, b text DEFAULT g()) RETURNS text LANGUAGE sql AS 'SELECT a'",
    ],
    [
      'calls one of a name that is in another schema, too',
      `CREATE FUNCTION g(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
      CREATE FUNCTION evil.g(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people'; ${F('SELECT g(a)')}`,
    ],
    [
      'calls a built-in one of a name that is in another schema, too',
      `CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people'; ${F('SELECT upper(a)')}`,
    ],
    [
      'kept as a tree calls one that can be renamed',
      "CREATE FUNCTION g(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION f(a text) RETURNS text RETURN g(a)",
    ],
    [
      'takes any type',
      "CREATE FUNCTION f(a anyelement) RETURNS text LANGUAGE sql AS 'SELECT $1::text'",
    ],
    [
      'is in another language',
      "CREATE FUNCTION f(a text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN upper(a); END'",
    ],
    [
      'has one that reads a table beside it',
      `${F('SELECT upper(a)')}; CREATE FUNCTION f(varchar) RETURNS text LANGUAGE sql AS 'SELECT email FROM people'`,
    ],
    [
      'returns a domain whose check reads a table',
      `CREATE FUNCTION g(text) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM people)';
      CREATE DOMAIN code AS text CHECK (g(VALUE)); CREATE FUNCTION f(a text) RETURNS code LANGUAGE sql AS 'SELECT a'`,
    ],
  ])('is refused: it %s', async (_, made) => {
    await within(`SET check_function_bodies = off; ${made}`, async () => {
      const sql = /any/.test(made)
        ? 'SELECT f(1)'
        : /f\(varchar/.test(made)
          ? "SELECT f('x'::varchar)"
          : call;
      expect(await judged(sql)).toMatch(OPAQUE);
    });
  });

  test('is refused where an operator in it may be one of its own', async () => {
    const made = `CREATE FUNCTION evil.join(text, text) RETURNS text LANGUAGE sql AS 'SELECT email FROM people';
      CREATE OPERATOR evil.|| (FUNCTION = evil.join, LEFTARG = text, RIGHTARG = text);
      ${F('SELECT a || a')}`;
    await within(made, async () => {
      expect(await judged(call)).toMatch(OPAQUE);
    });
  });

  test('still needs a rule in a default, and makes what a check shows untraceable', async () => {
    const made = `${F('SELECT email FROM people')};
      CREATE TABLE t (id int, name text DEFAULT f('x'));
      CREATE TABLE u (id int, name text CHECK (f(name) <> ''))`;
    await within(`SET check_function_bodies = off; ${made}`, async () => {
      expect(await judged('INSERT INTO t (id) VALUES (1)')).toMatch(/^refused/);
      expect(await judged("INSERT INTO u VALUES (1, 'a')")).toMatch(/^refused/);
    });
  });
});
