/** What every store promises, whichever database it is in. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import type { RefreshFamily } from '../../../src/gateway/identity/identity-store.ts';
import { SqlIdentityStore } from '../../../src/gateway/identity/sql-identity-store.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { migratePostgres } from '../../../src/gateway/store/postgres-migrations.ts';
import { POSTGRES_MIGRATIONS } from '../../../src/gateway/store/postgres-schema.ts';
import { PostgresStore } from '../../../src/gateway/store/postgres-store.ts';
import {
  addAll,
  all,
  bulk,
  change,
  get,
  locking,
  type Store,
  sql,
} from '../../../src/gateway/store/store.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, SERVERS, type TestStores, testStores } from './test-stores.ts';

const ADD = sql('INSERT INTO spent (digest, expires_ms) VALUES ($digest, $expiresMs)');
const FIND = sql('SELECT expires_ms FROM spent WHERE digest = $digest');
const COUNT = sql('SELECT count(*) AS count FROM spent');
const LOCKED = locking('SELECT expires_ms FROM spent WHERE digest = $digest', 'FOR UPDATE');
const SET = sql('UPDATE spent SET expires_ms = $expiresMs WHERE digest = $digest');

const storesOf = testStores();
let stores: TestStores;
let store: Store;

describe.each(DRIVERS)('a store in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = await stores.open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  test('gives back what it was given: texts, numbers, bytes and nothing', async () => {
    const row = {
      id: 'ä€😀',
      name: "it's \\ $name",
      at: Number.MAX_SAFE_INTEGER,
      by: null,
      bytes: Uint8Array.of(0, 255, 92),
    };
    await store.change(
      sql(
        `INSERT INTO approvals (id, kind, state, issuer, sub, name, target, dies_with_connection,
           needs, policy_commit, binding, created_ms, waits_until_ms, usable_seconds, reason, details)
         VALUES ($id, 'k', 'waiting', 'i', 's', $name, 't', 0, '[]', 'c', 'b', $at, 0, 0, $by, $bytes)`,
      ),
      row,
    );
    const found = await store.get(
      sql('SELECT id, name, created_ms, reason, details FROM approvals WHERE created_ms = $at'),
      { at: row.at },
    );
    expect(found).toMatchObject({ id: row.id, name: row.name, created_ms: row.at, reason: null });
    expect(new Uint8Array(found?.['details'] as Uint8Array)).toEqual(row.bytes);
    expect(await store.get(FIND, { digest: 'none' })).toBeUndefined();
    expect(await store.all(COUNT)).toEqual([{ count: 0 }]);
  });

  test('keeps all of a transaction, or nothing when it or one of its steps fails', async () => {
    await store.transaction(function* () {
      yield* change(ADD, { digest: 'a', expiresMs: 1 });
      yield* change(ADD, { digest: 'b', expiresMs: 2 });
    });
    expect(await store.get(COUNT)).toEqual({ count: 2 });
    const failing = store.transaction(function* () {
      yield* change(ADD, { digest: 'c', expiresMs: 1 });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    const twice = store.transaction(function* () {
      yield* change(ADD, { digest: 'c', expiresMs: 1 });
      yield* change(ADD, { digest: 'a', expiresMs: 1 });
    });
    await expect(twice).rejects.toThrow(/unique/i);
    expect(await store.get(COUNT)).toEqual({ count: 2 });
    // The next one is not in the one that failed.
    await store.change(ADD, { digest: 'd', expiresMs: 1 });
    await stores.close();
    store = await stores.open();
    expect(await store.get(COUNT)).toEqual({ count: 3 });
  });

  test('throws what the work throws, whatever that is, and nothing of it happened', async () => {
    class Ours extends Error {}
    const values = { digest: 'a', expiresMs: 1 };
    for (const [thrown, before] of [
      [new Ours('here'), true],
      [new RangeError('there'), false],
    ] as const) {
      const work = store.transaction(function* () {
        if (before) yield* change(ADD, values);
        throw thrown;
      });
      await expect(work).rejects.toBe(thrown);
    }
    expect(await store.get(FIND, values)).toBeUndefined();
  });

  test('takes no value that is missing for nothing', async () => {
    await expect(store.change(ADD, { digest: 'a' })).rejects.toThrow('no value for "$expiresMs"');
    await expect(store.transaction(() => all(FIND, {}))).rejects.toThrow('no value for "$digest"');
    expect(await store.get(COUNT)).toEqual({ count: 0 });
  });

  test('adds many rows at once, and says which of them were new', async () => {
    const many = bulk('spent', { digest: 'text', expires_ms: 'bigint' });
    const fresh = bulk(
      'spent',
      { digest: 'text', expires_ms: 'bigint' },
      'ON CONFLICT DO NOTHING RETURNING digest',
    );
    const rows = Array.from({ length: 1000 }, (_, index) => [`d${index}`, index] as const);
    await store.transaction(() => addAll(many, rows));
    expect(await store.get(COUNT)).toEqual({ count: 1000 });
    const added = await store.transaction(() =>
      addAll(fresh, [
        ['d1', 5],
        ['{"},NULL\\', 6],
        ['d2', 5],
      ]),
    );
    expect(added).toEqual([{ digest: '{"},NULL\\' }]);
    expect(await store.transaction(() => addAll(fresh, []))).toEqual([]);
    const failing = store.transaction(() =>
      addAll(many, [
        ['new', 1],
        ['d1', 1],
      ]),
    );
    await expect(failing).rejects.toThrow(/unique/i);
    expect(await store.get(FIND, { digest: 'new' })).toBeUndefined();
  });

  test('loses no step of two that read and write the same at once', async () => {
    const other = await stores.open();
    await store.change(ADD, { digest: 'n', expiresMs: 0 });
    const addOne = (handle: Store) =>
      handle.transaction(function* () {
        const row = yield* get(LOCKED, { digest: 'n' });
        yield* change(SET, { digest: 'n', expiresMs: Number(row?.['expires_ms']) + 1 });
      });
    const all = Array.from({ length: 100 }, (_, index) => addOne(index % 2 === 0 ? store : other));
    await Promise.all(all);
    expect(await store.get(FIND, { digest: 'n' })).toEqual({ expires_ms: 100 });
  });

  test('gets two out of each other’s way that wait for each other', async () => {
    const other = await stores.open();
    await store.change(ADD, { digest: 'a', expiresMs: 0 });
    await store.change(ADD, { digest: 'b', expiresMs: 0 });
    const both = (handle: Store, digests: readonly string[]) =>
      handle.transaction(function* () {
        for (const digest of digests) {
          const row = yield* get(LOCKED, { digest });
          yield* change(SET, { digest, expiresMs: Number(row?.['expires_ms']) + 1 });
        }
      });
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([both(store, ['a', 'b']), both(other, ['b', 'a'])]);
    }
    expect(await store.get(FIND, { digest: 'a' })).toEqual({ expires_ms: 6 });
    expect(await store.get(FIND, { digest: 'b' })).toEqual({ expires_ms: 6 });
  });

  describe('with two gateways', () => {
    const FAMILY: RefreshFamily = {
      id: 'login',
      issuer: 'https://idp.test',
      sub: 'u1',
      jkt: 'thumb',
      generation: 0,
      rotatedAtMs: 1,
      createdAtMs: 1,
      expiresAtMs: 1000,
      claims: '{}',
      revoked: false,
    };
    let both: readonly SqlIdentityStore[];
    beforeEach(async () => {
      both = [
        new SqlIdentityStore(store, NO_EVENTS),
        new SqlIdentityStore(await stores.open(), NO_EVENTS),
      ];
    });
    const manyTimes = <T>(ask: (one: SqlIdentityStore, index: number) => Promise<T>) =>
      Promise.all(
        Array.from({ length: 40 }, (_, index) => ask(both[index % 2] as SqlIdentityStore, index)),
      );

    test('spends a nonce or a token once', async () => {
      for (const digest of ['one', 'two', 'three']) {
        const taken = await manyTimes((one) => one.spendOnce(digest, 1000));
        expect(taken.filter((isFirst) => isFirst)).toHaveLength(1);
      }
    });

    test('gives a login its next generation once', async () => {
      await both[0]?.createFamily(FAMILY);
      const taken = await manyTimes((one) => one.advanceFamily('login', 0, 2));
      expect(taken.filter((isFirst) => isFirst)).toHaveLength(1);
    });

    test('leaves a token to the key that came with it first', async () => {
      const token = { digest: 'd', issuer: 'i', sub: 's', expiresAtMs: 1000 };
      const keys = await manyTimes((one, index) => one.bindToken({ ...token, jkt: `k${index}` }));
      expect(new Set(keys.map(({ jkt }) => jkt)).size).toBe(1);
    });

    test('leaves no login behind that was made from one that ended meanwhile', async () => {
      const [one, other] = both as [SqlIdentityStore, SqlIdentityStore];
      const live = async () => (await one.liveFamilies(0)).map(({ id }) => id);
      for (let round = 0; round < 20; round += 1) {
        const id = `login-${round}`;
        const made = { ...FAMILY, run: '{}' };
        await one.createFamily({ ...FAMILY, id });
        const [, child] = await Promise.all([
          one.revokeFamilies({ id }),
          other
            .createFamily({ ...made, id: `${id}-run`, parent: id })
            .then(() => other.createFamily({ ...made, id: `${id}-inner`, parent: `${id}-run` })),
          one.createFamily({ ...made, id: `${id}-other`, parent: id }),
        ]);
        expect([child, await live()]).toEqual([expect.any(Boolean), []]);
      }
    });
  });
});

describe('SQLite alone', () => {
  let directory: string;
  let index: IndexStore;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hoop-store-'));
    index = IndexStore.open(join(directory, 'index.sqlite'));
    store = index.store;
  });
  afterEach(() => {
    index[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  test.each([
    ['there is no room left', 'max_page_count = 1', 'HOOP_DISK_FULL', /no disk space left/],
    [
      'the file cannot be written',
      'query_only = 1',
      'HOOP_STORE_UNAVAILABLE',
      /cannot be read or written/,
    ],
  ] as const)('says so when %s, and goes on when it can', async (_, pragma, code, message) => {
    const values = { digest: 'd'.repeat(100_000), expiresMs: 1 };
    const said = expect.objectContaining({ code, message: expect.stringMatching(message) });
    index.database.exec(`PRAGMA ${pragma}`);
    await expect(store.change(ADD, values)).rejects.toEqual(said);
    await expect(store.transaction(() => change(ADD, values))).rejects.toEqual(said);
    index.database.exec('PRAGMA max_page_count = 1000000; PRAGMA query_only = 0');
    expect(await store.change(ADD, values)).toBe(1);
  });

  test('is not stuck in a transaction when it is found that nothing can be written', async () => {
    index.database.exec(
      `CREATE TEMP TRIGGER no BEFORE DELETE ON spent BEGIN SELECT RAISE(ABORT, 'not now'); END`,
    );
    await expect(store.checkWritable()).rejects.toThrow('not now');
    index.database.exec('DROP TRIGGER no');
    await store.checkWritable();
  });
});

describe.each(SERVERS)('%s alone', (server) => {
  beforeEach(async () => {
    stores = await storesOf(server);
    store = await stores.open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  async function superuser<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: stores.url });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  }

  test('has the tables and columns of SQLite', async () => {
    await using sqlite = await storesOf('sqlite');
    const columns = sql(
      `SELECT m.name || '.' || c.name AS name FROM sqlite_schema m, pragma_table_info(m.name) c
       WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1`,
      // The key that SQLite gives each row without being told.
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name <> 'hoop_schema' AND column_name <> 'rowid'
       ORDER BY (table_name || '.' || column_name) COLLATE "C"`,
    );
    const known = await (await sqlite.open()).all(columns);
    expect(await store.all(columns)).toEqual(known.map((row) => ({ ...row })));
    expect(known.length).toBeGreaterThan(100);
  });

  test.each([
    ['U+0000, which it cannot hold', 'a\0b'],
    ['half a character, which would be stored as another', 'a\ud800b'],
  ])('refuses %s', async (_what, digest) => {
    await expect(store.change(ADD, { digest, expiresMs: 1 })).rejects.toThrow('cannot hold');
    const many = bulk('spent', { digest: 'text', expires_ms: 'bigint' });
    await expect(store.transaction(() => addAll(many, [[digest, 1]]))).rejects.toThrow(
      'cannot hold',
    );
    expect(await store.get(COUNT)).toEqual({ count: 0 });
  });

  test('orders and lowers texts as SQLite does, whatever the database has', async () => {
    for (const digest of ['b', 'B', 'a', 'Ä']) await store.change(ADD, { digest, expiresMs: 1 });
    const rows = await store.all(sql('SELECT digest, lower(digest) AS low FROM spent ORDER BY 1'));
    expect(rows).toEqual([
      { digest: 'B', low: 'b' },
      { digest: 'a', low: 'a' },
      { digest: 'b', low: 'b' },
      { digest: 'Ä', low: 'Ä' },
    ]);
  });

  test('is changed by one start at a time, and once', async () => {
    await superuser(async (client) => {
      await client.query('DROP SCHEMA public CASCADE');
      await client.query('CREATE SCHEMA public');
    });
    await Promise.all([stores.open(), stores.open(), stores.open()]);
    const { rows } = await superuser((client) => client.query('SELECT * FROM hoop_schema'));
    expect(rows).toEqual([{ version: String(POSTGRES_MIGRATIONS.length), oldest: '0' }]);
  });

  test('serves the version before when it was extended, and not when something was taken away', async () => {
    const extended = [...POSTGRES_MIGRATIONS, { sql: 'ALTER TABLE spent ADD COLUMN more text' }];
    await superuser((client) => migratePostgres(client, extended));
    await (await stores.open()).change(ADD, { digest: 'a', expiresMs: 1 });
    const contracted = [
      ...extended,
      { sql: 'ALTER TABLE spent DROP COLUMN expires_ms', oldest: extended.length },
    ];
    await superuser((client) => migratePostgres(client, contracted));
    await expect(stores.open()).rejects.toThrow('changed by a newer hoop');
  });

  test('leaves the schema as it was when a change fails', async () => {
    const broken = [
      ...POSTGRES_MIGRATIONS,
      { sql: 'ALTER TABLE spent ADD COLUMN more text; SELECT 1/0' },
    ];
    await expect(superuser((client) => migratePostgres(client, broken))).rejects.toThrow(
      'division by zero',
    );
    await store.change(sql('INSERT INTO spent VALUES ($digest, $expiresMs)'), {
      digest: 'a',
      expiresMs: 1,
    });
  });

  test('says that it does not answer, without its password, and goes on when it does', async () => {
    const url = new URL(stores.url ?? '');
    const connection = {
      host: url.hostname,
      port: Number(url.port),
      user: url.username,
      database: url.pathname.slice(1),
    };
    const { log, events } = collectLog();
    const password = 'not-the-one-of-the-server';
    const wrong = PostgresStore.open({ connection: { ...connection, password }, log });
    const error = await wrong.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(HoopError);
    expect(error).toMatchObject({ code: 'HOOP_CONFIG' });
    const said = JSON.stringify([events, String(error), String((error as HoopError).cause)]);
    expect(said).not.toContain(password);
    await superuser((client) =>
      client.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
      ),
    );
    // A connection that waited in the pool may be found broken by who takes it.
    await expect.poll(() => store.get(COUNT).catch(() => undefined)).toEqual({ count: 0 });
  });

  test('does not wait for ever for somebody who holds a row', async () => {
    await store.change(ADD, { digest: 'a', expiresMs: 1 });
    const url = new URL(stores.url ?? '');
    await using impatient = await PostgresStore.open({
      connection: {
        host: url.hostname,
        port: Number(url.port),
        user: url.username,
        password: decodeURIComponent(url.password),
        database: url.pathname.slice(1),
      },
      log: collectLog().log,
      timeoutMs: 1000,
    });
    await superuser(async (client) => {
      await client.query("BEGIN; UPDATE spent SET expires_ms = 2 WHERE digest = 'a'");
      await expect(impatient.change(SET, { digest: 'a', expiresMs: 3 })).rejects.toMatchObject({
        code: 'HOOP_STORE_UNAVAILABLE',
      });
      await client.query('ROLLBACK');
    });
    expect(await impatient.change(SET, { digest: 'a', expiresMs: 3 })).toBe(1);
  });

  test('keeps what it says that it keeps, whatever the database has as its default', async () => {
    await superuser(async (client) => {
      await client.query(
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`,
      );
    });
    const fresh = await stores.open();
    const row = await fresh.get(sql(`SELECT current_setting('synchronous_commit') AS is`));
    expect(row).toEqual({ is: 'on' });
  });
});
