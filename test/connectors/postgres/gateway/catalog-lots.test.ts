import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CATALOG_LOT } from '../../../../src/connectors/postgres/gateway/catalog/catalog-lots.ts';
import { firstMarks } from '../../../../src/connectors/postgres/gateway/catalog/catalog-marks.ts';
import { OWNED_SECTIONS } from '../../../../src/connectors/postgres/gateway/catalog/catalog-queries.ts';
import type { Row } from '../../../../src/connectors/postgres/gateway/catalog/catalog-rows.ts';
import {
  emptyState,
  nameKey,
  withReading,
} from '../../../../src/connectors/postgres/gateway/catalog/catalog-state.ts';

const TABLES = 20_000;

/** Rows that tell when they are read. */
function watchedRows(onRead: () => void): Row[] {
  return Array.from({ length: TABLES }, (_, at) => {
    const oid = String(at + 20_000);
    const row: (string | null)[] = ['relations', oid, null, 'false'];
    const json = JSON.stringify([[oid, 'public', `t${at}`, 'r', '0']]);
    return Object.defineProperty(row, 2, {
      get() {
        onRead();
        return json;
      },
    });
  });
}

test('a catalog of 20,000 tables is read in lots, and others have their turn between them', async () => {
  let reads = 0;
  const rows = watchedRows(() => {
    reads += 1;
  });
  const marks = await firstMarks([]);
  const owned = new Map(OWNED_SECTIONS.map((section) => [section, 'all' as const]));
  const reading = withReading(emptyState(marks), { owned, whole: new Set(), rows }, marks);
  const perTurn: number[] = [];
  for (let before = reads; before < TABLES; before = reads) {
    await nextTurn();
    perTurn.push(reads - before);
  }
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(CATALOG_LOT);
  const { state, owners } = await reading;
  expect(owners.get('relations')?.size).toBe(TABLES);
  expect(state.indexes.relations.get(nameKey('public', 't19999'))).toEqual([39_999]);
});

test('what a few tables are is known without a turn of others', async () => {
  let turns = 0;
  const other = setImmediate(() => {
    turns += 1;
  });
  const marks = await firstMarks([['pg_class', '2', '20000 20000,20001 20001', null]]);
  expect(marks.byCatalog.get('pg_class')?.rows?.size).toBe(2);
  expect(turns).toBe(0);
  clearImmediate(other);
});
