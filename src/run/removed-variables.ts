/**
 * Which inherited variables a child does not get: those that lead to a database or a server past
 * hoop, and the usual secrets. What is meant is that an agent does not find them by accident.
 */

/** Of libpq and drivers: a setting left here would lead elsewhere, or break the local port. */
const DATABASE = /^PG[A-Z0-9_]+$|^(DATABASE|POSTGRES(QL)?)_(URL|URI|DSN|PASSWORD)$|^POSTGRES_USER$/;
/** Settings of the person that have nothing to do with where the connection goes. */
const HARMLESS: ReadonlySet<string> = new Set([
  'PGAPPNAME',
  'PGTZ',
  'PGDATESTYLE',
  'PGGEQO',
  'PGCLIENTENCODING',
]);

export interface RemovedVariables {
  has(name: string): boolean;
}

export function removedVariables(): RemovedVariables {
  return { has: (name) => !HARMLESS.has(name) && DATABASE.test(name) };
}
