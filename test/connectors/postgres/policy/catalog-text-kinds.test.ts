/** Every place of a real server's catalog that shows an expression is known, whatever version the server has. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CatalogTextKind } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import { catalogTextsRead } from '../../../../src/connectors/postgres/policy/masks/catalog-text-kinds.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SAMPLE_SCHEMA);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function kindsOf(sql: string): Promise<(CatalogTextKind | undefined)[]> {
  const [analysis] = await bench.analyse(sql);
  if (analysis === undefined) throw new Error(`no analysis of ${sql}`);
  const read = catalogTextsRead(analysis, bench.catalog).map(({ kind }) => kind);
  // Values of rows are no expression, and a join names them that does not show them.
  return [...new Set(read)].filter((kind) => kind !== 'missing').toSorted();
}

async function rows(sql: string): Promise<readonly string[][]> {
  const [found]: [string[][]] = JSON.parse(await bench.really(sql));
  return found;
}

test('each column of type pg_node_tree has one kind', async () => {
  const columns = await rows(
    "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE atttypid = 'pg_node_tree'::regtype ORDER BY 1, 2",
  );
  expect(columns.length).toBeGreaterThan(14);
  for (const [table, column] of columns) {
    const kinds = await kindsOf(`SELECT ${column} FROM pg_catalog.${table}`);
    expect([table, column, kinds]).toEqual([table, column, [expect.any(String)]]);
  }
});

test('each function that gives an expression, or writes an object as text, has one kind', async () => {
  const functions = await rows(
    `SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
      AND ('pg_node_tree'::regtype = ANY (proallargtypes) OR proname LIKE 'pg\\_get\\_%'
        AND prorettype IN ('text'::regtype, 'text[]'::regtype) AND proargtypes[0] = 'oid'::regtype
        AND proname NOT IN ('pg_get_function_result', 'pg_get_function_identity_arguments')) ORDER BY 1`,
  );
  expect(functions.length).toBeGreaterThan(12);
  for (const [name] of functions) {
    const call = name === 'pg_get_publication_tables' ? `${name}('p')` : `${name}(c.oid)`;
    const args = name === 'pg_get_function_arg_default' ? `${name}(c.oid, 1)` : call;
    const kinds = await kindsOf(`SELECT x FROM pg_catalog.pg_class c, ${args} x`);
    expect([name, kinds]).toEqual([name, [expect.any(String)]]);
  }
});

test('each view of the catalog shows the kinds that its definition reads', async () => {
  const views = await rows(
    `SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind = 'v'
      AND relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1`,
  );
  expect(views.length).toBeGreaterThan(120);
  const found: unknown[] = [];
  for (const [view, definition = ''] of views) {
    const inside = await kindsOf(definition);
    const shown = await kindsOf(
      `SELECT * FROM ${view?.includes('.') ? view : `pg_catalog.${view}`}`,
    );
    if (JSON.stringify(inside) !== JSON.stringify(shown)) found.push([view, inside, shown]);
  }
  expect(found).toEqual([]);
});
