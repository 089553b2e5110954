/** Statements about the roles that hoop logs in with, against a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../../src/secret.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, query, RawClient } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE t (id int, secret text);
  CREATE TABLE plain (id int);
  CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD 'keeper';
  ALTER DATABASE postgres OWNER TO keeper;
  CREATE ROLE group_of_keeper;
  GRANT group_of_keeper TO keeper WITH ADMIN OPTION;
  CREATE ROLE member_of_keeper LOGIN;
  GRANT keeper TO member_of_keeper;
  CREATE ROLE other_login LOGIN;
  CREATE ROLE other_member;
  CREATE ROLE app LOGIN;
  CREATE ROLE team;
  GRANT app, team TO keeper WITH ADMIN OPTION, INHERIT FALSE, SET FALSE;
  GRANT ALL ON t TO keeper;
  GRANT ALL ON plain TO keeper WITH GRANT OPTION;
`);
const everything = grantOf({ rules: ['allow *'] });
const masked = grantOf({
  rules: ['allow select', 'allow alter, create, drop, grant, revoke, reassign owned'],
  masks: ['public.t.secret full'],
});
const named = grantOf({ rules: ['allow *', 'allow alter own login'] });
const onlyNamed = grantOf({ rules: ['allow alter own login'] });
const real = realEngine(() => keeper());

function keeper() {
  return {
    ...target(),
    user: 'keeper',
    password: new Secret('keeper'),
    users: ['keeper', 'other_login'],
  };
}

let engine: Bench;
let grant = everything;
beforeAll(async () => {
  engine = await startBench({ target: keeper(), ...real.parts(), grant: () => grant });
});
beforeEach(() => {
  grant = everything;
});
afterAll(() => engine[Symbol.asyncDispose]());

async function said(text: string): Promise<readonly (string | undefined)[]> {
  await using client = await RawClient.open(engine.port);
  return errors(await client.ask([query(text)])).map(({ M }) => M);
}

const REFUSED = /^[A-Z ]+ is not allowed by policy: /;

const CHANGES = [
  "ALTER ROLE keeper PASSWORD 'known'",
  "ALTER USER keeper WITH ENCRYPTED PASSWORD 'known'",
  "ALTER ROLE CURRENT_USER PASSWORD 'known'",
  "ALTER ROLE CURRENT_ROLE PASSWORD 'known'",
  "ALTER ROLE SESSION_USER PASSWORD 'known'",
  `ALTER ROLE "keeper" PASSWORD 'known'`,
  `ALTER ROLE U&"k\\0065eper" PASSWORD 'known'`,
  "alter/**/user KEEPER password 'known'",
  'ALTER ROLE keeper PASSWORD NULL',
  "ALTER ROLE keeper VALID UNTIL '2000-01-01'",
  'ALTER ROLE keeper NOLOGIN',
  'ALTER ROLE keeper CONNECTION LIMIT 0',
  'ALTER ROLE keeper NOINHERIT',
  'ALTER ROLE keeper RENAME TO other',
  'ALTER USER keeper RENAME TO other',
  "ALTER ROLE keeper SET statement_timeout = '1ms'",
  'ALTER ROLE keeper IN DATABASE postgres SET work_mem = 64',
  'ALTER ROLE keeper RESET ALL',
  "ALTER ROLE ALL SET statement_timeout = '1ms'",
  'DROP ROLE keeper',
  'DROP USER IF EXISTS app, keeper',
  'DROP OWNED BY keeper',
  'REASSIGN OWNED BY CURRENT_USER TO app',
  'GRANT keeper TO app',
  'GRANT keeper TO app WITH INHERIT TRUE, SET TRUE',
  'GRANT member_of_keeper TO app',
  'ALTER GROUP keeper ADD USER app',
  'CREATE ROLE another IN ROLE keeper',
  'ALTER ROLE group_of_keeper NOLOGIN',
  'DROP ROLE group_of_keeper',
  'REVOKE group_of_keeper FROM keeper',
  'ALTER GROUP group_of_keeper DROP USER keeper',
  "ALTER ROLE member_of_keeper VALID UNTIL '2000-01-01'",
  "ALTER ROLE other_login VALID UNTIL '2000-01-01'",
  'DROP ROLE other_login',
  'CREATE ROLE another LOGIN',
  "CREATE ROLE another PASSWORD 'known'",
  'CREATE USER another',
  "CREATE USER another PASSWORD 'known'",
  "ALTER ROLE app PASSWORD 'known'",
  'ALTER ROLE team LOGIN',
  'ALTER ROLE team SUPERUSER',
  'CREATE ROLE another CREATEROLE',
  'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC',
  'REVOKE ALL ON DATABASE postgres FROM keeper',
  'REVOKE USAGE ON SCHEMA pg_catalog FROM PUBLIC',
  'REVOKE EXECUTE ON FUNCTION pg_catalog.pg_get_viewdef(oid) FROM PUBLIC',
];

