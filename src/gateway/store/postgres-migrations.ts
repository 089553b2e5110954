/**
 * The schema of a PostgreSQL store, brought up to date at each start, one start at a time. Forward only,
 * and in two steps (expand, contract): first a migration that the version before can live with, and when
 * no gateway of that version runs any more, one that takes away what only it has used.
 */
import type pg from 'pg';
import { HoopError } from '../../errors.ts';
import { POSTGRES_MIGRATIONS } from './postgres-schema.ts';

export interface Migration {
  readonly sql: string;
  /** A program that does not know this many migrations cannot use the schema from then on. */
  readonly oldest?: number;
}

/** Of PostgreSQL, which counts 13.4 as 130004. */
const OLDEST_SERVER = 130_000;
/** Of pg_advisory_xact_lock, any number of ours: "hoop". */
const LOCK = 0x686f_6f70;

/** @throws HOOP_CONFIG for a server that is too old, or a schema that is too new */
export async function migratePostgres(
  client: pg.ClientBase,
  migrations: readonly Migration[] = POSTGRES_MIGRATIONS,
): Promise<void> {
  await requireServer(client);
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS hoop_schema (version bigint NOT NULL, oldest bigint NOT NULL)`,
    );
    const { rows } = await client.query('SELECT version, oldest FROM hoop_schema');
    const { version = 0, oldest = 0 } = rows[0] ?? {};
    requireKnown(oldest, migrations.length);
    const next = migrations.slice(version);
    for (const { sql } of next) await client.query(sql);
    if (next.length > 0) {
      await client.query('DELETE FROM hoop_schema');
      await client.query('INSERT INTO hoop_schema VALUES ($1, $2)', [
        migrations.length,
        Math.max(oldest, ...next.map((migration) => migration.oldest ?? 0)),
      ]);
    }
    await client.query('COMMIT');
  } catch (error) {
    // Where the connection is gone the transaction is, too.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function requireServer(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query('SHOW server_version_num');
  const version = Number(rows[0]?.['server_version_num']);
  if (!(version >= OLDEST_SERVER)) {
    throw new HoopError('HOOP_CONFIG', 'the server of the store is older than PostgreSQL 13', {
      hint: 'Name another database as `store`.',
    });
  }
}

function requireKnown(oldest: number, known: number): void {
  if (oldest > known) {
    throw new HoopError('HOOP_CONFIG', 'the store was changed by a newer hoop', {
      detail: `It needs a hoop that knows version ${oldest} of it; this one knows ${known}.`,
      hint: 'Start the newer version.',
    });
  }
}
