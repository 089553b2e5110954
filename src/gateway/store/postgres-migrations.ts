/**
 * The schema of a PostgreSQL store, brought up to date at each start, one start at a time. Forward only,
 * and in two steps (expand, contract): first a migration that the version before can live with, and when
 * no gateway of that version runs any more, one that takes away what only it has used.
 */
import type pg from 'pg';
import { POSTGRES_MIGRATIONS } from './postgres-schema.ts';
import { requireUsable } from './postgres-usable.ts';

export interface Migration {
  readonly sql: string;
  /** A program that does not know this many migrations cannot use the schema from then on. */
  readonly oldest?: number;
}

/** Of pg_advisory_xact_lock, any number of ours: "hoop". */
const LOCK = 0x686f_6f70;

/** @throws as `requireUsable` */
export async function migratePostgres(
  client: pg.ClientBase,
  migrations: readonly Migration[] = POSTGRES_MIGRATIONS,
): Promise<void> {
  await client.query('BEGIN');
  try {
    // Another start may migrate, and a large table takes its time.
    await client.query(
      `SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)`,
    );
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const { version } = await requireUsable(client, migrations);
    if (version === 0) {
      await client.query(
        `CREATE TABLE IF NOT EXISTS hoop_schema (version bigint NOT NULL, oldest bigint NOT NULL)`,
      );
    }
    const next = migrations.slice(version);
    for (const { sql } of next) await client.query(sql);
    if (next.length > 0) {
      const { rows } = await client.query('DELETE FROM hoop_schema RETURNING oldest');
      await client.query('INSERT INTO hoop_schema VALUES ($1, $2)', [
        migrations.length,
        Math.max(Number(rows[0]?.oldest ?? 0), ...next.map(({ oldest }) => oldest ?? 0)),
      ]);
    }
    await client.query('COMMIT');
  } catch (error) {
    // Where the connection is gone the transaction is, too.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