/** The server knows better than to run them where they stand, but would take them elsewhere. */
const DATABASE = [
  'ALTER DATABASE postgres CONNECTION LIMIT 0',
  'ALTER DATABASE postgres ALLOW_CONNECTIONS false',
  'ALTER DATABASE postgres RENAME TO other',
  'ALTER DATABASE postgres OWNER TO app',
  "ALTER DATABASE postgres SET statement_timeout = '1ms'",
];

const EVERYDAY = [
  'CREATE ROLE report',
  'CREATE ROLE report2 NOLOGIN ROLE other_member',
  'ALTER ROLE report CREATEDB',
  'ALTER ROLE report CONNECTION LIMIT 3',
  "ALTER ROLE report VALID UNTIL '2040-01-01'",
  "ALTER ROLE report SET search_path = 'public'",
  'ALTER ROLE report RENAME TO reports',
  'GRANT reports TO report2',
  'REVOKE reports FROM report2',
  'GRANT SELECT ON plain TO reports',
  'REVOKE SELECT ON plain FROM reports',
  'ALTER ROLE app CONNECTION LIMIT 5',
  "ALTER USER app SET statement_timeout = '5s'",
  'GRANT team TO other_member',
  'ALTER ROLE app NOLOGIN',
  'DROP ROLE reports, report2',
];

describe.each([
  ['a rule for everything', everything],
  ['rules for ALTER, CREATE and DROP beside masks', masked],
])('under %s', (_, rules) => {
  test.each(CHANGES)('hoop refuses %s', async (text) => {
    grant = rules;
    expect(await said(text)).toEqual([expect.stringMatching(REFUSED)]);
  });

  test('work on roles that hoop does not log in with passes', async () => {
    grant = rules;
    for (const text of EVERYDAY) expect(await said(text), text).toEqual([]);
  });
});

test.each(DATABASE)('a rule for everything does not allow %s', async (text) => {
  expect(await said(text)).toEqual([expect.stringMatching(REFUSED)]);
});

test('settings of the database that keep nobody out need no rule of that name', async () => {
  expect(await said("ALTER DATABASE postgres SET search_path = 'public'")).toEqual([]);
  expect(await said('ALTER DATABASE postgres SET work_mem = 64')).toEqual([]);
  expect(await said('ALTER DATABASE postgres RESET ALL')).toEqual([]);
});

