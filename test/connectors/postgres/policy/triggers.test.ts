/** What RETURNING may show of a row that BEFORE triggers have changed. */
import { loadModule, parse, parseSync, scanSync } from 'libpg-query';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import type { StatementContext } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { WorkBudget } from '../../../../src/connectors/postgres/policy/parse/work-budget.ts';
import { readTriggerBody } from '../../../../src/connectors/postgres/policy/triggers/trigger-body.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { grantOf } from './grant-fixture.ts';
import { textRows } from './sql-bench.ts';

const SCHEMA = `
  CREATE EXTENSION moddatetime; CREATE EXTENSION autoinc; CREATE EXTENSION insert_username; CREATE EXTENSION pg_trgm;
  CREATE SCHEMA evil;
  CREATE SEQUENCE ids;
  CREATE TYPE state AS ENUM ('new', 'old');
  CREATE TABLE vault (email text);
  CREATE TABLE staff (id int PRIMARY KEY, name text, slug text, email text, note text, flag boolean,
    version int, author text, at timestamptz, search tsvector, kept jsonb, state state,
    loud text GENERATED ALWAYS AS (upper(note)) STORED);
  CREATE TABLE plain (id int PRIMARY KEY, email text, flag boolean);
  CREATE TABLE places (area int, note text, email text, slug text) PARTITION BY LIST (area);
  CREATE TABLE places_1 PARTITION OF places FOR VALUES IN (1);
  CREATE TABLE places_2 PARTITION OF places FOR VALUES IN (2);
  CREATE VIEW named AS SELECT id AS nr, name AS called, note AS remark, email AS mail FROM staff;
  CREATE FUNCTION shout(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN upper($1); END';
  CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';`;
const GRANT = {
  rules: ['allow select, insert, update, delete, merge on public.*'],
  masks: [
    'public.staff.email full writable',
    'public.plain.email full',
    'public.places.email full',
    'public.calls.email full',
  ],
  inference: 'deny',
} as const;
const UPDATE = "UPDATE staff SET name = 'N' WHERE id = 1 RETURNING *";
const INSERT = "INSERT INTO staff (id, name, email) VALUES (2, 'B', 'b@x') RETURNING *";

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
  const parser = {
    scan: (text: string) => {
      try {
        return scanSync(text).tokens;
      } catch {
        return undefined;
      }
    },
    parse: (sql: string) => {
      try {
        return parseSync(sql);
      } catch {
        return undefined;
      }
    },
  };
  source = openCatalogSource({
    query: (sql) => textRows(reader, sql),
    parse,
    parseTrigger: async (text) => readTriggerBody(text, parser),
  });
  await source.current();
});
afterAll(async () => {
  await admin.end();
  await reader.end();
  await server[Symbol.asyncDispose]();
});

async function contextOf(searchPath = ['pg_catalog', 'public']): Promise<StatementContext> {
  return {
    catalog: await source.refresh(),
    searchPath,
    role: 'postgres',
    parameterTypes: [],
    cursor: () => undefined,
    prepared: () => undefined,
  };
}

/** @returns names of the masked columns of the result, or why it is refused. */
async function judged(sql: string, path?: string[]): Promise<string[] | string> {
  const context = await contextOf(path);
  const { catalog } = context;
  const analysis = analyseStatements(await parse(sql), sql, context);
  const verdict = evaluate(analysis, grantOf(GRANT), { catalog });
  if (verdict.effect === 'refuse') {
    const { code, message, detail } = verdict.refusal;
    return `${code}: ${message} ${detail}`;
  }
  const masks = verdict.statements[0]?.masks ?? [];
  return (analysis[0]?.outputs ?? []).flatMap(({ name }, index) =>
    masks[index] === undefined ? [] : [name],
  );
}

