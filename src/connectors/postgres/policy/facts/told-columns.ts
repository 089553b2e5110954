/** Whether the record of a decision can name all masked columns that a statement shows or computes with. */
import type { ColumnFact } from './analysis-types.ts';

/** In one event of the recording, which is one frame (0002), beside the names of relations. */
const MAX_NAMED_BYTES = 384 * 1024;
/** So many always fit. */
const NAMED_FREELY = 300;

/** @param columns the same one may be there several times, and is named once. */
export function namesTooManyColumns(columns: readonly ColumnFact[]): boolean {
  if (columns.length <= NAMED_FREELY) return false;
  const names = new Set(columns.map(({ schema, name, column }) => `${schema}.${name}.${column}`));
  let bytes = 0;
  for (const name of names) bytes += Buffer.byteLength(JSON.stringify(name));
  return bytes > MAX_NAMED_BYTES;
}
