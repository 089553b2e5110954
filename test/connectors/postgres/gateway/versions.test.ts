/**
 * What depends on the server's version, on each one that is here: login, catalog, masks, refusals,
 * cancel, COPY, psql's own queries. Everything else in this folder runs on the newest alone.
 *
 * HOOP_TEST_POSTGRES names other servers (directories with bin/postgres, separated by colons);
 * `npm run conformance:versions` sets it to 13, 14, 15, 16 and 17.
 */
import { execFile, execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connectTarget,
  type TargetConnection,
} from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { encodeCancelRequest } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows, run, sync } from './raw-client.ts';
import { catalogOf } from './real-engine.ts';
import { targetOf } from './test-target.ts';

const named = (process.env['HOOP_TEST_POSTGRES'] ?? '').split(':').filter((path) => path !== '');
const debian = globSync('/usr/lib/postgresql/*/bin/postgres').map((path) => dirname(dirname(path)));
const others = named.length > 0 ? named : debian;
if (others.length === 0) {
  process.stderr.write(
    'versions.test.ts: no PostgreSQL in /usr/lib/postgresql, so only the newest version is tested; ' +
      'install one (apt-get install postgresql), or run `npm run conformance:versions`\n',
  );
}
const servers: readonly { title: string; native: string | undefined }[] = [
  ...(named.length > 0 ? [] : [{ title: 'the newest PostgreSQL', native: undefined }]),
  ...others.map((native) => ({ title: versionOf(native), native })),
];

