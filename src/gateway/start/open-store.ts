/** Where what outlives a request is kept: in the data directory, or in a database. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { createPrivateFile } from '../../recording/keys/private-file.ts';
import type { GatewayConfig, PostgresStoreConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import { IndexStore } from '../index/index-store.ts';
import { readNodeId } from '../nodes/node-id.ts';
import {
  type PostgresConnection,
  postgresConnection,
  storePlace,
} from '../store/postgres-connection.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import type { UsableStore } from '../store/postgres-usable.ts';
import type { Store } from '../store/store.ts';
import { indexPath } from './data-directory.ts';

export interface OpenStoreOptions {
  readonly config: GatewayConfig['store'];
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/**
 * Refuses a store that is not the one that this data directory began with, and leaves nothing in it.
 * @throws HOOP_CONFIG, HOOP_LOCAL_STATE, HOOP_STORE_UNAVAILABLE
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { config, dataDir, log } = options;
  if (config.postgres === undefined) {
    requireNoDatabase(dataDir);
    return IndexStore.open(indexPath(dataDir)).store;
  }
  const connection = await connectionOf(config.postgres, options);
  if (hasDatabase(dataDir)) await lookAt(connection, options);
  return PostgresStore.open({ connection, log });
}

/** @returns what to say of it @throws as `openStore` */
export async function checkStore(options: OpenStoreOptions): Promise<string> {
  const { postgres } = options.config;
  if (postgres === undefined) {
    requireNoDatabase(options.dataDir);
    return 'SQLite in the data directory';
  }
  const connection = await connectionOf(postgres, options);
  const { server, version } = await lookAt(connection, options);
  const schema =
    version === 0 ? 'empty: its tables will be created at the first start' : `version ${version}`;
  const tls = postgres.tls.mode === 'disable' ? 'no TLS' : 'TLS';
  return `PostgreSQL ${server} at ${storePlace(connection)}, ${tls}, ${schema}`;
}

/** @throws HOOP_CONFIG */
async function connectionOf(
  postgres: PostgresStoreConfig,
  { dataDir, env, log }: OpenStoreOptions,
): Promise<PostgresConnection> {
  requireNoIndex(indexPath(dataDir));
  return postgresConnection(postgres, { env, log });
}

/** Changes nothing, here or there. @throws HOOP_CONFIG where it is another one than before */
async function lookAt(
  connection: PostgresConnection,
  { dataDir, log }: OpenStoreOptions,
): Promise<UsableStore> {
  const hasBegun = hasDatabase(dataDir);
  const node = hasBegun ? readNodeId(dataDir) : undefined;
  const found = await PostgresStore.check({ connection, log }, node);
  if (hasBegun && !found.knowsNode) throw otherDatabase(dataDir, 'this database');
  return found;
}

/** Whoever is blocked in there would be let in again, and nobody would be told. */
function requireNoIndex(index: string): void {
  if (!existsSync(index)) return;
  throw new HoopError('HOOP_CONFIG', `the gateway has kept its state in "${index}" so far`, {
    detail: 'The database has none of it: no blocks, grants, logins or list of sessions.',
    hint: 'Omit `store`; or, to start over with the database, move that file away.',
  });
}

/** A file of the data directory: there once its gateway has begun with a database. */
const databasePath = (dataDir: string): string => join(dataDir, 'has-database');

function hasDatabase(dataDir: string): boolean {
  return existsSync(databasePath(dataDir));
}

/** To be called once the node of this directory is in the database. */
export function rememberDatabase(dataDir: string): void {
  createPrivateFile(databasePath(dataDir), () => Buffer.from('1\n'));
}

/** Asked before a file is made, which would stand in the way back. @throws HOOP_CONFIG */
function requireNoDatabase(dataDir: string): void {
  if (hasDatabase(dataDir)) throw otherDatabase(dataDir, 'a file');
}

function otherDatabase(dataDir: string, now: string): HoopError {
  const path = databasePath(dataDir);
  return new HoopError('HOOP_CONFIG', 'the gateway has kept its state in another database so far', {
    detail: `None of it is in ${now}: no blocks, grants, logins or list of sessions.`,
    hint: `Restore the earlier \`store\`; or, to start over, remove "${path}".`,
  });
}