/** What the target answers with one value of the masked column and with another. */
async function answers(sql: string, hidden: ReadonlySet<string>): Promise<string[]> {
  const seen: string[] = [];
  await admin.query('BEGIN');
  try {
    for (const email of ['ann@x', 'zoe@yyy']) {
      await admin.query(`SAVEPOINT one; ALTER SEQUENCE ids RESTART;
        SET LOCAL session_replication_role = replica;
        INSERT INTO staff (id, name, email, note, flag, version, author)
          VALUES (1, 'A', '${email}', 'n', false, 1, 'me');
        INSERT INTO plain VALUES (1, '${email}');
        INSERT INTO places VALUES (1, 'n', '${email}');
        SET LOCAL session_replication_role = origin`);
      const { rows }: { rows: Record<string, unknown>[] } = await admin.query(sql);
      const shown = rows.map((row) => Object.entries(row).filter(([name]) => !hidden.has(name)));
      seen.push(JSON.stringify([rows.length, shown]));
      await admin.query('ROLLBACK TO one');
    }
    return seen;
  } finally {
    await admin.query('ROLLBACK');
  }
}

async function within(made: string, check: () => Promise<void>): Promise<void> {
  await admin.query(made);
  try {
    await check();
  } finally {
    await admin.query(`DO $do$ DECLARE t record; BEGIN
      FOR t IN SELECT tgname, tgrelid::regclass AS r FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0 LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.r);
      END LOOP; END $do$`);
  }
}

/** A trigger for each body, in the order of their names. */
function triggers(bodies: string | readonly string[], when = ''): string {
  return [bodies]
    .flat()
    .map(
      (
        body,
        index,
      ) => `CREATE OR REPLACE FUNCTION change_${index}() RETURNS trigger LANGUAGE plpgsql AS $body$${/\bBEGIN\b/.test(body) ? body : `BEGIN ${body} RETURN NEW; END`}$body$;
      ALTER FUNCTION change_${index} RESET ALL;
      CREATE TRIGGER change_${index} BEFORE INSERT OR UPDATE ON staff FOR EACH ROW ${when} EXECUTE FUNCTION change_${index}('a');`,
    )
    .join('\n');
}

type Case = readonly [what: string, made: string, masked: string, sql?: string];