function versionOf(native: string): string {
  return execFileSync(join(native, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' }).trim();
}

const SETUP = `
  CREATE SCHEMA shop; ALTER DATABASE postgres SET search_path = shop, public;
  SET search_path = shop;
  CREATE TYPE mood AS ENUM ('fine', 'not');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE TABLE customers (id int PRIMARY KEY, email text, mood mood DEFAULT 'fine', n positive,
    big text GENERATED ALWAYS AS (upper(email)) STORED);
  INSERT INTO customers (id, email, n) VALUES (1, 'ada@secret.example', 1), (2, 'bob@secret.example', 2);
  CREATE VIEW seen AS SELECT id, email AS address FROM customers;
  CREATE MATERIALIZED VIEW kept AS SELECT id, email FROM customers;
  CREATE TABLE parts (id int, email text) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  INSERT INTO parts VALUES (1, 'eve@secret.example');
  CREATE TABLE timed (id int PRIMARY KEY, email text, copied text, at timestamp);
  CREATE FUNCTION time_it() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS
    $$ BEGIN NEW.at := date_trunc('century', now() AT TIME ZONE 'UTC'); NEW.copied := NEW.email; RETURN NEW; END $$;
  CREATE TRIGGER time_it BEFORE INSERT ON timed FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION time_it('a');
  CREATE TABLE places (id int, email text, copied text) PARTITION BY RANGE (id);
  CREATE TABLE places_1 PARTITION OF places FOR VALUES FROM (0) TO (10);
  CREATE FUNCTION copy_it() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.copied := NEW.email; RETURN NEW; END $$;
  CREATE TRIGGER copy_it BEFORE INSERT ON places FOR EACH ROW EXECUTE FUNCTION copy_it();
  CREATE TABLE notes (id int, body text);
  CREATE FUNCTION "json_array"(text, text) RETURNS text LANGUAGE sql AS 'SELECT max(email) FROM shop.customers';
  CREATE FUNCTION "json_value"(text, text) RETURNS text LANGUAGE sql AS 'SELECT max(email) FROM shop.customers';
  CREATE FUNCTION "json_object"(text, text) RETURNS text LANGUAGE sql AS 'SELECT max(email) FROM shop.customers';
  CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
  CREATE INDEX by_twice ON notes (twice(id));
  ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
  CREATE POLICY all_notes ON notes USING (true);
`;

const MASKED = ['customers', 'kept', 'parts', 'parts_1'].map((name) => `shop.${name}.email full`);

describe.each(servers)('$title', ({ native }) => {
  const parser = SqlParser.create();
  let server: EmbeddedPostgres;
  let reader: TargetConnection;
  /** The catalog may be looked at any time, and on that connection alone. */
  let admin: TargetConnection;
  let catalog: CatalogSource;

  beforeAll(async () => {
    server = await startTestPostgres(native === undefined ? {} : { native });
    const signal = new AbortController().signal;
    admin = await connectTarget({ target: targetOf(server), signal });
    await admin.query(SETUP);
    reader = await connectTarget({ target: targetOf(server), signal });
    catalog = catalogOf(reader, parser);
  });
  afterAll(async () => {
    await reader?.close();
    await admin?.close();
    await parser[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const bench = (masks: readonly string[] = MASKED): Promise<Bench> => {
    const grant = grantOf({
      rules: ['allow *', 'allow calls of shop.twice', 'deny truncate', 'deny delete without WHERE'],
      masks: [...masks],
    });
    return startBench({
      target: targetOf(server),
      policy: createStatementPolicy(parser),
      catalog,
      grant: () => grant,
    });
  };

  const pgClient = async (port: number): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'x', database: 'postgres' });
    // A session that ends under it is an event as well.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };

  const psql = (port: number, ...args: string[]) =>
    promisify(execFile)(
      'psql',
      ['-X', '-d', `host=127.0.0.1 port=${port} user=x dbname=postgres`, ...args],
      { maxBuffer: 16 * 1024 * 1024 },
    );

  test('is logged in to, and says what it is', async () => {
    const signal = new AbortController().signal;
    // Before version 14 the server does not report this and has to be asked.
    const target = targetOf(server, { sessionAttributes: 'read-write' });
    await using connection = await connectTarget({ target, signal });
    const [row] = await connection.query("SELECT current_setting('server_version_num')");
    const { majorVersion } = await catalog.current();
    expect(majorVersion).toBe(Math.floor(Number(row?.[0]) / 10_000));
    const standby = targetOf(server, { sessionAttributes: 'standby' });
    await expect(connectTarget({ target: standby, signal })).rejects.toMatchObject({
      detail: expect.stringContaining('not a standby'),
    });
  });

  test('has a catalog with everything that verdicts need', async () => {
    const found = await catalog.current();
    const customers = found.relation('shop', 'customers');
    expect(customers?.columns.map(({ name }) => name)).toEqual(['id', 'email', 'mood', 'n', 'big']);
    expect(found.type('shop', 'positive')).toBeDefined();
    expect(found.functions('shop', 'twice').length).toBe(1);
    expect(found.childrenOf(found.relation('shop', 'parts')?.oid ?? 0).length).toBe(1);
    const { generation } = found;
    await admin.query('CREATE TABLE shop.later (id int)');
    expect((await catalog.refresh()).generation).toBeGreaterThan(generation);
    await admin.query('DROP TABLE shop.later');
    await catalog.refresh();
  });

  test.each([
    ['SELECT * FROM customers WHERE id = 1'],
    ['SELECT address FROM seen'],
    ['SELECT lower(c.email) AS e FROM customers c'],
    ['SELECT big FROM customers'],
    ['SELECT k.email || k.id FROM kept k'],
    ['SELECT p.* FROM parts p'],
    ['WITH x AS (SELECT email FROM customers) SELECT (SELECT max(email) FROM x)'],
    ['UPDATE customers SET n = 3 WHERE id = 2 RETURNING *'],
    ['SELECT c FROM customers c'],
    ["SELECT string_agg(email, ',') FROM customers"],
    // Functions of the database where these are no keywords yet.
    ["SELECT json_array('a', 'b')"],
    [`SELECT json_value('"a"', '$')`],
    ["SELECT json_object('{a}', '{b}')"],
    ['SELECT row_to_json(c) FROM customers c'],
    ['SELECT * FROM (VALUES (1)) v(id) JOIN customers USING (id)'],
  ])('shows no masked value: %s', async (sql) => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    for (const messages of [[query(sql)], [...run(sql), sync]]) {
      const answers = await client.ask(messages);
      expect(Buffer.concat(answers.map(({ body }) => body)).toString()).not.toMatch(
        /secret\.example/i,
      );
    }
    expect(rows(await client.ask([query('SELECT count(*) FROM customers')]))).toEqual([['2']]);
  });

  test('answers everyday calls with syntax of their own', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      query(
        "SELECT extract(day FROM date '2001-02-03'), substring('abc' FROM 2), trim('a '), position('b' IN 'abc')",
      ),
    ]);
    expect([errors(answers), rows(answers)]).toEqual([[], [['3', 'bc', 'a', '2']]]);
  });

  test('shows what a trigger fills in, and masks what it copies', async () => {
    const masks = ['timed', 'places'].map((name) => `shop.${name}.email full writable`);
    await using engine = await bench([...MASKED, ...masks]);
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      query("INSERT INTO timed VALUES (1, 'ada@secret.example') RETURNING *"),
    ]);
    expect(rows(answers)).toEqual([['1', '****', '****', '2001-01-01 00:00:00']]);
    for (const table of ['places', 'places_1']) {
      const sql = `INSERT INTO ${table} VALUES (1, 'ada@secret.example') RETURNING *`;
      expect(rows(await client.ask([query(sql)]))).toEqual([['1', '****', '****']]);
    }
  });

  test('masks JSON documents inside, whatever made them', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const ada = { id: 1, email: '****', mood: 'fine', n: 1, big: '****' };
    for (const [sql, document] of [
      ['SELECT row_to_json(c) FROM customers c WHERE id = 1', ada],
      ['SELECT to_jsonb(c.*) FROM customers c WHERE id = 1', ada],
      ['SELECT json_agg(c) FROM customers c WHERE id = 1', [ada]],
      ['SELECT row_to_json(p) FROM parts p', { id: 1, email: '****' }],
      ['SELECT row_to_json(s) FROM seen s WHERE id = 1', { id: 1, address: '****' }],
      ['SELECT to_json(q) FROM (SELECT email, id FROM parts) q (a)', { a: '****', id: 1 }],
      ['WITH q (a) AS (SELECT email FROM parts) SELECT json_agg(r) FROM q r (b)', [{ b: '****' }]],
      ['SELECT to_json(j) FROM (parts a CROSS JOIN notes b) AS j (x)', undefined],
      ['SELECT row_to_json(ROW(id, email)) FROM parts', { f1: 1, f2: '****' }],
      [
        "SELECT jsonb_build_object('e', email) || jsonb_build_object('i', id) FROM parts",
        { e: '****', i: 1 },
      ],
      ["SELECT coalesce(json_agg(json_build_array(email, id)), '[]') FROM parts", [['****', 1]]],
      ['SELECT json_object_agg(id, email) FROM parts', { 1: '****' }],
      // Before 13.5 and 14.1 the names are those of the alias, later those of the table.
      ['SELECT row_to_json(p) FROM parts p (email, id)', null],
    ] as const) {
      const received = await client.ask([query(sql)]);
      expect(errors(received)).toEqual([]);
      const documents = rows(received).map(([value]) => JSON.parse(value ?? 'null'));
      expect([sql, documents]).toEqual([sql, document === undefined ? [] : [document]]);
    }
  });

  test('refuses a statement and goes on, also in a transaction', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    expect(errors(await client.ask([query('TRUNCATE notes')]))[0]).toMatchObject({ C: '42501' });
    await client.ask([query('BEGIN')]);
    expect(errors(await client.ask([...run('DELETE FROM notes'), sync]))[0]).toMatchObject({
      C: '42501',
    });
    expect(errors(await client.ask([query('SELECT 1')]))[0]).toMatchObject({ C: '25P02' });
    await client.ask([query('ROLLBACK')]);
    expect(errors(await client.ask([query('SELEC 1')]))[0]).toMatchObject({ C: '42601' });
    expect(rows(await client.ask([query('SELECT 1')]))).toEqual([['1']]);
    expect(engine.failures).toEqual([]);
  });

  test('takes parameters, prepared statements, cursors and settings of a driver', async () => {
    await using engine = await bench();
    const client = await pgClient(engine.port);
    const named = { name: 'one', text: 'SELECT id, 2 * id AS t FROM customers WHERE id = $1' };
    for (const id of [1, 2]) {
      expect((await client.query({ ...named, values: [id] })).rows).toEqual([{ id, t: 2 * id }]);
    }
    await client.query("SET statement_timeout = '10s'");
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id');
    expect((await client.query('FETCH 1 FROM c')).rows).toEqual([{ id: 1 }]);
    await client.query('COMMIT');
    await client.query('PREPARE p AS SELECT 7 AS seven');
    expect((await client.query('EXECUTE p')).rows).toEqual([{ seven: 7 }]);
    await client.query('SET search_path = public');
    await expect(client.query('SELECT 1 FROM customers')).rejects.toMatchObject({ code: '42P01' });
    await client.end();
  });

  test('cancels what runs', async () => {
    await using engine = await bench();
    const client = await pgClient(engine.port);
    let isOver = false;
    const sleeping = client.query('SELECT pg_sleep(3600)').catch((error: unknown) => {
      isOver = true;
      return error;
    });
    // The driver keeps the key where its types do not show it.
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const key = Buffer.alloc(4);
    key.writeInt32BE(secretKey);
    // One that comes before its query cancels nothing.
    while (!isOver) {
      const socket = connect({ host: '127.0.0.1', port: engine.port });
      socket.write(encodeCancelRequest({ processId: processID, secretKey: key }));
      socket.resume().on('error', () => undefined);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect(await sleeping).toMatchObject({ code: '57014' });
    await client.end();
  });

  test('copies in and out through psql', async () => {
    await using engine = await bench([]);
    const { stdout } = await psql(
      engine.port,
      ...['-c', '\\copy notes from program \'printf "1\\ta\\n2\\tb\\n"\''],
      ...['-c', '\\copy (SELECT * FROM notes ORDER BY id) to stdout with csv'],
    );
    expect(stdout).toContain('COPY 2\n1,a\n2,b\n');
    await admin.query('DELETE FROM shop.notes');
    expect(engine.failures).toEqual([]);
  });

  test.each([
    ['\\d', 'customers'],
    ['\\d+ customers', 'email'],
    ['\\d notes', 'all_notes'],
    ['\\dv', 'seen'],
    ['\\dm', 'kept'],
    ['\\df twice', 'twice'],
    ['\\dT+ mood', 'fine'],
    ['\\dD', 'positive'],
    ['\\di', 'by_twice'],
    ['\\dn', 'shop'],
    ['\\du', 'postgres'],
    ['\\dp notes', 'notes'],
  ])('answers %s of psql as without hoop', async (command, text) => {
    await using engine = await bench([]);
    const through = await psql(engine.port, '-c', command);
    const direct = await promisify(execFile)('psql', ['-X', '-d', server.url(), '-c', command]);
    expect(through.stdout).toContain(text);
    expect(through.stdout).toBe(direct.stdout);
    expect(through.stderr).toBe(direct.stderr);
  });
});
