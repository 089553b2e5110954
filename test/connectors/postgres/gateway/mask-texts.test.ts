/** The catalog shows how tables are defined, except where that holds a value of a masked column. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { MaskingGateway } from '../../../gateway/masking-gateway.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget();
const parser = SqlParser.create();
const directory = mkdtempSync(join(tmpdir(), 'hoop-mask-texts-'));
afterAll(async () => {
  await parser[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const TABLE = `(id serial PRIMARY KEY, token text, pin text DEFAULT '' NOT NULL, kind text DEFAULT 'new',
  at timestamptz DEFAULT now(), amount int DEFAULT 5 CHECK (amount > 2))`;
let schemas = 0;

/** A schema of its own, found as $S; id, token, pin, at and what `masked` names are masked. */
async function made(definitions: string, masked: readonly string[] = []): Promise<MaskingGateway> {
  // Functions name tables without their schemas.
  await sql(`DROP SCHEMA IF EXISTS t${schemas} CASCADE`);
  schemas += 1;
  const schema = `t${schemas}`;
  await sql(
    `CREATE SCHEMA ${schema}; ${`CREATE TABLE $S.staff ${TABLE}; ${definitions}`.replaceAll('$S', schema)}`,
  );
  return new MaskingGateway({
    parser,
    target: target(),
    masks: ['staff.id', 'staff.token', 'staff.pin', 'staff.at', ...masked].map(
      (one) => `${schema}.${one}`,
    ),
    path: join(directory, `${schema}.json`),
  });
}

/** What psql, ORMs and the like ask of each kind of text. */
const ASKS = {
  default: [
    'SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum',
    'SELECT column_name, column_default FROM information_schema.columns',
    'SELECT d FROM pg_attrdef d',
    'SELECT typdefaultbin FROM pg_type',
    'SELECT attribute_default FROM information_schema.attributes',
  ],
  missing: ['SELECT attmissingval FROM pg_attribute', 'SELECT * FROM pg_attribute'],
  index: [
    'SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index',
    'SELECT indexname, indexdef FROM pg_indexes',
    'SELECT pg_get_expr(indpred, indrelid) FROM pg_index',
  ],
  constraint: [
    'SELECT conname, pg_get_constraintdef(oid, true) FROM pg_constraint',
    'SELECT check_clause FROM information_schema.check_constraints',
    'SELECT conbin FROM pg_constraint',
  ],
  partition: ['SELECT pg_get_expr(relpartbound, oid) FROM pg_class', 'SELECT * FROM pg_class'],
  policy: ['SELECT pg_get_expr(polqual, polrelid) FROM pg_policy', 'SELECT qual FROM pg_policies'],
  publication: [
    'SELECT pg_get_expr(prqual, prrelid) FROM pg_publication_rel',
    'SELECT rowfilter FROM pg_publication_tables',
    'SELECT pg_get_expr(t.qual, t.relid) FROM pg_publication p, pg_get_publication_tables(p.pubname) t',
  ],
  trigger: ['SELECT pg_get_triggerdef(oid, true) FROM pg_trigger'],
  view: [
    'SELECT definition FROM pg_views',
    "SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v'",
    'SELECT view_definition FROM information_schema.views',
  ],
  statistics: [
    'SELECT pg_get_statisticsobjdef_expressions(oid) FROM pg_statistic_ext',
    'SELECT pg_get_expr(stxexprs, stxrelid) FROM pg_statistic_ext',
  ],
  function: [
    'SELECT prosqlbody FROM pg_proc',
    'SELECT prosrc FROM pg_proc',
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE prokind = 'f'",
    'SELECT pg_get_function_sqlbody(oid) FROM pg_proc',
    'SELECT routine_definition FROM information_schema.routines',
  ],
  parameter: [
    'SELECT pg_get_expr(proargdefaults, 0) FROM pg_proc',
    'SELECT proname, pg_get_function_arguments(oid) FROM pg_proc',
    'SELECT pg_get_function_arg_default(oid, 1) FROM pg_proc',
    'SELECT parameter_default FROM information_schema.parameters',
  ],
} as const;
type Kind = keyof typeof ASKS;