/** Columns that are masked besides the masked one itself; the rest of the row is shown. */
const UNDERSTOOD: readonly Case[] = [
  ['the time of a change', triggers('NEW.at := now();'), ''],
  ['the same, with =', triggers('NEW.at = CURRENT_TIMESTAMP;'), ''],
  ['in a time zone', triggers("NEW.at := timezone('utc'::text, now());"), ''],
  [
    'as Hasura does it',
    triggers(
      'DECLARE\n  _new record;\nBEGIN\n  _new := NEW;\n  _new."at" = NOW();\n  RETURN _new;\nEND;',
    ),
    '',
  ],
  [
    'moddatetime',
    'CREATE TRIGGER m BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION moddatetime (at)',
    '',
  ],
  [
    'insert_username',
    'CREATE TRIGGER m BEFORE INSERT OR UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION insert_username (author)',
    '',
    INSERT,
  ],
  [
    'autoinc',
    'CREATE TRIGGER m BEFORE INSERT OR UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION autoinc (version, ids)',
    '',
    INSERT,
  ],
  [
    'a row for an audit table',
    triggers("INSERT INTO vault VALUES (NEW.email); PERFORM pg_notify('staff', TG_OP);"),
    '',
  ],
  ['a version', triggers('NEW.version := COALESCE(OLD.version, 0) + 1;'), ''],
  ['who made it', triggers('NEW.author := current_user; NEW.note := TG_OP || TG_ARGV[0];'), ''],
  [
    'a slug of the name',
    triggers("NEW.slug := lower(regexp_replace(trim(NEW.name), '[^a-z0-9]+', '-', 'g'));"),
    '',
  ],
  [
    'a pattern with backslashes',
    triggers("NEW.slug := regexp_replace(NEW.name, '\\s+', E'\\t', 'g'); -- a\\b\n"),
    '',
  ],
  ['an address in lower case', triggers('NEW.email := lower(trim(NEW.email));'), ''],
  ['an id', triggers("IF NEW.id IS NULL THEN NEW.id := nextval('ids'); END IF; "), '', INSERT],
  [
    'one function for all changes',
    triggers(
      `BEGIN -- who and when
        IF TG_OP = 'INSERT' THEN NEW.author := session_user; ELSIF (TG_OP = 'UPDATE') THEN NEW.at := now();
        ELSE RETURN OLD; END IF; /* done */ RETURN COALESCE(NEW, OLD); END;`,
    ),
    '',
  ],
  [
    'a check that raises',
    triggers(
      "IF NEW.name = '' THEN RAISE EXCEPTION 'no name for %', NEW.id USING ERRCODE = '23514'; END IF; NULL; NEW.at := now();",
    ),
    '',
  ],
  [
    'a notice that says more',
    triggers(
      "RAISE NOTICE '%: % (%)', TG_TABLE_NAME, upper(NEW.email), NEW.id; RAISE WARNING USING MESSAGE = format('%s', NEW), HINT := 'x'; NEW.at := now();",
    ),
    '',
  ],
  ['an enum', triggers("IF NEW.state IS NULL THEN NEW.state := 'new'::public.state; END IF;"), ''],
  [
    'with a search_path of its own',
    `${triggers('NEW.at := now();')} ALTER FUNCTION change_0 SET search_path = ''; ALTER FUNCTION change_0 SECURITY DEFINER`,
    '',
  ],
  ['under a condition', triggers('NEW.flag := true;', 'WHEN (NEW.name IS NOT NULL)'), ''],
  [
    'what has an early end',
    triggers(
      "BEGIN IF NEW.name = 'x' THEN RETURN NEW; END IF; IF NEW.note = 'n' THEN RETURN NULL; END IF; NEW.at := now(); RETURN NEW; END",
    ),
    '',
  ],
  [
    'words to search',
    "CREATE TRIGGER w BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(search, 'pg_catalog.english', name, note)",
    '',
  ],
  [
    'a disabled one',
    `${triggers('NEW.at := now();')} ALTER TABLE staff DISABLE TRIGGER change_0`,
    '',
  ],
  [
    'ON CONFLICT',
    triggers('NEW.slug := lower(NEW.name);'),
    '',
    "INSERT INTO staff (id, name) VALUES (1, 'C') ON CONFLICT (id) DO UPDATE SET name = excluded.name, note = excluded.slug RETURNING *",
  ],
  [
    'MERGE',
    triggers('NEW.at := now();'),
    '',
    "MERGE INTO staff s USING (VALUES (1)) v (n) ON s.id = v.n WHEN MATCHED THEN UPDATE SET note = 'x' RETURNING s.*",
  ],
  [
    'through a view',
    triggers('NEW.at := now();'),
    '',
    "UPDATE named SET called = 'x' WHERE nr = 1 RETURNING *",
  ],
  // What leads from the masked column to others.
  ['a copy', triggers('NEW.note := NEW.email;'), 'note loud'],
  ['a part', triggers("NEW.slug := left(NEW.email, 3) || 'x';"), 'slug'],
  ['its length', triggers('NEW.version := length(OLD.email);'), 'version'],
  ['a comparison', triggers("NEW.flag := NEW.email = 'ann@x';"), 'flag'],
  [
    'NULLIF, CASE, AND',
    triggers(
      "NEW.note := nullif('ann@x', NEW.email); NEW.slug := CASE WHEN NEW.email > 'm' THEN 'a' END; NEW.flag := true AND NEW.email < 'm'; NEW.version := (NEW.email IS NULL)::int;",
    ),
    'note loud slug flag version',
  ],
  [
    'IF',
    triggers("IF NEW.email LIKE 'a%' THEN NEW.flag := true; END IF; NEW.at := now();"),
    'flag',
  ],
  ['ELSE', triggers("IF NEW.email LIKE 'a%' THEN NULL; ELSE NEW.flag := true; END IF;"), 'flag'],
  [
    'IF in IF',
    triggers("IF true THEN IF NEW.email LIKE 'a%' THEN NEW.flag := true; END IF; END IF;"),
    'flag',
  ],
  [
    'an early end',
    triggers(
      "BEGIN NEW.slug := 's'; IF NEW.email LIKE 'a%' THEN RETURN NEW; END IF; NEW.flag := true; RETURN NEW; END",
    ),
    'flag',
  ],
  [
    'an early end further in',
    triggers(
      "BEGIN IF NEW.id > 0 THEN IF NEW.email LIKE 'a%' THEN RETURN NEW; END IF; END IF; NEW.flag := true; RETURN NEW; END",
    ),
    'flag',
  ],
  [
    'another row',
    triggers(
      "BEGIN NEW.version := 9; IF NEW.email LIKE 'a%' THEN RETURN OLD; END IF; RETURN NEW; END",
    ),
    'id name slug note flag version author at search kept state loud',
  ],
  [
    'a record',
    triggers('DECLARE r record; BEGIN r := NEW; r.note := r.email; RETURN r; END'),
    'note loud',
  ],
  [
    'a record for another column',
    triggers(
      'DECLARE r record; BEGIN r := OLD; r.note := OLD.email; NEW.slug := r.note; RETURN NEW; END',
    ),
    'slug',
  ],
  ['the old row', triggers('OLD.note := OLD.email; NEW.note := OLD.note;'), 'note loud'],
  ['NEW := OLD', triggers('OLD.note := OLD.email; NEW := OLD;'), 'note loud'],
  ['two triggers', triggers(['NEW.slug := NEW.email;', 'NEW.note := NEW.slug;']), 'slug note loud'],
  [
    'two, the other way round',
    triggers(['NEW.note := NEW.slug;', 'NEW.slug := NEW.email;']),
    'slug note loud',
  ],
  [
    'the whole row',
    triggers(
      'NEW.note := NEW::text; NEW.kept := to_jsonb(NEW); NEW.slug := row_to_json(OLD.*)::text;',
    ),
    'note loud kept slug',
  ],
  [
    'rows compared',
    triggers(
      'IF NEW IS DISTINCT FROM OLD THEN NEW.flag := true; END IF; IF NEW.* <> OLD.* THEN NEW.author := 1; END IF;',
    ),
    'flag author',
  ],
  ['WHEN', triggers('NEW.flag := true;', "WHEN (NEW.email LIKE 'a%')"), 'flag'],
  [
    'WHEN of rows',
    "CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.flag := true; RETURN NEW; END'; CREATE TRIGGER w BEFORE UPDATE ON plain FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION change_0()",
    'flag',
    'UPDATE plain SET id = 1 WHERE id = 1 RETURNING *',
  ],
  [
    'WHEN before a record that is always set',
    triggers('DECLARE r record; BEGIN r := NEW; RETURN r; END', "WHEN (NEW.email LIKE 'a%')"),
    'id name slug note flag version author at search kept state loud',
  ],
  [
    'WHEN before another row',
    triggers('BEGIN RETURN OLD; END', "WHEN (NEW.email LIKE 'a%')"),
    'id name slug note flag version author at search kept state loud',
  ],
  [
    'words to search in the masked column',
    "CREATE TRIGGER w BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(search, 'pg_catalog.simple', name, email)",
    'search',
  ],
  ['in an INSERT', triggers('NEW.note := NEW.email;'), 'note loud', INSERT],
  [
    'ON CONFLICT, by EXCLUDED',
    triggers('NEW.slug := NEW.email;'),
    'slug note loud',
    "INSERT INTO staff (id, email) VALUES (1, 'q') ON CONFLICT (id) DO UPDATE SET note = excluded.slug RETURNING *",
  ],
  [
    'through a view of it',
    triggers('NEW.note := OLD.email;'),
    'remark',
    "UPDATE named SET called = 'x' WHERE nr = 1 RETURNING *",
  ],
  [
    'in WITH',
    triggers('NEW.note := OLD.email;'),
    'v',
    "WITH w AS (UPDATE staff SET name = 'x' WHERE id = 1 RETURNING note) SELECT note AS v FROM w",
  ],
  [
    'in the partition to which a row moves',
    "CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.email; RETURN NEW; END'; CREATE TRIGGER w BEFORE INSERT ON places_2 FOR EACH ROW EXECUTE FUNCTION change_0()",
    'note',
    'UPDATE places SET area = 2 WHERE area = 1 RETURNING area, note',
  ],
  [
    'in two partitions, one after the other',
    "CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.email; RETURN NEW; END'; CREATE OR REPLACE FUNCTION change_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.slug := NEW.note; RETURN NEW; END'; CREATE TRIGGER w BEFORE UPDATE ON places_1 FOR EACH ROW EXECUTE FUNCTION change_0(); CREATE TRIGGER w BEFORE INSERT ON places_2 FOR EACH ROW EXECUTE FUNCTION change_1()",
    'note slug',
    'UPDATE places SET area = 2 WHERE area = 1 RETURNING area, note, slug',
  ],
  [
    'of a partition to which no row moves',
    "CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.email; RETURN NEW; END'; CREATE TRIGGER w BEFORE INSERT ON places_2 FOR EACH ROW EXECUTE FUNCTION change_0()",
    '',
    "UPDATE places SET note = 'x' WHERE area = 1 RETURNING area, note",
  ],
  ['a key', triggers('NEW.id := length(NEW.email);'), 'id'],
  [
    'comments and quotes',
    triggers(`NEW.note /* := */ := /* ; */ NEW.email -- ;\n || $x$; NEW.flag := true; $x$;`),
    'note loud',
  ],
  [
    'CASE in IF',
    triggers("IF (CASE WHEN NEW.email > 'm' THEN true END) THEN NEW.flag := true; END IF;"),
    'flag',
  ],
  [
    'an early end for other changes',
    triggers(
      "BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; IF NEW.email <> OLD.email THEN NEW.flag := false; END IF; NEW.at := now(); RETURN NEW; END",
    ),
    'flag',
  ],
  [
    'in rows of children',
    "CREATE TABLE child () INHERITS (plain); CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.flag := length(NEW.email) > 5; RETURN NEW; END'; CREATE TRIGGER w BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION change_0()",
    'flag',
    'UPDATE plain SET id = 1 WHERE id = 1 RETURNING flag',
  ],
  [
    'a row and lists',
    triggers(
      "NEW.flag := (NEW.name, NEW.email) > ('a', 'b'); NEW.slug := greatest(NEW.name, NEW.email); NEW.version := (NEW.name IN ('a', NEW.email))::int; NEW.author := format('%s', NEW); NEW.note := xmlforest(NEW.email AS a)::text;",
    ),
    'flag slug version author note loud',
  ],
  [
    'of the old row, which is not always that',
    triggers('NEW.note := OLD.email;'),
    'a b',
    "UPDATE staff SET name = 'x' WHERE id = 1 RETURNING (old).note AS a, new.note AS b",
  ],
];

