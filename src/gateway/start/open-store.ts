/** Where what outlives a request is kept: in the data directory, or in a database. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { createPrivateFile } from '../../recording/private-file.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import { IndexStore } from '../index/index-store.ts';
import type { NodeStore } from '../nodes/node-store.ts';
import { postgresConnection, storePlace } from '../store/postgres-connection.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import type { Store } from '../store/store.ts';

export interface OpenStoreOptions {
  readonly config: GatewayConfig['store'];
  /** Of SQLite. */
  readonly index: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** @throws HOOP_CONFIG, HOOP_LOCAL_STATE, HOOP_STORE_UNAVAILABLE */
export async function openStore({ config, index, env, log }: OpenStoreOptions): Promise<Store> {
  const { postgres } = config;
  if (postgres === undefined) return IndexStore.open(index).store;
  requireNoIndex(index);
  const connection = await postgresConnection(postgres, { env, log });
  return PostgresStore.open({ connection, log });
}

/** @returns what to say of it @throws as `openStore` */
export async function checkStore({ config, index, env, log }: OpenStoreOptions): Promise<string> {
  const { postgres } = config;
  if (postgres === undefined) return 'SQLite in the data directory';
  requireNoIndex(index);
  const connection = await postgresConnection(postgres, { env, log });
  const { server, version } = await PostgresStore.check({ connection, log });
  const schema =
    version === 0 ? 'empty: its tables are made at the first start' : `version ${version}`;
  const tls = postgres.tls.mode === 'disable' ? 'no TLS' : 'TLS';
  return `PostgreSQL ${server} at ${storePlace(connection)}, ${tls}, ${schema}`;
}

/** Whoever is blocked in there would be let in again, and nobody would be told. */
function requireNoIndex(index: string): void {
  if (!existsSync(index)) return;
  throw new HoopError('HOOP_CONFIG', `the gateway has kept its state in "${index}" until now`, {
    detail:
      'Nothing of it is in the database: neither blocks nor grants, logins nor the list of sessions.',
    hint: 'Leave `store` out; or, to begin anew with the database, move that file away.',
  });
}

/** A file of the data directory: there once its gateway has begun with a database. */
const databasePath = (dataDir: string): string => join(dataDir, 'has-database');

export function rememberDatabase(dataDir: string): void {
  createPrivateFile(databasePath(dataDir), () => Buffer.from('1\n'));
}

/** Asked before a file is made, which would stand in the way back. @throws HOOP_CONFIG */
export function requireNoDatabase(dataDir: string): void {
  if (existsSync(databasePath(dataDir))) throw otherDatabase(dataDir, 'a file');
}

/** @throws HOOP_CONFIG */
export async function requireSameDatabase(
  dataDir: string,
  nodes: NodeStore,
  node: string,
): Promise<void> {
  if (existsSync(databasePath(dataDir)) && (await nodes.find(node)) === undefined) {
    throw otherDatabase(dataDir, 'this database');
  }
}

function otherDatabase(dataDir: string, now: string): HoopError {
  const path = databasePath(dataDir);
  return new HoopError(
    'HOOP_CONFIG',
    'the gateway has kept its state in another database until now',
    {
      detail: `Nothing of it is in ${now}: neither blocks nor grants, logins nor the list of sessions.`,
      hint: `Put \`store\` back as it was; or, to begin anew, remove "${path}".`,
    },
  );
}
