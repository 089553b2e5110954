/** Writes that fire triggers: what was read to its end disturbs nothing, and everything else does. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

/** By table: what its trigger's function does, and how it is attached. */
const TRIGGERS: Readonly<Record<string, readonly [body: string, trigger: string]>> = {
  touched: ['BEGIN NEW.at := now(); RETURN NEW; END', 'BEFORE INSERT OR UPDATE'],
  guarded: [
    "BEGIN IF NEW.v = '' THEN RAISE EXCEPTION 'empty'; END IF; RETURN NEW; END",
    'BEFORE INSERT OR UPDATE',
  ],
  sets: [
    "BEGIN NEW.v := set_config('search_path', 'two', false); RETURN NEW; END",
    'BEFORE INSERT OR UPDATE',
  ],
  performs: [
    "BEGIN PERFORM set_config('search_path', 'two', false); RETURN NEW; END",
    'BEFORE INSERT OR UPDATE',
  ],
  executes: [
    "BEGIN EXECUTE 'CREATE TABLE IF NOT EXISTS two.made ()'; RETURN NEW; END",
    'BEFORE INSERT OR UPDATE',
  ],
  creates: [
    'BEGIN CREATE TABLE IF NOT EXISTS two.made (); RETURN NEW; END',
    'BEFORE INSERT OR UPDATE',
  ],
  calls: ['BEGIN NEW.v := two.moves(NEW.v); RETURN NEW; END', 'BEFORE INSERT OR UPDATE'],
  namesake: ['BEGIN NEW.v := moves(NEW.v); RETURN NEW; END', 'BEFORE INSERT OR UPDATE'],
  operates: ['BEGIN NEW.v := NEW.v |+| NEW.v; RETURN NEW; END', 'BEFORE INSERT OR UPDATE'],
  told: ["BEGIN RAISE NOTICE '%', two.moves('x'); RETURN NEW; END", 'BEFORE INSERT OR UPDATE'],
  asked: [
    "BEGIN IF two.moves('x') = '' THEN RETURN NEW; END IF; RETURN NEW; END",
    'BEFORE INSERT OR UPDATE',
  ],
  behind: ['BEGIN RETURN NEW; END', 'AFTER INSERT OR UPDATE'],
  audited: [
    `BEGIN IF TG_OP = 'DELETE' THEN INSERT INTO trail SELECT 'D', now(), OLD.*; RETURN OLD; END IF;
      INSERT INTO trail SELECT TG_OP, now(), NEW.*; RETURN NULL; END`,
    'AFTER INSERT OR UPDATE OR DELETE',
  ],
  noted: [
    `BEGIN INSERT INTO one.notes (by, was, id) VALUES (current_user, to_jsonb(NEW), DEFAULT);
      PERFORM pg_notify('noted', TG_OP); RETURN NULL; END`,
    'AFTER INSERT OR UPDATE',
  ],
  audited_before: [
    'BEGIN INSERT INTO trail (op, v) VALUES (TG_OP, NEW.v), (TG_OP, OLD.v); RETURN NEW; END',
    'BEFORE INSERT OR UPDATE',
  ],
  told_once: ['BEGIN INSERT INTO trail (op) VALUES (TG_OP); RETURN NULL; END', 'AFTER UPDATE'],
  ...Object.fromEntries(
    Object.entries({
      value_moves: "trail (op) VALUES (two.moves('x'))",
      value_sets: "trail (op) VALUES (set_config('search_path', 'two', false))",
      value_selects: 'trail (op) VALUES ((SELECT v FROM two.view LIMIT 1))',
      selects_from: 'trail (op) SELECT v FROM two.view',
      selects_where: "trail (op) SELECT 'x' WHERE two.moves('x') = 'x'",
      conflicts: "one.notes (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET by = two.moves('x')",
      returns: "trail (op) VALUES ('x') RETURNING two.moves('x')",
      has_with: "trail (op) WITH a AS (SELECT 1) VALUES ('x')",
      converts: 'one.converted VALUES (NEW.b)',
      converts_all: 'one.converted SELECT NEW.b, NEW.*',
      into_default: 'one.with_default (id) VALUES (1)',
      into_trigger: 'one.performs (id) VALUES (1)',
      into_rule: 'one.ruled (id) VALUES (1)',
      into_view: 'one.instead (id) VALUES (1)',
      into_domain: "one.with_domain (v) VALUES ('x')",
      into_secured: "one.secured (v) VALUES ('x')",
      into_checked: "one.checked (v) VALUES ('x')",
      into_parted: "one.parted (v) VALUES ('x')",
      into_namesake: "namesakes (v) VALUES ('x')",
      into_nothing: "nowhere (v) VALUES ('x')",
      into_own: "pg_temp.trail (op) VALUES ('x')",
      into_place: "one.lists (a[two.moves('1')::int]) VALUES ('x')",
      into_catalog: "pg_catalog.pg_description VALUES (1, 1, 1, 'x')",
    }).map(([name, insert]) => [
      name,
      [`BEGIN INSERT INTO ${insert}; RETURN NULL; END`, 'AFTER INSERT OR UPDATE'],
    ]),
  ),
  two_texts: [
    "BEGIN INSERT INTO trail (op) VALUES ('x'); EXECUTE 'SELECT 1'; RETURN NULL; END",
    'AFTER INSERT OR UPDATE',
  ],
  selects: [
    'BEGIN NEW.v := (SELECT v FROM two.view LIMIT 1); RETURN NEW; END',
    'BEFORE INSERT OR UPDATE',
  ],
};