describe('with a superuser', () => {
  const admin = realEngine(target);
  const catalogs = grantOf({
    rules: ['allow *', 'allow * on pg_catalog.*', 'allow calls of pg_catalog.*'],
  });
  let open: Bench;
  beforeAll(async () => {
    await sql(`CREATE VIEW roles_of_mine AS SELECT * FROM pg_authid;
      CREATE TABLE inbox (word text);
      CREATE RULE forward AS ON INSERT TO inbox DO ALSO UPDATE pg_authid SET rolpassword = NEW.word`);
    open = await startBench({ target: target(), ...admin.parts(), grant: () => catalogs });
  });
  afterAll(() => open[Symbol.asyncDispose]());

  test.each([
    'ALTER ROLE postgres PASSWORD NULL',
    "UPDATE pg_authid SET rolpassword = NULL WHERE rolname = 'postgres'",
    "UPDATE pg_authid SET rolpassword = 'x'",
    'DELETE FROM pg_auth_members',
    'DELETE FROM pg_db_role_setting',
    "UPDATE pg_database SET datallowconn = false WHERE datname = 'postgres'",
    'UPDATE roles_of_mine SET rolcanlogin = false',
    'DELETE FROM pg_group',
    "INSERT INTO inbox VALUES ('x')",
    'WITH a AS (UPDATE pg_authid SET rolcanlogin = false RETURNING 1) SELECT 1',
    'CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION f()',
  ])('hoop refuses %s', async (text) => {
    await using client = await RawClient.open(open.port);
    const [refused] = errors(await client.ask([query(text)]));
    expect(refused?.['M']).toMatch(REFUSED);
  });

  test('other catalogs stay open to a rule that names them', async () => {
    await using client = await RawClient.open(open.port);
    const text = "UPDATE pg_description SET description = '' WHERE false";
    expect(errors(await client.ask([query(text)]))).toEqual([]);
  });
});