async function refused(gateway: MaskingGateway): Promise<Kind[]> {
  const kinds: Kind[] = [];
  for (const [kind, asks] of Object.entries(ASKS)) {
    const codes = new Set<boolean>();
    for (const ask of asks) codes.add((await gateway.verdict(ask)) === 'HOOP_DENIED');
    expect([kind, codes.size]).toEqual([kind, 1]);
    // The keys of the table are its type.
    if (codes.has(true)) kinds.push(kind as Kind);
  }
  return kinds;
}

describe('everyday definitions are read as ever', () => {
  test.each([
    ['as they are', ''],
    [
      'beside the masked columns',
      `CREATE INDEX ON $S.staff (token) WHERE kind = 'x'; CREATE UNIQUE INDEX ON $S.staff (lower(token)) WHERE token IS NOT NULL AND pin <> '';
       CREATE VIEW $S.v AS SELECT token, kind, coalesce(token, 'none') AS t FROM $S.staff WHERE kind = 'x' AND EXISTS (SELECT 1);
       ALTER TABLE $S.staff ADD COLUMN later text DEFAULT 'x'; ALTER TABLE $S.staff ADD COLUMN more int NOT NULL DEFAULT 7`,
    ],
    [
      'checks of lengths, patterns and ranges',
      `ALTER TABLE $S.staff ADD CHECK (length(token) <= 255), ADD CHECK (token ~ '^[a-z]+$'), ADD CHECK (token > 'a' AND pin LIKE 'x%');
       ALTER TABLE $S.staff ALTER COLUMN token SET DEFAULT md5('x' || random()::text)`,
    ],
    [
      'partitions by other columns, and by the hash of a masked one',
      `CREATE TABLE $S.p (token text, kind text) PARTITION BY LIST (kind); CREATE TABLE $S.p1 PARTITION OF $S.p FOR VALUES IN ('x');
       CREATE TABLE $S.h (token text) PARTITION BY HASH (token); CREATE TABLE $S.h1 PARTITION OF $S.h FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    ],
    [
      'functions that compare the masked columns with what they are given',
      `CREATE FUNCTION $S.a(t text, k text DEFAULT 'new', n int DEFAULT 5) RETURNS bigint LANGUAGE sql
        BEGIN ATOMIC SELECT count(*) FROM $S.staff WHERE token = t AND kind = k AND length(token) > n; END;
       CREATE FUNCTION $S.b(t text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM $S.staff WHERE token = $1 AND kind = 'x' $$;
       CREATE FUNCTION $S.c(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE found text; other int := 7;
        BEGIN -- token = 'sk-1'
          SELECT s.token, s.amount INTO STRICT found, other FROM $S.staff s WHERE s.token = t AND s.kind = 'x';
          IF found.token IS NULL OR other > 5 THEN RAISE EXCEPTION 'no token of %', t USING ERRCODE = '22023'; END IF;
          FOR found IN SELECT token FROM $S.staff WHERE kind = 'y' LOOP RETURN coalesce(found, 'none'); END LOOP;
          INSERT INTO $S.staff (token, kind) VALUES (t, 'x') RETURNING token INTO found; RETURN found; END $$`,
    ],
    [
      'names that views give to other columns',
      `CREATE VIEW $S.v AS SELECT token AS t, kind AS other FROM $S.staff; CREATE TABLE $S.u (t text);
       CREATE VIEW $S.w AS SELECT v.t FROM $S.v WHERE v.other = 'x'; CREATE VIEW $S.x AS SELECT s.token FROM $S.staff s, $S.u WHERE u.t = 'y'`,
    ],
  ])('%s', async (_, definitions) => {
    await using gateway = await made(definitions, ['p.token', 'h.token']);
    expect(await refused(gateway)).toEqual([]);
  });
});

test('tools look at a schema as ORMs make it', async () => {
  await using gateway = await made(
    `CREATE TABLE public.staff (id bigserial PRIMARY KEY, email varchar DEFAULT '' NOT NULL, token varchar,
      role text DEFAULT 'user' CHECK (role IN ('user', 'admin')), CHECK (char_length(email) <= 255));
     CREATE UNIQUE INDEX ON public.staff (email) WHERE token IS NOT NULL AND role <> 'admin'`,
  );
  gateway.policyChanged(['public.staff.email', 'public.staff.token']);
  const file = readFileSync(new URL('introspection.sql', import.meta.url), 'utf8');
  const asked = file.split('-- next\n');
  expect(asked.length).toBeGreaterThan(20);
  for (const ask of asked) {
    expect([ask, await gateway.verdict(ask)]).toEqual([ask, expect.stringMatching(/^-( -)*$/)]);
  }
  expect(await refused(gateway)).toEqual([]);
});

test('a locked table keeps nobody waiting, and shows its definitions when they can be read again', async () => {
  await using gateway = await made('CREATE TABLE $S.other (v text)');
  expect(await refused(gateway)).toEqual([]);
  const [masked = ''] = gateway.masks;
  const table = masked.replace('.id', '');
  await using migration = await connectTarget({
    target: target(),
    signal: new AbortController().signal,
  });
  await migration.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  await sql(`ALTER TABLE ${table.replace('staff', 'other')} ADD COLUMN w int`);
  expect(await gateway.verdict(`SELECT token, kind FROM ${table}`)).toBe('full -');
  expect(await gateway.verdict('SELECT adbin FROM pg_attrdef')).toBe('HOOP_DENIED');
  await migration.query('COMMIT');
  expect(await refused(gateway)).toEqual([]);
});

test('a column that was dropped, and checks of other tables, close nothing', async () => {
  await using gateway = await made(
    "ALTER TABLE $S.staff DROP COLUMN kind; CREATE TABLE $S.other (v int CHECK (v > 5), w text CHECK (w = 'x'))",
  );
  expect(await refused(gateway)).toEqual([]);
});

test('definitions that cannot be read are said to be unread, logged once, and close no other table’s', async () => {
  await using gateway = await made('CREATE TABLE $S.more (token text)', ['more.token']);
  expect(await refused(gateway)).toEqual([]);
  const [masked = ''] = gateway.masks;
  const table = masked.replace('.id', '');
  await using migration = await connectTarget({
    target: target(),
    signal: new AbortController().signal,
  });
  await migration.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  await sql(`ALTER TABLE ${table.replace('staff', 'more')} ADD COLUMN w int`);
  const { maskTexts = [] } = await gateway.catalog();
  expect(new Set(maskTexts.map(({ mask }) => mask.relation))).toEqual(new Set(['staff']));
  expect(maskTexts.every(({ isUnread }) => isUnread)).toBe(true);
  await gateway.catalog();
  const said = gateway.log.events.filter(({ event }) => event === 'mask.definitions_unread');
  expect(said).toMatchObject([{ relation: table }]);
});

describe('what holds a value of a masked column is not shown', () => {
  test.each<[Kind, string]>([
    ['default', "ALTER TABLE $S.staff ALTER COLUMN token SET DEFAULT 'sk-1'"],
    [
      'default',
      "ALTER TABLE $S.staff ADD COLUMN g bool GENERATED ALWAYS AS (token = 'sk-1') STORED",
    ],
    ['default', "CREATE DOMAIN $S.d AS text DEFAULT 'sk-1'; CREATE TABLE $S.more (token $S.d)"],
    ['index', "CREATE INDEX ON $S.staff (kind) WHERE kind = 'x' AND token = 'sk-1'"],
    ['index', "CREATE INDEX ON $S.staff (kind) WHERE starts_with(token, 'sk-1')"],
    ['index', "CREATE INDEX ON $S.staff ((token IN ('sk-1', 'sk-2')))"],
    ['index', "CREATE INDEX ON $S.staff (kind) WHERE lower(token)::varchar(9) >= 'sk-1'"],
    ['constraint', "ALTER TABLE $S.staff ADD CHECK (token <> 'sk-1' OR kind = 'x')"],
    ['constraint', "ALTER TABLE $S.staff ADD CHECK (token = ANY (ARRAY['sk-1', 'sk-2']))"],
    [
      'constraint',
      "CREATE DOMAIN $S.d AS text CHECK (VALUE IN ('sk-1', 'sk-2')); CREATE TABLE $S.more (token $S.d)",
    ],
    [
      'partition',
      "CREATE TABLE $S.more (token text) PARTITION BY LIST (token); CREATE TABLE $S.p1 PARTITION OF $S.more FOR VALUES IN ('sk-1')",
    ],
    ['policy', "CREATE POLICY p ON $S.staff USING (token = 'sk-1')"],
    [
      'trigger',
      `CREATE FUNCTION $S.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
       CREATE TRIGGER t BEFORE UPDATE ON $S.staff FOR EACH ROW WHEN (OLD.token = 'sk-1') EXECUTE FUNCTION $S.f()`,
    ],
    ['publication', "CREATE PUBLICATION $S_p FOR TABLE $S.staff WHERE (token = 'sk-1')"],
    ['view', "CREATE VIEW $S.v AS SELECT id FROM $S.staff WHERE token = 'sk-1'"],
    [
      'view',
      "CREATE VIEW $S.v AS SELECT token FROM $S.staff; CREATE VIEW $S.w AS SELECT CASE token WHEN 'sk-1' THEN 1 END FROM $S.v",
    ],
    [
      'view',
      "CREATE VIEW $S.v AS SELECT token AS t FROM $S.staff; CREATE VIEW $S.w AS SELECT t AS u FROM $S.v UNION ALL SELECT 'x'; CREATE VIEW $S.x AS SELECT 1 AS one FROM $S.w WHERE u = 'sk-1'",
    ],
    [
      'view',
      "CREATE VIEW $S.v AS SELECT 1 AS one FROM (SELECT lower(token) FROM $S.staff) s (low) WHERE low = 'sk-1'",
    ],
    [
      'view',
      "CREATE VIEW $S.v AS WITH w (t) AS (SELECT token FROM $S.staff) SELECT 1 AS one FROM w WHERE t = 'sk-1'",
    ],
    [
      'function',
      "CREATE FUNCTION $S.f() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM $S.staff WHERE token = 'sk-1')",
    ],
    [
      'function',
      "CREATE VIEW $S.v AS SELECT token AS t FROM $S.staff; CREATE FUNCTION $S.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM $S.v WHERE t IN ('sk-1'); END",
    ],
    [
      'function',
      'CREATE FUNCTION $S.f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM $S.staff WHERE \'sk-1\' = "token" $$',
    ],
    [
      'function',
      "CREATE FUNCTION $S.f() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM staff WHERE token = 'sk-1') THEN RETURN true; END IF; END $$",
    ],
    [
      'function',
      "CREATE FUNCTION $S.f() RETURNS bool LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM staff LOOP IF starts_with(r.token, 'sk-1') THEN RETURN true; END IF; END LOOP; END $$",
    ],
    [
      'function',
      "CREATE FUNCTION $S.f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM staff WHERE token = ''sk-1'''; END $$",
    ],
    ['statistics', "CREATE STATISTICS $S.s ON (token = 'sk-1'), kind FROM $S.staff"],
  ])('%s: %s', async (kind, definitions) => {
    await using gateway = await made(definitions, ['more.token']);
    expect(await refused(gateway)).toEqual([kind]);
  });

  test('a default of a parameter that a function compares the column with', async () => {
    await using gateway = await made(
      "CREATE FUNCTION $S.f(t text DEFAULT 'sk-1') RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM $S.staff WHERE token = t; END",
    );
    expect(await refused(gateway)).toEqual(['function', 'parameter']);
  });

  test('a value that rows have which were there before the column', async () => {
    await using gateway = await made(
      "INSERT INTO $S.staff DEFAULT VALUES; ALTER TABLE $S.staff ADD COLUMN late text DEFAULT 'sk-1'; ALTER TABLE $S.staff ALTER COLUMN late DROP DEFAULT",
      ['staff.late'],
    );
    expect(await refused(gateway)).toEqual(['missing']);
  });

  test('it is looked for again when a definition or the policy is another one', async () => {
    await using gateway = await made('');
    expect(await refused(gateway)).toEqual([]);
    const [masked = ''] = gateway.masks;
    const table = masked.replace('.id', '');
    await sql(`ALTER TABLE ${table} ALTER COLUMN pin SET DEFAULT '1234'`);
    expect(await refused(gateway)).toEqual(['default']);
    await sql(`ALTER TABLE ${table} ALTER COLUMN pin SET DEFAULT ''`);
    expect(await refused(gateway)).toEqual([]);
    gateway.policyChanged([`${table}.kind`]);
    expect(await refused(gateway)).toEqual(['default']);
  });
});