const { target, sql } = testTarget(`
  CREATE SCHEMA one; CREATE SCHEMA two;
  CREATE FUNCTION two.moves(v text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('search_path', 'two', false); RETURN v; END $$;
  CREATE OPERATOR two.|+| (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
  CREATE VIEW two.view AS SELECT two.moves('x') AS v;
  CREATE TABLE one.trail (op text, at timestamptz, id int, v text, later timestamptz, b bit(3));
  CREATE TABLE one.notes (id serial PRIMARY KEY, by text, was jsonb);
  CREATE TABLE one.with_default (id int, v text DEFAULT two.moves('x'));
  CREATE DOMAIN two.checked AS text CHECK (two.moves(VALUE) IS NOT NULL);
  CREATE TABLE one.with_domain (v two.checked);
  CREATE TABLE one.secured (v text); ALTER TABLE one.secured ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON one.secured WITH CHECK (two.moves(v) = v);
  CREATE TABLE one.namesakes (v text);
  CREATE TABLE two.namesakes (v text DEFAULT two.moves('x'), w text DEFAULT two.moves('x'));
  CREATE TABLE one.lists (a text[]);
  CREATE TABLE one.converted (a point, b int, c text, d timestamptz, e bit(3));
  CREATE FUNCTION two.to_point(bit) RETURNS point LANGUAGE plpgsql AS $$ BEGIN
    PERFORM two.moves('x'); RETURN point(1, 1); END $$;
  CREATE CAST (bit AS point) WITH FUNCTION two.to_point(bit) AS ASSIGNMENT;
  CREATE TABLE one.plain (id int PRIMARY KEY, v text); INSERT INTO one.plain VALUES (1, 'plain-1');
  CREATE TABLE two.plain (id int PRIMARY KEY, v text); INSERT INTO two.plain VALUES (1, 'hidden-1');
  ${Object.entries(TRIGGERS)
    .map(
      ([
        name,
        [body, trigger],
      ]) => `CREATE TABLE one.${name} (id int, v text, at timestamptz, b bit(3));
  CREATE FUNCTION one.f_${name}() RETURNS trigger LANGUAGE plpgsql AS $body$ ${body} $body$;
  CREATE TRIGGER t ${trigger} ON one.${name} FOR EACH ROW EXECUTE FUNCTION one.f_${name}();`,
    )
    .join('\n')}
  CREATE TABLE one.put_off (id int, v text);
  CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE ON one.put_off DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION one.f_told_once();
  CREATE TABLE one.changed (id int, v text);
  CREATE TRIGGER t AFTER INSERT OR UPDATE ON one.changed FOR EACH ROW
    EXECUTE FUNCTION one.f_told_once();
  CREATE TRIGGER u AFTER UPDATE ON one.changed FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION one.f_told_once();
  CREATE TABLE one.asks_when (id int, v text);
  CREATE TRIGGER t BEFORE INSERT OR UPDATE ON one.asks_when FOR EACH ROW
    WHEN (two.moves('x') = 'x') EXECUTE FUNCTION one.f_guarded();
  CREATE TABLE one.twofold (id int, v text, at timestamptz);
  CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one.twofold FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE TRIGGER b BEFORE INSERT OR UPDATE ON one.twofold EXECUTE FUNCTION one.f_performs();
  CREATE TABLE one.ruled (id int, v text, at timestamptz);
  CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one.ruled FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE RULE r AS ON INSERT TO one.ruled DO ALSO INSERT INTO one.performs VALUES (1);
  CREATE RULE s AS ON UPDATE TO one.ruled DO ALSO INSERT INTO one.performs VALUES (1);
  CREATE TABLE one.checked (id int, v text CHECK (two.moves(v) IS NOT NULL), at timestamptz);
  CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one.checked FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE TABLE one.parted (id int, v text, at timestamptz) PARTITION BY RANGE (id);
  CREATE TABLE one.part PARTITION OF one.parted FOR VALUES FROM (0) TO (10);
  CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one.parted FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE TRIGGER b BEFORE INSERT OR UPDATE ON one.part FOR EACH ROW EXECUTE FUNCTION one.f_performs();
  CREATE VIEW one.instead AS SELECT id, v FROM one.touched;
  CREATE TRIGGER a INSTEAD OF INSERT OR UPDATE ON one.instead FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE TABLE one.parent (id int PRIMARY KEY, v text, at timestamptz);
  CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one.parent FOR EACH ROW EXECUTE FUNCTION one.f_touched();
  CREATE TABLE one.child (id int REFERENCES one.parent ON UPDATE CASCADE, v text, at timestamptz);
  CREATE TRIGGER a BEFORE UPDATE ON one.child FOR EACH ROW EXECUTE FUNCTION one.f_performs();
`);

