/** The stores that a gateway may have, for suites that hold for each of them. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { PostgresStore } from '../../../src/gateway/store/postgres-store.ts';
import type { Store } from '../../../src/gateway/store/store.ts';
import { copyDatabase, startTestPostgres } from '../../postgres-template.ts';
import { collectLog } from '../collect-log.ts';

/** As in versions.test.ts: other servers, directories with bin/postgres, separated by colons. */
const NAMED = (process.env['HOOP_TEST_POSTGRES'] ?? '').split(':').filter((path) => path !== '');
const NEWEST = 'postgres';
export const SERVERS: readonly string[] = NAMED.length > 0 ? NAMED : [NEWEST];
/** Of PostgreSQL the newest, or those that are named. */
export const DRIVERS: readonly string[] = ['sqlite', ...SERVERS];

/** What one gateway, or several, keep in one place. */
export interface TestStores extends AsyncDisposable {
  /** Opens it; closed with all. SQLite is for one process: each has the same handle while it is open. */
  open(): Promise<Store>;
  /** As a gateway that stops. */
  close(): Promise<void>;
  /** The database of PostgreSQL, for its superuser. */
  readonly url: string | undefined;
}

const SQLITE_FILE = 'index.sqlite';
/** A database with all migrations, of which each test gets a copy: it is a fifth of their work. */
const MIGRATED = 'migrated';

/** Called once in a file; the servers that it may start end with the file. */
export function testStores(): (driver: string) => Promise<TestStores> {
  const servers = new Map<string, Promise<EmbeddedPostgres>>();
  let databases = 0;
  let migrated: string | undefined;
  afterAll(async () => {
    if (migrated !== undefined) rmSync(migrated, { recursive: true });
    for (const server of servers.values()) await (await server)[Symbol.asyncDispose]();
  });
  return async (driver) => {
    if (driver === 'sqlite') {
      migrated ??= migratedSqlite();
      return sqliteStores(migrated);
    }
    const server = servers.get(driver) ?? startWithMigrated(driver);
    servers.set(driver, server);
    databases += 1;
    return postgresStores(await server, `store_${databases}`);
  };
}

/** @returns a directory with a file that has all migrations */
function migratedSqlite(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-store-'));
  IndexStore.open(join(directory, SQLITE_FILE))[Symbol.dispose]();
  return directory;
}

function sqliteStores(migrated: string): TestStores {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-store-'));
  copyFileSync(join(migrated, SQLITE_FILE), join(directory, SQLITE_FILE));
  let index: IndexStore | undefined;
  const close = async (): Promise<void> => {
    index?.[Symbol.dispose]();
    index = undefined;
  };
  return {
    async open() {
      index ??= IndexStore.open(join(directory, SQLITE_FILE));
      return index.store;
    },
    close,
    url: undefined,
    async [Symbol.asyncDispose]() {
      await close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function startWithMigrated(driver: string): Promise<EmbeddedPostgres> {
  const server = await startTestPostgres(driver === NEWEST ? {} : { native: driver });
  // A collation that orders and lowers unlike SQLite, as most databases have.
  await copyDatabase(server, { from: 'template0', to: MIGRATED });
  const connection = connectionOf(server, MIGRATED);
  const store = await PostgresStore.open({ connection, log: collectLog().log });
  await store[Symbol.asyncDispose]();
  return server;
}

function connectionOf({ host, port, user, password }: EmbeddedPostgres, database: string) {
  return { host, port, user, password, database };
}

async function postgresStores(server: EmbeddedPostgres, database: string): Promise<TestStores> {
  await copyDatabase(server, { from: MIGRATED, to: database });
  const open: PostgresStore[] = [];
  const close = async (): Promise<void> => {
    for (const store of open.splice(0)) await store[Symbol.asyncDispose]();
  };
  return {
    async open() {
      const connection = connectionOf(server, database);
      const store = await PostgresStore.open({ connection, log: collectLog().log });
      open.push(store);
      return store;
    },
    close,
    url: server.url(database),
    [Symbol.asyncDispose]: close,
  };
}