describe('in code', () => {
  const admin = realEngine(target);
  let open: Bench;
  beforeAll(async () => {
    await sql(`CREATE TABLE done (id int);
      CREATE FUNCTION exec_sql(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
        AS 'BEGIN EXECUTE command; END';
      CREATE FUNCTION reset_password() RETURNS void LANGUAGE sql SECURITY DEFINER
        AS 'ALTER ROLE postgres PASSWORD NULL';
      CREATE EXTENSION tablefunc;
      CREATE FUNCTION fold(state int, command text) RETURNS int LANGUAGE plpgsql
        AS 'BEGIN EXECUTE command; RETURN 1; END';
      CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER looking ON login EXECUTE FUNCTION look();
      ALTER EVENT TRIGGER looking DISABLE;
      CREATE FUNCTION add_done(n int) RETURNS void LANGUAGE plpgsql
        AS 'BEGIN -- execute the insert
          INSERT INTO done VALUES (n); EXECUTE ''ANALYZE done''; END'`);
    open = await startBench({ target: target(), ...admin.parts(), grant: () => grant });
  });
  afterAll(() => open[Symbol.asyncDispose]());
  const ask = async (text: string): Promise<readonly (string | undefined)[]> => {
    await using client = await RawClient.open(open.port);
    return errors(await client.ask([query(text)])).map(({ M }) => M);
  };
  const inDo = (body: string): string => `DO $do$ BEGIN ${body} END $do$`;

  test.each([
    inDo("ALTER ROLE postgres PASSWORD 'x';"),
    inDo("alter/**/role current_user password 'x';"),
    inDo("EXECUTE 'ALTER ROLE postgres NOLOGIN';"),
    inDo("EXECUTE 'ALTER ' || 'ROLE postgres NOLOGIN';"),
    inDo("EXECUTE format('ALTER ROLE %I NOLOGIN', current_user);"),
    inDo("EXECUTE format('%s', 'ALTER ROLE postgres NOLOGIN');"),
    inDo("EXECUTE 'ALTER ' || quote_ident('role') || ' postgres NOLOGIN';"),
    inDo("EXECUTE replace('ALTER_ROLE postgres NOLOGIN', '_', ' ');"),
    inDo('EXECUTE $x$ALTER ROLE postgres NOLOGIN$x$;'),
    inDo("EXECUTE E'ALTER\\x20ROLE postgres NOLOGIN';"),
    inDo('CREATE USER another;'),
    inDo('UPDATE pg_authid SET rolcanlogin = false;'),
    inDo("COPY done FROM PROGRAM 'true';"),
    inDo("PERFORM exec_sql('ALTER ROLE postgres NOLOGIN');"),
    inDo('PERFORM public.reset_password();'),
    inDo("PERFORM lo_export(1, '/tmp/pg_hba.conf');"),
    inDo('DO $b$ BEGIN ALTER ROLE postgres NOLOGIN; END $b$;'),
    inDo("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'ALTER ROLE postgres NOLOGIN';"),
    inDo("CREATE FUNCTION f(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system';"),
    inDo('CREATE EXTENSION dblink;'),
    inDo("PERFORM query_to_xml('select reset_password()', true, true, '');"),
    inDo("PERFORM query_to_xml(chr(65) || 'x', true, true, '');"),
    "SELECT query_to_xml('select reset_password()', true, true, '')",
    "SELECT query_to_xml('select reset' || '_password()', true, true, '')",
    "SELECT xpath('/a', query_to_xml('select reset_password()', true, true, ''))",
    "SELECT * FROM ts_stat('select reset_password()::text::tsvector')",
    "SELECT ts_rewrite('a'::tsquery, 'select q, q from (select reset_password()) x(q)')",
    "SELECT * FROM crosstab('select reset_password()::text, 1, 1') AS c(a text, b text)",
    "SELECT * FROM crosstab('select 1, 2, 3', 'select reset_password()') AS c(a text, b text)",
    "SELECT * FROM crosstab('select reset' || '_password()') AS c(a text, b text)",
    "CREATE AGGREGATE folded (text) (SFUNC = fold, STYPE = int, INITCOND = '0')",
    'CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = text, FUNCTION = public.fold)',
    'ALTER EVENT TRIGGER looking ENABLE',
    "DO LANGUAGE plpgsql 'BEGIN ALTER ROLE postgres NOLOGIN; END'",
    "SELECT exec_sql('ALTER ROLE postgres NOLOGIN')",
    'SELECT reset_password()',
    'SELECT * FROM reset_password()',
    'CREATE VIEW way AS SELECT reset_password()',
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'ALTER/**/ROLE postgres NOLOGIN'",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE NEW.command; END'",
    "CREATE PROCEDURE f() LANGUAGE plpgsql AS 'BEGIN ALTER USER postgres NOLOGIN; END'",
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM pg_authid; SELECT 1; END',
  ])('hoop refuses %s', async (text) => {
    expect(await ask(text)).toEqual([expect.stringMatching(/ is not allowed by policy/)]);
  });

  test('everyday code passes', async () => {
    for (const text of [
      inDo('NULL;'),
      inDo(
        "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'audience') THEN CREATE ROLE audience; END IF;",
      ),
      inDo("EXCEPTION WHEN duplicate_object THEN RAISE NOTICE 'user role password';"),
      inDo('GRANT SELECT ON done TO audience;'),
      inDo("EXECUTE format('ALTER TABLE %I ADD COLUMN %I int', 'done', 'more');"),
      inDo("EXECUTE 'ALTER TABLE done DROP COLUMN ' || quote_ident('more');"),
      inDo('PERFORM add_done(1);'),
      inDo('UPDATE done SET id = 2; REVOKE SELECT ON done FROM audience; DROP ROLE audience;'),
      'SELECT add_done(1)',
      "SELECT query_to_xml('select 1', true, true, '')",
      "SELECT * FROM crosstab('select 1::text, 2::text, 3::text') AS c(a text, b text)",
      inDo("PERFORM query_to_xml('select count(*) from done', true, false, '');"),
      inDo('DO $b$ BEGIN INSERT INTO done VALUES (3); END $b$;'),
      inDo('INSERT INTO done VALUES (4) ON CONFLICT DO NOTHING; UPDATE done SET id = 5;'),
      "CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
      'DROP AGGREGATE total (int)',
      'ALTER TABLE done OWNER TO app',
      'ALTER EVENT TRIGGER looking DISABLE',
      "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := 1; RETURN NEW; END'",
      "CREATE FUNCTION h(command text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE command; END'",
      'DROP FUNCTION g(); DROP FUNCTION h(text)',
    ]) {
      expect(await ask(text), text).toEqual([]);
    }
  });

  test('a rule that names the function, or the verb, allows it', async () => {
    grant = grantOf({ rules: ['allow *', 'allow calls of public.exec_sql'] });
    expect(await ask("SELECT exec_sql('ANALYZE done')")).toEqual([]);
    grant = named;
    expect(await ask("SELECT exec_sql('ANALYZE done')")).toEqual([]);
    expect(await ask(inDo("EXECUTE format('ANALYZE %s', 'done');"))).toEqual([]);
  });
});