const real = realEngine(target);
const READ = ['touched', 'guarded', 'behind', 'audited', 'noted', 'audited_before', 'changed'];
const UNREAD = [
  ...Object.keys(TRIGGERS).filter((name) => ![...READ, 'told_once'].includes(name)),
  ...['asks_when', 'put_off', 'twofold', 'ruled', 'checked', 'parted', 'instead', 'parent'],
];

describe('code that runs with a write', () => {
  const parser = SqlParser.create({ workers: 1 });
  let catalog: Awaited<ReturnType<CatalogSource['current']>>;
  beforeAll(async () => {
    catalog = await real.parts().catalog.current();
    return async () => await parser[Symbol.asyncDispose]();
  });
  const effect = async (text: string) => {
    const outcome = await parser.parse(text);
    const tree = outcome.type === 'tree' ? outcome.tree : undefined;
    const context = {
      catalog,
      searchPath: ['pg_catalog', 'one'],
      role: 'postgres',
      isLoginRole: true,
      unsettled: undefined,
      parameterTypes: [],
      cursor: () => undefined,
      prepared: () => undefined,
    };
    const [analysis] = analyseStatements(tree, text, context);
    const { runsUserCode, codeIsRead = false } = analysis?.protocol ?? {};
    return { runsUserCode, codeIsRead };
  };

  test.each(READ)('of %s is read to its end', async (name) => {
    for (const text of [
      `UPDATE one.${name} SET v = 'x' WHERE id = 1`,
      `INSERT INTO one.${name} (id, v) VALUES (1, 'x')`,
      `EXPLAIN ANALYZE UPDATE one.${name} SET v = 'x' WHERE id = 1`,
      `WITH a AS (UPDATE one.${name} SET v = 'x' WHERE id = 1 RETURNING id) SELECT id FROM a`,
    ]) {
      expect([text, await effect(text)]).toEqual([text, { runsUserCode: true, codeIsRead: true }]);
    }
  });

  test.each(UNREAD)('of %s may do anything', async (name) => {
    const id = name === 'parent' ? 'id = 2, ' : '';
    for (const text of [
      `UPDATE one.${name} SET ${id}v = 'x' WHERE id = 1`,
      `WITH a AS (UPDATE one.touched SET v = 'x' WHERE id = 1 RETURNING id), b AS (UPDATE one.${name} SET ${id}v = 'x' WHERE id = 1 RETURNING 1) SELECT id FROM a`,
    ]) {
      expect([text, await effect(text)]).toEqual([text, { runsUserCode: true, codeIsRead: false }]);
    }
  });

  test('beside a function of a user may do anything', async () => {
    const text = "UPDATE one.touched SET v = two.moves('x') WHERE id = 1";
    expect(await effect(text)).toEqual({ runsUserCode: true, codeIsRead: false });
  });
});