describe('a trigger that is understood', () => {
  const cases = UNDERSTOOD.map(([what, made, masked, sql = UPDATE]) => ({
    what,
    made,
    sql,
    masked: masked.split(' ').filter((name) => name !== ''),
  }));
  test.each(cases)('$what', async ({ made, sql, masked }) => {
    await within(made, async () => {
      const found = await judged(sql);
      expect(typeof found === 'string' ? found : found.filter(isNotItself).sort()).toEqual(
        masked.sort(),
      );
      // It rests on nothing that the analysis believes of PostgreSQL.
      const [first, second] = await answers(sql, new Set(found));
      expect(second).toEqual(first);
    });
  });
});

/** Of the masked column itself. */
function isNotItself(name: string): boolean {
  return name !== 'email' && name !== 'mail';
}

const DEFINED = (body: string, after = '') => `${triggers(body)} ${after}`;

/** What is not understood is refused, and the reason names the function. */
const REFUSED: readonly (readonly [what: string, made: string])[] = [
  [
    'a call in RAISE, whose effect is read elsewhere',
    triggers(
      "RAISE NOTICE '%', set_config('app.x', NEW.email, true); NEW.note := current_setting('app.x');",
    ),
  ],
  [
    'an operator in RAISE',
    DEFINED(
      "RAISE NOTICE '%', NEW.name = NEW.email; NEW.note := current_setting('app.x');",
      'CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text)',
    ),
  ],
  [
    'a record where a table is called so',
    DEFINED(
      'DECLARE r record; BEGIN r := NEW; NEW.slug := r.note; RETURN NEW; END',
      'CREATE TABLE evil.record (id int, name text, slug text, note text)',
    ),
  ],
  ['SELECT INTO', DEFINED('SELECT email INTO NEW.note FROM vault;')],
  ['PERFORM', DEFINED("PERFORM set_config('a.b', NEW.email, false);")],
  ['EXECUTE', DEFINED("EXECUTE 'SELECT 1' INTO NEW.version;")],
  ['a subquery', DEFINED('NEW.note := (SELECT email FROM vault LIMIT 1);')],
  ['FROM', DEFINED('NEW.note := max(email) FROM vault;')],
  [
    'a condition with a query',
    DEFINED('IF EXISTS (SELECT FROM vault) THEN NEW.flag := true; END IF;'),
  ],
  ['a change of another table', DEFINED('UPDATE vault SET email = NEW.email;')],
  ['a row of a query', DEFINED('INSERT INTO vault SELECT email FROM staff;')],
  [
    'whether an INSERT made a row',
    DEFINED("INSERT INTO vault SELECT unnest(string_to_array(NEW.email, '@')); NEW.flag := FOUND;"),
  ],
  [
    'whether PERFORM found a row',
    DEFINED('PERFORM generate_series(1, length(NEW.email)); NEW.flag := U&"f\\006fund";'),
  ],
  ['a loop', DEFINED('FOR i IN 1..2 LOOP NEW.version := i; END LOOP;')],
  [
    'a loop over a query',
    DEFINED(
      'DECLARE r record; BEGIN FOR r IN SELECT email FROM vault LOOP NEW.note := r.email; END LOOP; RETURN NEW; END',
    ),
  ],
  ['CASE', DEFINED("CASE NEW.email WHEN 'x' THEN NEW.flag := true; ELSE NULL; END CASE;")],
  ['an inner block', DEFINED('BEGIN BEGIN NEW.note := NEW.email; END; RETURN NEW; END')],
  [
    'an exception',
    DEFINED(
      'BEGIN NEW.version := NEW.email::int; RETURN NEW; EXCEPTION WHEN others THEN NEW.flag := true; RETURN NEW; END',
    ),
  ],
  [
    'a label that takes the place of NEW',
    DEFINED(
      '<<new>> DECLARE name text := (SELECT email FROM vault); BEGIN change_0.NEW.note := NEW.name; RETURN change_0.NEW; END',
    ),
  ],
  [
    'a record with a value',
    DEFINED(
      'DECLARE r record := (SELECT v FROM vault v); BEGIN NEW.note := r.email; RETURN NEW; END',
    ),
  ],
  [
    'a variable',
    DEFINED('DECLARE v text := (SELECT email FROM vault); BEGIN NEW.note := v; RETURN NEW; END'),
  ],
  [
    'an alias',
    DEFINED('DECLARE name ALIAS FOR NEW; BEGIN name.note := name.email; RETURN NEW; END'),
  ],
  [
    'a record called like a statement',
    DEFINED(
      'DECLARE raise record; BEGIN raise := NEW; raise.note := NEW.email; NEW := raise; RETURN NEW; END',
    ),
  ],
  [
    'a whole row',
    DEFINED("NEW := jsonb_populate_record(NEW, jsonb_build_object('note', NEW.email));"),
  ],
  ['another record', DEFINED('BEGIN RETURN ROW(NEW.id, NEW.email); END')],
  ['an element', DEFINED('NEW.kept[0] := to_jsonb(NEW.email);')],
  ['a column that is not there', DEFINED('NEW.nothing := 1;')],
  ['a function', DEFINED('NEW.note := shout(NEW.name);')],
  [
    'a function of that name anywhere',
    DEFINED(
      'NEW.at := now();',
      'CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RETURN clock_timestamp(); END$$',
    ),
  ],
  [
    'a function that another schema has, too',
    DEFINED(
      'NEW.note := told(NEW.name);',
      `CREATE FUNCTION public.told(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
       CREATE FUNCTION evil.told(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM public.vault'`,
    ),
  ],
  [
    'an operator anywhere',
    DEFINED(
      "NEW.flag := NEW.name = 'x';",
      'CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text)',
    ),
  ],
  [
    'a type of that name anywhere',
    DEFINED('NEW.version := 1::text::int4;', 'CREATE TABLE evil.int4 (a int)'),
  ],
  [
    'a function that hides a query',
    DEFINED("NEW.note := query_to_xml('SELECT email FROM vault', true, false, '')::text;"),
  ],
  ['a file', DEFINED("NEW.note := pg_read_file('x');")],
  ['a setting', DEFINED("NEW.note := set_config('a.b', 'x', false);")],
  [
    'what an extension keeps in the session',
    DEFINED('NEW.slug := set_limit(length(NEW.email)::real / 100); NEW.note := show_limit();'),
  ],
  ['a backslash', DEFINED("NEW.note := 'a\\''' || NEW.email || '';")],
  [
    'settings of its own',
    DEFINED('NEW.at := now();', 'ALTER FUNCTION change_0 SET standard_conforming_strings = off'),
  ],
  ['a long body', DEFINED(`NEW.at := now(); /* ${'x'.repeat(17_000)} */`)],
  ['a function in WHEN', triggers('NEW.at := now();', "WHEN (shout(NEW.name) = 'X')")],
  ['one of two', triggers(['NEW.at := now();', "EXECUTE 'SELECT 1';"])],
  [
    'rows that do not come back',
    DEFINED("BEGIN IF NEW.email LIKE 'a%' THEN RETURN NULL; END IF; RETURN NEW; END"),
  ],
  [
    'rows that do not come back, later',
    DEFINED("BEGIN IF NEW.email LIKE 'a%' THEN RETURN NEW; END IF; RETURN NULL; END"),
  ],
  [
    'rows that are as they were',
    'CREATE TRIGGER w BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  ],
  [
    'what only has the name of a known one',
    'CREATE OR REPLACE FUNCTION evil.moddatetime() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN LOOP EXIT; END LOOP; RETURN NEW; END$$; CREATE TRIGGER w BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION evil.moddatetime(at)',
  ],
];

test.each(REFUSED)('%s is not understood', async (_what, made) => {
  await within(made, async () => {
    expect(await judged(UPDATE)).toMatch(
      /trigger function (public\.change_\d|evil\.moddatetime|pg_catalog\.suppress)/,
    );
    // The key still comes back.
    expect(await judged(UPDATE.replace('*', 'id'))).toEqual([]);
  });
  await admin.query(
    'DROP FUNCTION IF EXISTS evil.now(); DROP OPERATOR IF EXISTS evil.= (text, text); DROP TABLE IF EXISTS evil.int4, evil.record',
  );
});

/** Records without a row: what they are set to, and NEW of a DELETE. */
test.each([
  "UPDATE staff SET name = 'N' WHERE id = 1 RETURNING name",
  "INSERT INTO staff (id, email) VALUES (1, 'q') ON CONFLICT (id) DO UPDATE SET name = 'N' RETURNING name",
  'DELETE FROM staff WHERE id = 1 RETURNING name',
])('a row that a trigger leaves out is a comparison: %s', async (sql) => {
  const body = sql.startsWith('DELETE')
    ? "BEGIN IF OLD.email LIKE 'a%' THEN RETURN OLD; END IF; RETURN NEW; END"
    : "DECLARE r record; BEGIN IF NEW.email LIKE 'a%' THEN r := NEW; END IF; RETURN r; END";
  const deletes =
    'CREATE TRIGGER more BEFORE DELETE ON staff FOR EACH ROW EXECUTE FUNCTION change_0()';
  await within(`${triggers(body)} ${sql.startsWith('DELETE') ? deletes : ''}`, async () => {
    expect(await judged(sql)).toMatch('trigger function public.change_0()');
  });
});

test('a partition can generate a column from others than its parent does', async () => {
  await within(
    `CREATE TABLE calls (area int, note text, email text, loud text GENERATED ALWAYS AS (upper(note)) STORED) PARTITION BY LIST (area);
     CREATE TABLE calls_1 PARTITION OF calls (loud GENERATED ALWAYS AS (upper(email)) STORED) FOR VALUES IN (1)`,
    async () => {
      expect(await judged('SELECT note, loud FROM calls')).toEqual(['loud']);
      expect(await judged('UPDATE calls SET note = $1 RETURNING note, loud')).toEqual(['loud']);
    },
  );
});

test('what triggers of another server make of a row is not known', async () => {
  await within(
    `CREATE FOREIGN DATA WRAPPER elsewhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere;
     CREATE FOREIGN TABLE far (id int, note text) SERVER elsewhere;
     CREATE TABLE halves (id int, note text) PARTITION BY LIST (id);
     CREATE FOREIGN TABLE half PARTITION OF halves FOR VALUES IN (1) SERVER elsewhere`,
    async () => {
      for (const table of ['far', 'halves']) {
        expect(await judged(`UPDATE ${table} SET id = 1 RETURNING note`)).toMatch(
          'HOOP_UNTRACEABLE',
        );
        expect(await judged(`UPDATE ${table} SET id = 1`)).toEqual([]);
      }
    },
  );
});

test('a function, its settings and columns under other names count at once', async () => {
  const note = "UPDATE staff SET name = 'N' WHERE id = 1 RETURNING note, flag";
  await within(triggers('NEW.flag := true;', "WHEN (NEW.note = 'n')"), async () => {
    const clear = await source.current();
    expect(await judged(note)).toEqual([]);
    await admin.query(
      `CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.email; RETURN NEW; END'`,
    );
    expect(await judged(note)).toEqual(['note']);
    expect((await source.current()).generation).toBeGreaterThan(clear.generation);
    await admin.query('ALTER FUNCTION change_0 SET escape_string_warning = off');
    expect(await judged(note)).toMatch('trigger function public.change_0');
    await admin.query(
      `ALTER FUNCTION change_0 RESET ALL; CREATE OR REPLACE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.flag := true; RETURN NEW; END'`,
    );
    expect(await judged(note)).toEqual([]);
    // What WHEN compares is the masked column now.
    await admin.query(`ALTER TABLE staff RENAME note TO n; ALTER TABLE staff RENAME email TO note;
      ALTER TABLE staff RENAME n TO email`);
    expect(await judged(note)).toEqual(['flag']);
    await admin.query(`ALTER TABLE staff RENAME note TO n; ALTER TABLE staff RENAME email TO note;
      ALTER TABLE staff RENAME n TO email`);
    await admin.query(
      'CREATE TRIGGER more BEFORE UPDATE ON staff FOR EACH ROW EXECUTE FUNCTION moddatetime (nothing)',
    );
    expect(await judged(note)).toMatch('trigger function public.moddatetime');
  });
});

/** `staff` has 14 columns; in a wide table a few kilobytes of these are minutes. */
test.each([
  ['a record that an expression may name', 'DECLARE #r@ record; # BEGIN NEW.flag := true;', 1],
  ['a row that is copied', 'BEGIN #NEW := OLD; #', 2],
  ['a column that decides what follows', 'BEGIN #IF NEW.note = @ THEN RETURN OLD; END IF; #', 8],
  ['a column that gets another one', 'BEGIN #NEW.note := NEW.slug; #', 5],
  ['a type that any schema could have', 'BEGIN #NEW.flag := 1::boolean; #', 5],
])('%s counts for all that it can bring', async (_what, shape, steps) => {
  const [before, repeated = '', after] = shape.split('#');
  const spent = async (count: number): Promise<number> => {
    const many = Array.from({ length: count }, (_, at) => repeated.replace('@', String(at)));
    const body = `${before}${many.join('')}${after} RETURN NEW; END`;
    const budget = new WorkBudget();
    await within(triggers(body), async () => {
      analyseStatements(await parse(UPDATE), UPDATE, await contextOf(), undefined, budget);
    });
    return budget.spent;
  };
  const few = await spent(10);
  expect((await spent(110)) - few).toBeGreaterThan(100 * steps);
});