describe('with an event trigger that looks at every login', () => {
  const admin = realEngine(target);
  let open: Bench;
  beforeAll(async () => {
    await sql(`CREATE SCHEMA gate;
      CREATE TABLE visits (at timestamptz);
      CREATE FUNCTION gate."Note Visit"() RETURNS void LANGUAGE sql AS 'INSERT INTO visits VALUES (now())';
      CREATE FUNCTION gate.check_visit() RETURNS void LANGUAGE plpgsql
        AS 'BEGIN PERFORM gate."Note Visit"(); END';
      CREATE FUNCTION at_the_door() RETURNS event_trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM gate.Check_Visit(); END';
      CREATE FUNCTION check_visits() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER door ON login EXECUTE FUNCTION at_the_door();
      CREATE EVENT TRIGGER other ON ddl_command_end EXECUTE FUNCTION check_visits()`);
    await admin.parts().catalog.refresh();
    open = await startBench({ target: target(), ...admin.parts(), grant: () => grant });
  });
  afterAll(async () => {
    await open[Symbol.asyncDispose]();
    await sql('DROP EVENT TRIGGER door; DROP EVENT TRIGGER other');
  });
  const ask = async (text: string): Promise<readonly (string | undefined)[]> => {
    await using client = await RawClient.open(open.port);
    return errors(await client.ask([query(text)])).map(({ M }) => M);
  };
  const raise = "LANGUAGE plpgsql AS 'BEGIN RAISE ''closed''; END'";

  test.each([
    `CREATE OR REPLACE FUNCTION at_the_door() RETURNS event_trigger ${raise}`,
    `CREATE OR REPLACE FUNCTION public."at_the_door"() RETURNS event_trigger ${raise}`,
    `CREATE OR REPLACE FUNCTION gate.check_visit() RETURNS void ${raise}`,
    `CREATE OR REPLACE FUNCTION gate."Note Visit"() RETURNS void ${raise}`,
    'ALTER FUNCTION at_the_door() SET statement_timeout = 1',
    'ALTER ROUTINE gate.check_visit() RENAME TO checked',
    'ALTER FUNCTION gate.check_visit() SET SCHEMA public',
    'ALTER FUNCTION gate.check_visit() OWNER TO app',
    'ALTER FUNCTION gate.check_visit() DEPENDS ON EXTENSION plpgsql',
    'DROP FUNCTION at_the_door() CASCADE',
    'DROP FUNCTION IF EXISTS add_done(int), gate.check_visit()',
    'DROP SCHEMA gate CASCADE',
    'ALTER SCHEMA gate RENAME TO fence',
    'DROP OWNED BY app',
    'REVOKE EXECUTE ON FUNCTION gate.check_visit() FROM PUBLIC',
    'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gate FROM PUBLIC',
    'REVOKE USAGE ON SCHEMA gate FROM PUBLIC',
    'DO $$ BEGIN DROP FUNCTION gate.check_visit(); END $$',
    'DO $$ BEGIN DROP SCHEMA gate CASCADE; END $$',
    `DO $do$ BEGIN EXECUTE 'DROP FUNCTION ' || quote_ident('check_visit') || '()'; END $do$`,
    `DO $do$ BEGIN CREATE OR REPLACE FUNCTION at_the_door() RETURNS event_trigger LANGUAGE plpgsql AS $f$BEGIN RAISE 'closed'; END$f$; END $do$`,
  ])('hoop refuses %s', async (text) => {
    expect(await ask(text)).toEqual([expect.stringMatching(/ runs at every login$/)]);
  });

  test('other functions and schemas change as before', async () => {
    for (const text of [
      "CREATE OR REPLACE FUNCTION check_visits() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'",
      "CREATE FUNCTION public.plain_one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "COMMENT ON FUNCTION gate.check_visit() IS 'notes a visit'",
      'GRANT EXECUTE ON FUNCTION gate.check_visit() TO app',
      'REVOKE EXECUTE ON FUNCTION plain_one() FROM PUBLIC',
      'DO $$ BEGIN ALTER FUNCTION plain_one() STABLE; END $$',
      'CREATE SCHEMA fence; ALTER SCHEMA fence RENAME TO hedge; DROP SCHEMA hedge',
      'DROP FUNCTION public.plain_one()',
    ]) {
      expect(await ask(text), text).toEqual([]);
    }
  });

  test('a function that others have it call meanwhile counts once it has been seen', async () => {
    await sql(`CREATE FUNCTION late() RETURNS void LANGUAGE sql AS 'SELECT 1';
      CREATE OR REPLACE FUNCTION gate."Note Visit"() RETURNS void LANGUAGE sql AS 'SELECT late()'`);
    await admin.parts().catalog.refresh();
    expect(await ask('DROP FUNCTION late()')).toEqual([
      expect.stringMatching(/: late\(\) runs at every login$/),
    ]);
  });

  test('once the trigger is disabled, its functions are like any other', async () => {
    await sql('ALTER EVENT TRIGGER door DISABLE');
    await admin.parts().catalog.refresh();
    expect(await ask('ALTER FUNCTION gate.check_visit() STABLE')).toEqual([]);
    await sql('ALTER EVENT TRIGGER door ENABLE');
    await admin.parts().catalog.refresh();
    expect(await ask('ALTER FUNCTION gate.check_visit() VOLATILE')).toEqual([
      expect.stringMatching(/ runs at every login$/),
    ]);
  });
});

