/** What a gateway keeps, read past it, while it is dead: as it left it. */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';

export type StoredRow = Readonly<Record<string, unknown>>;

export interface KilledStore extends AsyncDisposable {
  /** Lines of the gateway's configuration that name it. */
  readonly gatewayConfig: readonly string[];
  /** @param dataDirectory of the gateway @param sql without parameters */
  read(dataDirectory: string, ...sql: string[]): Promise<StoredRow[][]>;
}

/** Copies are read: who opens the files themselves would do the recovery of the next start. */
const sqliteStore: KilledStore = {
  gatewayConfig: [],
  read: async (dataDirectory, ...sql) => {
    const copy = mkdtempSync(join(tmpdir(), 'hoop-kill-copy-'));
    try {
      for (const name of ['index.sqlite', 'index.sqlite-wal']) {
        const file = join(dataDirectory, name);
        if (existsSync(file)) copyFileSync(file, join(copy, name));
      }
      using database = new DatabaseSync(join(copy, 'index.sqlite'));
      return sql.map((text) => database.prepare(text).all());
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** @param secrets a directory for its password */
export async function openKilledStore(kind: string, secrets: string): Promise<KilledStore> {
  if (kind !== 'postgres') return sqliteStore;
  const server = await startEmbeddedPostgres();
  const { host, port, user, password } = server;
  const first = new pg.Client({ connectionString: server.url() });
  await first.connect();
  await first.query(`CREATE DATABASE hoop TEMPLATE template0 ENCODING 'UTF8'`);
  await first.end();
  writeFileSync(join(secrets, 'store-password'), password, { mode: 0o600 });
  const pool = new pg.Pool({ host, port, user, password, database: 'hoop', max: 1 });
  pool.on('error', () => undefined);
  return {
    gatewayConfig: [
      'store:',
      `  url: postgres://${host}:${port}/hoop`,
      `  user: ${user}`,
      `  password: { file: ${join(secrets, 'store-password')} }`,
      '  tls: { mode: disable }',
    ],
    read: async (_, ...sql) => {
      const read: StoredRow[][] = [];
      for (const text of sql) read.push((await pool.query(text)).rows);
      return read;
    },
    [Symbol.asyncDispose]: async () => {
      await pool.end();
      await server[Symbol.asyncDispose]();
    },
  };
}
