/** Whether a database can be the store of a gateway. Changes nothing. */
import type pg from 'pg';
import { HoopError } from '../../errors.ts';
import type { Migration } from './postgres-migrations.ts';

/** Of PostgreSQL, which counts 13.4 as 130004. */
const OLDEST_SERVER = 130_000;

export interface UsableStore {
  /** e.g. `18.1` */
  readonly server: string;
  /** Migrations that have run; 0: it is empty. */
  readonly version: number;
}

interface Found {
  readonly number: string;
  readonly server: string;
  readonly encoding: string;
  readonly read_only: boolean;
  readonly schema: string | null;
  readonly may_create: boolean | null;
  readonly has_schema: boolean;
}

const LOOK = `SELECT current_setting('server_version_num') AS number,
  current_setting('server_version') AS server,
  current_setting('server_encoding') AS encoding,
  pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
  current_schema() AS schema,
  has_schema_privilege(current_schema(), 'CREATE') AS may_create,
  to_regclass('hoop_schema') IS NOT NULL AS has_schema`;
const TABLES = `SELECT tablename AS name,
  has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')
  AND has_table_privilege(format('%I.%I', schemaname, tablename), 'INSERT')
  AND has_table_privilege(format('%I.%I', schemaname, tablename), 'UPDATE')
  AND has_table_privilege(format('%I.%I', schemaname, tablename), 'DELETE') AS may_use
  FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY ($1)`;

/**
 * @throws HOOP_CONFIG for a server that is too old, another encoding, a schema that is too new or not
 *   ours, or missing rights; HOOP_STORE_UNAVAILABLE for one that cannot be written now
 */
export async function requireUsable(
  client: pg.ClientBase,
  migrations: readonly Migration[],
): Promise<UsableStore> {
  const found: Found = (await client.query(LOOK)).rows[0];
  if (!(Number(found.number) >= OLDEST_SERVER)) {
    throw unusable('the server of the store is older than PostgreSQL 13', {
      detail: `It is PostgreSQL ${found.server}.`,
    });
  }
  if (found.encoding !== 'UTF8') {
    throw unusable('the database of the store is not in UTF8', {
      detail: `Its encoding is ${found.encoding}, which cannot hold every name.`,
    });
  }
  if (found.read_only) {
    throw new HoopError('HOOP_STORE_UNAVAILABLE', 'the gateway’s store cannot be written', {
      detail: 'The server is a standby, or read-only.',
      hint: 'Set `store.url` to the primary, by a name or an address that follows it.',
    });
  }
  const version = found.has_schema ? await knownVersion(client, migrations.length) : 0;
  if (version < migrations.length && found.may_create !== true) {
    throw unusable('the role of the store may not create tables', {
      detail: `It lacks CREATE on ${found.schema === null ? 'a schema of its search_path' : `schema "${found.schema}"`}.`,
      hint: 'Make the role the owner of the database.',
    });
  }
  const { rows } = await client.query(TABLES, [tablesOf(migrations)]);
  if (!found.has_schema && rows.length > 0) {
    throw unusable('the database of the store belongs to something else', {
      detail: `It has a table "${rows[0].name}", which hoop did not create.`,
    });
  }
  const closed = rows.find(({ may_use: mayUse }) => !mayUse);
  if (closed !== undefined) {
    throw unusable('the role of the store lacks rights on its tables', {
      detail: `On "${closed.name}", and perhaps others, it needs SELECT, INSERT, UPDATE and DELETE.`,
      hint: 'Make the role the owner of the tables.',
    });
  }
  return { server: found.server, version };
}

/** @throws HOOP_CONFIG */
async function knownVersion(client: pg.ClientBase, known: number): Promise<number> {
  const { rows } = await client.query('SELECT version, oldest FROM hoop_schema');
  const { version = 0, oldest = 0 } = rows[0] ?? {};
  if (Number(oldest) > known) {
    throw new HoopError('HOOP_CONFIG', 'the store was changed by a newer hoop', {
      detail: `It needs a hoop that knows version ${oldest} of it; this one knows ${known}.`,
      hint: 'Start the newer version.',
    });
  }
  return Number(version);
}

function tablesOf(migrations: readonly Migration[]): string[] {
  const made = migrations.flatMap(({ sql }) => [...sql.matchAll(/\bCREATE TABLE (\w+)/g)]);
  return made.map(([, name = '']) => name);
}

function unusable(
  message: string,
  { detail, hint = 'Set `store.url` to another database.' }: { detail: string; hint?: string },
): HoopError {
  return new HoopError('HOOP_CONFIG', message, { detail, hint });
}