describe('in a session', () => {
  const grant = grantOf({
    rules: [
      'allow select, insert, update, create table, set search_path on one.*, two.*, pg_temp.*',
      'allow calls of two.moves that may show',
      'allow begin, commit',
      'allow set search_path',
    ],
    masks: ['two.plain.v full'],
  });

  /** How often the catalog was read anew. */
  async function played(texts: readonly string[]) {
    const { policy, catalog } = real.parts();
    let looks = 0;
    const counting: CatalogSource = {
      current: () => catalog.current(),
      fresh: () => catalog.fresh?.(),
      refresh: (scope) => {
        looks += 1;
        return catalog.refresh(scope);
      },
      lookAnew: () => catalog.lookAnew(),
      invalidate: (...how) => catalog.invalidate?.(...how),
      seenBy: async (...how) => await catalog.seenBy?.(...how),
    };
    await using engine = await startBench({
      target: target(),
      policy,
      catalog: counting,
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    await client.ask([query('SET search_path = one')]);
    await client.ask([query('SELECT id FROM plain')]);
    looks = 0;
    const shown: unknown[] = [];
    for (const text of texts) {
      const received = await client.ask([query(text)]);
      expect(errors(received)).toEqual([]);
      shown.push(rows(received));
    }
    return { looks, shown };
  }

  test('a write with a trigger that was read makes nothing be looked at again', async () => {
    const update = "UPDATE touched SET v = 'x' WHERE id = 1";
    const { looks, shown } = await played([update, update, 'SELECT v FROM plain', update]);
    expect([looks, shown[2]]).toEqual([0, [['plain-1']]]);
  });

  test('a write that a trigger records makes nothing be looked at again', async () => {
    const update = "UPDATE audited SET v = 'x' WHERE id = 1";
    await sql("SET search_path = one; INSERT INTO audited VALUES (1, 'x'); RESET search_path");
    const { looks, shown } = await played([
      ...[update, update, 'SELECT v FROM plain'],
      'SELECT op, id, v FROM trail',
    ]);
    expect([looks, shown[2]]).toEqual([0, [['plain-1']]]);
    expect(shown[3]).toEqual(Array(3).fill(['UPDATE', '1', 'x']).with(0, ['INSERT', '1', 'x']));
  });

  test.each([
    ['at once', "UPDATE audited SET v = 'x' WHERE id = 1"],
    ['at the end', "UPDATE put_off SET v = 'x' WHERE id = 1"],
  ])('a temporary table in front of the one that a trigger writes to, %s', async (when, update) => {
    await sql(
      'SET search_path = one; INSERT INTO audited VALUES (1); INSERT INTO put_off VALUES (1); SET CONSTRAINTS ALL IMMEDIATE; RESET search_path',
    );
    const made = `CREATE TEMP TABLE trail (op text, at timestamptz, id int, v text, later timestamptz,
      b bit(3), moved text DEFAULT two.moves('x'))`;
    const texts = when === 'at once' ? [made, update] : ['BEGIN', update, made, 'COMMIT'];
    const { shown } = await played([
      ...['CREATE TEMP TABLE earlier (id int)', 'SELECT id FROM earlier'],
      ...[...texts, 'SELECT v FROM plain'],
    ]);
    expect(shown.at(-1)).toEqual([['****']]);
  });

  test('a trigger that moves the search_path moves it for what follows', async () => {
    await sql("INSERT INTO one.performs VALUES (1, 'x')");
    const texts = ["UPDATE performs SET v = 'x' WHERE id = 1", 'SELECT v FROM plain'];
    const { looks, shown } = await played(texts);
    expect([looks > 0, shown[1]]).toEqual([true, [['****']]]);
  });

  test('a function that was replaced past hoop counts with the next look, as what it has moved', async () => {
    await sql("INSERT INTO one.touched VALUES (1, 'x')");
    const { policy, catalog } = real.parts();
    await using engine = await startBench({
      target: target(),
      policy,
      catalog,
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    await client.ask([query('SET search_path = one')]);
    const update = query("UPDATE one.touched SET v = 'x' WHERE id = 1");
    await client.ask([update]);
    await sql(`CREATE OR REPLACE FUNCTION one.f_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      PERFORM set_config('search_path', 'two', false); RETURN NEW; END $$`);
    await client.ask([update]);
    await catalog.refresh();
    const received = await client.ask([query("SELECT v || '' FROM plain")]);
    expect(rows(received)).toEqual([['****']]);
  });
});
