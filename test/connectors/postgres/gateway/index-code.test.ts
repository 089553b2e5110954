/** CREATE INDEX and CREATE TABLE … PARTITION OF run code over the rows that are there. */
import { describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

/** What runs puts the masked column under another name, which no look at relations shows. */
const { target } = testTarget(`
  CREATE SCHEMA app; CREATE SCHEMA two;
  CREATE TABLE two.t (id int, v text, w text); INSERT INTO two.t VALUES (1, 'hidden-1', 'plain-1');
  CREATE TABLE app.t (id int, v text); INSERT INTO app.t VALUES (1, 'x');
  CREATE FUNCTION app.swap() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'two.t'::regclass AND attname = 'z') THEN RETURN; END IF;
    ALTER TABLE two.t RENAME w TO z; ALTER TABLE two.t RENAME v TO w; END $$;
  CREATE FUNCTION app.code(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM app.swap(); RETURN $1; END $$;
  CREATE TYPE app.box AS (id int);
  CREATE FUNCTION app.to_box(int) RETURNS app.box LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM app.swap(); RETURN ROW($1); END $$;
  CREATE CAST (int AS app.box) WITH FUNCTION app.to_box(int);
  CREATE DOMAIN app.checked AS int CHECK (app.code(VALUE) > 0);
  CREATE FUNCTION app.equal(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM app.swap(); RETURN $1 = $2; END $$;
  CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = app.equal);
  CREATE FUNCTION app.compare(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM app.swap(); RETURN btint4cmp($1, $2); END $$;
  CREATE OPERATOR CLASS app.own_ops FOR TYPE int USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 app.compare(int, int);
  INSERT INTO app.t SELECT n, 'x' FROM generate_series(2, 5) n;
  CREATE FUNCTION app.part(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
  CREATE TABLE app.parts (id int) PARTITION BY LIST (app.part(id));
  CREATE TABLE app.rest PARTITION OF app.parts DEFAULT;
  INSERT INTO app.parts VALUES (1);
  CREATE OR REPLACE FUNCTION app.part(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM app.swap(); RETURN $1; END $$;
`);

const real = realEngine(target);

const CODE: Record<string, string> = {
  'a function in an expression': 'CREATE INDEX made ON app.t (app.code(id))',
  'a function in the predicate': 'CREATE INDEX made ON app.t (id) WHERE app.code(id) > 0',
  'an operator': 'CREATE INDEX made ON app.t ((id OPERATOR(app.===) 1))',
  'a cast': 'CREATE INDEX made ON app.t ((CAST(id AS app.box)))',
  'a cast to a domain': 'CREATE INDEX made ON app.t ((id::app.checked))',
  'an operator class': 'CREATE INDEX made ON app.t (id app.own_ops)',
  'the key of a partitioned table':
    'CREATE TABLE app.made PARTITION OF app.parts FOR VALUES IN (7)',
};

const grant = grantOf({
  rules: ['allow create index, create table, select'],
  masks: ['two.t.v full'],
});

describe('what an index runs does not pass unseen:', () => {
  test.each(Object.entries(CODE))('%s', async (_, text) => {
    await using engine = await startBench({
      target: target(),
      ...real.parts(),
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    expect(rows(await client.ask([query('SELECT w FROM two.t')]))).toEqual([['plain-1']]);
    await client.ask([query('BEGIN')]);
    await client.ask([query(text)]);
    // It is refused for what it would run, or what follows is judged by what that has left. By what
    // was before, the columns that come would be others than were checked.
    const seen = await client.ask([query('SELECT w FROM two.t')]);
    expect(errors(seen).map(({ R }) => R)).not.toContain('HOOP_RESULT_MISMATCH');
    await client.ask([query('ROLLBACK')]);
  });

  test('an index of columns and built-in functions changes relations only', async () => {
    await using engine = await startBench({
      target: target(),
      ...real.parts(),
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    await client.ask([query('BEGIN')]);
    for (const text of [
      'CREATE INDEX ON app.t (id, v DESC)',
      "CREATE INDEX ON app.t (lower(v)) WHERE v <> ''::text",
    ]) {
      expect(errors(await client.ask([query(text)]))).toEqual([]);
    }
    expect(rows(await client.ask([query('SELECT lower(v) FROM app.t WHERE id = 1')]))).toEqual([
      ['x'],
    ]);
    await client.ask([query('ROLLBACK')]);
  });
});
