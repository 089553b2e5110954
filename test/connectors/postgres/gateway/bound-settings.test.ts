/** set_config() with parameters is decided by the values of each Bind or EXECUTE, as literals are. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { bind, errors, execute, parse, query, RawClient, rows, sync } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE ROLE other; CREATE TABLE t (id int, owner text);
  INSERT INTO t VALUES (1, 'a'), (2, 'b');
`);
const real = realEngine(target);
const tenants = grantOf({
  rules: ['allow select on public.*', 'allow set app.tenant'],
  masks: ['public.t.owner full'],
  inference: 'deny',
});
const without = grantOf({ rules: ['allow select on public.*'] });

let engine: Bench;
let client: RawClient;
let grant = tenants;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
beforeEach(async () => {
  grant = tenants;
  client = await RawClient.open(engine.port);
  return () => client[Symbol.asyncDispose]();
});
afterAll(() => engine?.[Symbol.asyncDispose]());

const SET = 'SELECT set_config($1, $2, false)';
const codes = async (...messages: Uint8Array[]) =>
  errors(await client.ask([[...messages, sync]])).map(({ R, C }) => R ?? C);
const bound = (values: (string | null)[], formats: number[] = []) =>
  bind({ values, valueFormats: formats });
const setting = async (name: string) =>
  rows(await client.ask([query(`SELECT current_setting('${name}', true)`)]))[0]?.[0];

describe('of one Parse', () => {
  test('each Bind is decided by its own values', async () => {
    expect(await codes(parse(SET, 's'))).toEqual([]);
    const run = (...values: (string | null)[]) =>
      codes(bind({ statement: 's', values }), execute());
    expect(await run('app.tenant', 'x')).toEqual([]);
    expect(await setting('app.tenant')).toBe('x');
    expect(await run('role', 'other')).toEqual(['HOOP_SETTING']);
    expect(await run('APP.Tenant', 'y')).toEqual([]);
    expect(await setting('app.tenant')).toBe('y');
    for (const name of [
      'ROLE',
      'session_authorization',
      'app.other',
      'session_replication_role',
      'standard_conforming_strings',
      'enable_seqscan',
      'log_statement_stats',
      '*',
      '',
      null,
    ]) {
      expect([name, await run(name, 'off')]).toEqual([name, ['HOOP_SETTING']]);
    }
    expect(await run('client_encoding', 'SJIS')).toEqual(['HOOP_ENCODING']);
    expect(await run('standard_conforming_strings', 'on')).toEqual([]);
    expect(await run('client_min_messages', 'debug5')).toEqual(['HOOP_SETTING']);
    expect(await run('statement_timeout', '5s')).toEqual([]);
    expect(rows(await client.ask([query('SELECT current_user, 1')]))).toEqual([
      [target().user, '1'],
    ]);
  });

  test('values in binary are the same texts', async () => {
    expect(await codes(parse(SET), bound(['app.tenant', 'b'], [1]), execute())).toEqual([]);
    expect(await setting('app.tenant')).toBe('b');
    expect(await codes(parse(SET), bound(['role', 'other'], [1, 0]), execute())).toEqual([
      'HOOP_SETTING',
    ]);
  });

  test('types that are declared as text, or cast to it, are texts', async () => {
    const casts = 'SELECT set_config($1::text, $2::text, $3::bool)';
    expect(await codes(parse(casts), bound(['app.tenant', 'c', 'f']), execute())).toEqual([]);
    expect(await codes(parse(SET, '', [25, 1043]), bound(['app.tenant', 'd']), execute())).toEqual(
      [],
    );
    expect(await setting('app.tenant')).toBe('d');
  });

  test('several settings of one statement are all decided', async () => {
    const both =
      "SELECT set_config('search_path', $1, true), set_config('role', $2, true), set_config($3, $4, true)";
    const run = (...values: string[]) => codes(parse(both), bound(values), execute());
    expect(await run('public', target().user, 'app.tenant', 'x')).toEqual([]);
    expect(await run('public', 'none', 'app.tenant', 'x')).toEqual([]);
    expect(await run('public', 'other', 'app.tenant', 'x')).toEqual(['HOOP_SETTING']);
    expect(await run('public', 'none', 'app.other', 'x')).toEqual(['HOOP_SETTING']);
  });

  test('search_path is where names are looked up from then on', async () => {
    await codes(parse(SET), bound(['search_path', 'pg_catalog']), execute());
    expect(errors(await client.ask([query('SELECT owner FROM t')]))[0]).toMatchObject({
      C: '42P01',
    });
    await codes(parse(SET), bound(['search_path', 'public']), execute());
    expect(rows(await client.ask([query('SELECT owner FROM t LIMIT 1')]))).toEqual([['****']]);
  });

  test('what a commit takes away between Bind and Execute is refused', async () => {
    const started = [parse(SET), bind({ portal: 'p', values: ['app.tenant', 'z'] })];
    await client.ask([query('BEGIN')]);
    expect(await codes(...started)).toEqual([]);
    grant = without;
    expect(await codes(execute('p'))).toEqual(['HOOP_SETTING']);
  });
});

test.each([
  'SELECT set_config($1::name, $2, true)',
  'SELECT set_config($1::varchar(4), $2, true)',
  `SELECT $1::"char", set_config($1::text, $2, true)`,
  'SELECT set_config(lower($1), $2, true)',
  'SELECT set_config($1 || $2, $2, true)',
  'EXPLAIN ANALYZE SELECT set_config($1, $2, true)',
  'DECLARE c CURSOR WITH HOLD FOR SELECT set_config($1, $2, true)',
  'CREATE TABLE made AS SELECT set_config($1, $2, true)',
  'COPY (SELECT set_config($1, $2, true)) TO STDOUT',
])('what is not certainly the parameter itself is refused: %s', async (sql) => {
  const [code] = await codes(parse(sql), bound(['app.tenant', 'x']), execute());
  expect(code).toMatch(/HOOP_(SETTING|UNTRACEABLE|NOT_ALLOWED)/);
});

test('a literal that a cast cuts is not what is cut off', async () => {
  const [code] = await codes(
    parse("SELECT set_config('app.tenant2'::varchar(10), 'x', true)"),
    bind(),
    execute(),
  );
  expect(code).toBe('HOOP_SETTING');
});

describe('EXECUTE', () => {
  test.each([
    [
      'a PREPARE',
      () => client.ask([query('PREPARE s (text, text) AS SELECT set_config($1, $2, false)')]),
    ],
    [
      'a PREPARE without types',
      () => client.ask([query('PREPARE s AS SELECT set_config($1, $2, false)')]),
    ],
    ['a Parse', () => client.ask([[parse(SET, 's'), sync]])],
  ])('of %s is decided by its arguments', async (_title, prepare) => {
    expect(errors(await prepare())).toEqual([]);
    const run = async (args: string) =>
      errors(await client.ask([query(`EXECUTE s (${args})`)])).map(({ R, C }) => R ?? C);
    expect(await run("'app.tenant', 'p'")).toEqual([]);
    expect(await setting('app.tenant')).toBe('p');
    expect(await run("'role', 'other'")).toEqual(['HOOP_SETTING']);
    expect(await run("'ro' || 'le', 'other'")).toEqual(['HOOP_SETTING']);
    expect(await run("'role '::char(4), 'other'")).toEqual(['HOOP_SETTING']);
    expect(await run(`'role', '${target().user}'`)).toEqual([]);
    expect(rows(await client.ask([query('SELECT current_user')]))).toEqual([[target().user]]);
  });
});

test('a text without Bind has no parameters, as the server says', async () => {
  expect(errors(await client.ask([query(SET)]))[0]).toMatchObject({ C: '42P02' });
});

test("set_config('role', …) is SET ROLE: the own one needs no rule", async () => {
  const said = async (sql: string) =>
    errors(await client.ask([query(sql)])).map(({ R, C }) => R ?? C);
  expect(await said(`SELECT set_config('role', '${target().user}', false)`)).toEqual([]);
  expect(await said("SELECT set_config('role', 'none', true)")).toEqual([]);
  expect(await said("SELECT set_config('role', 'other', true)")).toEqual(['HOOP_SETTING']);
  grant = grantOf({ rules: ['allow select on public.*', 'allow set role'] });
  expect(await said("SELECT set_config('role', 'other', false)")).toEqual([]);
  // Now the own role is another one.
  grant = without;
  expect(await said(`SELECT set_config('role', '${target().user}', false)`)).toEqual([
    'HOOP_SETTING',
  ]);
});
