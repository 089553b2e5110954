/** Settings and options that may hold a password, against a real server. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { query, RawClient } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const SECRET = 'hunter2';
const { target, sql } = testTarget(`
  CREATE TABLE people (id int PRIMARY KEY, card text);
  CREATE ROLE app;
  ALTER ROLE app SET app.jwt_secret = '${SECRET}';
  ALTER ROLE app SET search_path = 'public';
  CREATE ROLE report;
  ALTER ROLE report SET work_mem = '8MB';
  CREATE FOREIGN DATA WRAPPER away OPTIONS (token '${SECRET}');
  CREATE SERVER far FOREIGN DATA WRAPPER away OPTIONS (password '${SECRET}');
`);
const real = realEngine(target);
const GRANTS: Readonly<Record<string, Grant>> = {
  'while columns are masked': grantOf({ rules: ['allow *'], masks: ['public.people.card full'] }),
  'where rules alone restrict': grantOf({ rules: ['allow select, show, set, copy on *.*'] }),
};

beforeAll(async () => {
  await sql("ALTER SYSTEM SET restore_command = 'curl -u backup:hunter2 https://store/%f'");
  await sql("ALTER SYSTEM SET primary_conninfo = 'host=db user=copy password=hunter2'");
  await sql('SELECT pg_reload_conf()');
  await sql(`ALTER DATABASE postgres SET app.jwt_secret = '${SECRET}'`);
  await sql("ALTER DATABASE postgres SET app.tenant = '7'");
});

describe.each(Object.entries(GRANTS))('%s', (_, grant) => {
  let engine: Bench;
  let client: pg.Client;
  beforeAll(async () => {
    engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
    client = new pg.Client({
      host: '127.0.0.1',
      port: engine.port,
      user: 'u',
      database: 'postgres',
    });
    await client.connect();
  });
  afterAll(async () => {
    await client?.end();
    await engine?.[Symbol.asyncDispose]();
  });
  const ask = async (text: string): Promise<unknown[][]> => {
    const result = await client.query<unknown[]>({ text, rowMode: 'array' });
    return result.rows;
  };

  test.each([
    'SHOW primary_conninfo',
    'SHOW restore_command',
    'SHOW app.jwt_secret',
    'SHOW ALL',
    "SELECT current_setting('primary_conninfo')",
    "SELECT current_setting('App.JWT_Secret', true)",
    "SELECT current_setting('app.' || 'jwt_secret')",
    "SELECT current_setting(n) FROM (VALUES ('app.jwt_secret')) v(n)",
    'SELECT name, setting FROM pg_settings',
    'SELECT * FROM pg_settings',
    'SELECT name, current_setting(name) FROM pg_settings',
    "SELECT setting FROM pg_settings WHERE name = 'restore_command'",
    "SELECT setting FROM pg_settings WHERE name IN ('work_mem', 'restore_command')",
    "SELECT s FROM pg_settings s WHERE name = 'restore_command'",
    "SELECT to_jsonb(s) FROM pg_settings s WHERE name = 'restore_command'",
    "SELECT (SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'), 1 FROM pg_settings WHERE name = 'work_mem'",
    "SELECT b.setting FROM pg_settings a, pg_settings b WHERE a.name = 'work_mem' AND b.name ~ 'conninfo'",
    "SELECT left(setting, 90) FROM pg_settings WHERE name ~ 'conninfo'",
    'SELECT setconfig FROM pg_db_role_setting',
    "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting",
    'SELECT rolname, rolconfig FROM pg_roles',
    'SELECT srvoptions FROM pg_foreign_server',
    'SELECT fdwoptions FROM pg_foreign_data_wrapper',
    'SELECT option_name, option_value FROM information_schema.foreign_server_options',
    'SELECT option_name, option_value FROM information_schema.foreign_data_wrapper_options',
  ])('%s shows no secret', async (text) => {
    expect(JSON.stringify(await sql(text)).replaceAll('\\', '')).toContain(SECRET);
    const shown = JSON.stringify(await ask(text));
    expect(shown).not.toContain(SECRET);
    expect(shown).toMatch(/\*{4}|null/);
  });

  test('COPY shows no secret', async () => {
    await using raw = await RawClient.open(engine.port);
    const received = await raw.ask([
      query('COPY (SELECT name, setting FROM pg_settings) TO STDOUT'),
    ]);
    const data = received.filter(({ type }) => type === 'd').map(({ body }) => body.toString());
    expect(data.join('')).toContain('restore_command\t****\n');
    expect(data.join('')).toMatch(/work_mem\t\d+\n/);
    expect(data.join('')).not.toContain(SECRET);
  });

  test.each([
    "SELECT length(current_setting('primary_conninfo'))",
    "SELECT 1 WHERE current_setting('app.jwt_secret') LIKE 'h%'",
    "SELECT name FROM pg_settings WHERE setting LIKE '%hunter%'",
    'SELECT a.name FROM pg_settings a, pg_settings b WHERE a.setting IS DISTINCT FROM b.boot_val',
    'SELECT 1 FROM (SELECT a.setting, b.boot_val FROM pg_settings a, pg_settings b) s WHERE s.setting IS DISTINCT FROM s.boot_val',
    "SELECT setting::int FROM pg_settings WHERE name = 'work_mem' OR name ~ 'conninfo'",
    'SELECT * FROM pg_show_all_settings()',
    "SELECT 1 FROM pg_db_role_setting WHERE array_to_string(setconfig, '') LIKE '%hunter%'",
    'CREATE TABLE kept AS SELECT setting FROM pg_settings',
  ])('hoop refuses %s', async (text) => {
    await expect(ask(text)).rejects.toMatchObject({ code: expect.stringMatching(/42501|0A000/) });
  });

  test.each([
    'SHOW server_version',
    'SHOW search_path',
    'SHOW log_line_prefix',
    'SHOW app.tenant',
    'SHOW password_encryption',
    'SHOW ssl_key_file',
    "SELECT current_setting('search_path'), current_setting('server_version_num')::int > 9",
    "SELECT 1 WHERE current_setting('app.tenant')::int = 7",
    "SELECT setting FROM pg_settings WHERE name = 'server_version'",
    "SELECT setting::int / 2, unit FROM pg_settings WHERE name = 'work_mem' AND setting::int > 0",
    "SELECT s.name, s.setting::float8 FROM pg_settings s WHERE s.name IN ('work_mem', 'max_connections')",
    "SELECT name, setting::float8 FROM pg_settings WHERE vartype IN ('integer', 'real')",
    "SELECT name, setting FROM pg_settings WHERE name !~ '_command|conninfo|application_name'",
    "SELECT s.name, current_setting(s.name) FROM pg_settings s WHERE s.source <> 'default' AND s.setting IS DISTINCT FROM s.boot_val AND s.name !~ '_command|conninfo' AND s.source <> 'client' ORDER BY 1",
    "SELECT r.rolname, array_to_string(s.setconfig, E'\\n') FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname = 'report'",
  ])('%s shows what the server says', async (text) => {
    const direct = new pg.Client({ ...direction(), database: 'postgres' });
    await direct.connect();
    const { rows } = await direct.query<unknown[]>({ text, rowMode: 'array' });
    await direct.end();
    expect(await ask(text)).toEqual(rows);
  });
});

function direction() {
  const { hosts, user, password } = target();
  const [{ host, port } = { host: '', port: 0 }] = hosts;
  return { host, port, user, password: password?.expose() };
}

test('a grant that restricts nothing shows them', async () => {
  const everything = grantOf({ rules: ['allow *'] });
  await using engine = await startBench({
    target: target(),
    ...real.parts(),
    grant: () => everything,
  });
  await using raw = await RawClient.open(engine.port);
  const received = await raw.ask([query('SHOW primary_conninfo')]);
  expect(received.map(({ body }) => body.toString()).join('')).toContain(SECRET);
});
