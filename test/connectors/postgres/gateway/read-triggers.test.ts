/** Writes that fire triggers: what was read to its end disturbs nothing, and everything else does. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/analyse-statements.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parser.ts';
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
  CREATE TABLE one.plain (id int PRIMARY KEY, v text); INSERT INTO one.plain VALUES (1, 'plain-1');
  CREATE TABLE two.plain (id int PRIMARY KEY, v text); INSERT INTO two.plain VALUES (1, 'hidden-1');
  ${Object.entries(TRIGGERS)
    .map(
      ([name, [body, trigger]]) => `CREATE TABLE one.${name} (id int, v text, at timestamptz);
  CREATE FUNCTION one.f_${name}() RETURNS trigger LANGUAGE plpgsql AS $body$ ${body} $body$;
  CREATE TRIGGER t ${trigger} ON one.${name} FOR EACH ROW EXECUTE FUNCTION one.f_${name}();`,
    )
    .join('\n')}
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
const READ = ['touched', 'guarded'];
const UNREAD = [
  ...Object.keys(TRIGGERS).filter((name) => !READ.includes(name)),
  ...['asks_when', 'twofold', 'ruled', 'checked', 'parted', 'instead', 'parent'],
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
      'allow select, insert, update, set search_path on one.*, two.*',
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