test('a rule that names the verb allows it, alone as well', async () => {
  grant = named;
  expect(await said("ALTER ROLE keeper SET work_mem = '8MB'")).toEqual([]);
  grant = onlyNamed;
  expect(await said('ALTER ROLE CURRENT_USER RESET work_mem')).toEqual([]);
  expect(await said("CREATE ROLE visitor LOGIN PASSWORD 'x'")).toEqual([]);
  expect(await said('DROP ROLE visitor')).toEqual(['DROP ROLE is not allowed by policy']);
  expect(await said('SELECT 1 FROM t')).toEqual(['SELECT on public.t is not allowed by policy']);
});

test('a deny of everything, or of ALTER, beats the verb', async () => {
  for (const deny of ['deny alter', 'deny alter role', 'deny *', 'deny alter own login']) {
    grant = grantOf({ rules: ['allow *', 'allow alter own login', deny] });
    const text = "ALTER ROLE keeper SET work_mem = '8MB'";
    expect(await said(text), deny).toEqual(['ALTER ROLE is denied by policy']);
  }
});

test('a membership that others granted meanwhile counts once it has been seen', async () => {
  await sql('CREATE ROLE fresh; GRANT fresh TO keeper');
  await real.parts().catalog.refresh();
  expect(await said('DROP ROLE fresh')).toEqual([expect.stringMatching(REFUSED)]);
});

test('in a role that was taken, CURRENT_USER is that role, and SESSION_USER still hoop’s', async () => {
  grant = grantOf({ rules: ['allow *', 'allow set role'] });
  await sql('CREATE ROLE taken CREATEROLE; GRANT taken TO keeper WITH ADMIN OPTION');
  await using client = await RawClient.open(engine.port);
  const ask = async (text: string) => errors(await client.ask([query(text)])).map(({ M }) => M);
  expect(await ask('SET ROLE taken')).toEqual([]);
  expect(await ask('ALTER ROLE SESSION_USER NOLOGIN')).toEqual([expect.stringMatching(REFUSED)]);
  expect(await ask('BEGIN; SET ROLE keeper; ALTER ROLE CURRENT_USER NOLOGIN')).toEqual([
    expect.stringMatching(REFUSED),
  ]);
});
