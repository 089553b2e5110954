/**
 * The tables of a PostgreSQL store: those of schema.ts, in its words. Texts have the collation "C", so
 * that they are ordered, compared and lowered as SQLite does it, whatever the database has.
 */
import { FIRST_CHANGES, type SchemaChange } from './first-schema.ts';
import type { Migration } from './postgres-migrations.ts';
import { CHANGES } from './schema.ts';

const WORDS = [
  [/\) STRICT(, WITHOUT ROWID)?;/g, ');'],
  [/\bINTEGER PRIMARY KEY(?= *[,\n])/g, 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY'],
  [/\bINTEGER\b/g, 'bigint'],
  [/\bREAL\b/g, 'double precision'],
  [/\bBLOB\b/g, 'bytea'],
  [/\bTEXT\b/g, 'text COLLATE "C"'],
] as const;

/** The key that SQLite gives each row without being told, where it is asked for. */
const ROWIDS = ['refresh_families', 'approvals', 'approval_votes'].map(
  (table) => `ALTER TABLE ${table} ADD COLUMN rowid bigint GENERATED ALWAYS AS IDENTITY;`,
);

export const POSTGRES_MIGRATIONS: readonly Migration[] = [
  { sql: [...FIRST_CHANGES.map(inPostgres), ...ROWIDS].join('\n') },
  ...CHANGES.map((change) => ({ sql: inPostgres(change) })),
];

function inPostgres(change: string | SchemaChange): string {
  const { both, postgres = '' } = typeof change === 'string' ? { both: change } : change;
  return WORDS.reduce((sql, [sqlite, word]) => sql.replace(sqlite, word), `${both}${postgres}`);
}
