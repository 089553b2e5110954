import { afterAll, expect, test } from 'vitest';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { TextBytes } from '../../../../src/connectors/postgres/policy/parse/text-bytes.ts';
import { rangesOfStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import {
  copiedQueries,
  isQuery,
  parenthesised,
} from '../../../../src/connectors/postgres/policy/writes/copy-query.ts';

const parser = SqlParser.create();
afterAll(() => parser[Symbol.asyncDispose]());

async function treeOf(text: string): Promise<unknown> {
  const parsed = await parser.parse(text);
  if (parsed.type !== 'tree') throw new TypeError(`${text} does not parse`);
  return parsed.tree;
}

test.each([
  'SELECT id FROM t WHERE id IN (1, 2)',
  'SELECT ARRAY[1, 2], ARRAY[ARRAY[1]]',
  'WITH a AS (SELECT 1) SELECT * FROM a',
  'VALUES (1), (2)',
  'TABLE t',
  "SELECT ')', '''(', E'\\')', $$)$$, $a$ $$ ) $a$, \")\" FROM t",
  'SELECT 1 -- )',
  'SELECT 1 /* ) /* ( */ ) */',
  "SELECT U&'\\0029', name'(' FROM t",
  "UPDATE t SET a = 1 WHERE b IN ('x', 'y') RETURNING *",
  "SELECT CASE WHEN a IN (1) THEN 'é)' END FROM t JOIN y USING (a) WINDOW w AS (PARTITION BY a)",
])('%s', async (query) => {
  for (const before of ['', ' /* ( */ ', "SELECT 'é('; "]) {
    const text = `${before}COPY (${query}\n) TO STDOUT (FORMAT csv, QUOTE '(')`;
    const tree = await treeOf(text);
    const found = [...copiedQueries(tree)];
    expect(found).toHaveLength(1);
    for (const [index, node] of found) {
      const bytes = new TextBytes(text);
      const whole = rangesOfStatements(tree, bytes.length)[index];
      const range = whole && parenthesised(bytes, whole);
      const inner = Buffer.from(text).subarray(range?.start, range?.end).toString();
      expect(inner.trim()).toBe(query);
      expect(isQuery(await treeOf(inner), node)).toBe(true);
      expect(isQuery(await treeOf('SELECT 7'), node)).toBe(false);
    }
  }
});

test('only a query in parentheses is one', async () => {
  for (const text of [
    'COPY t (a) TO STDOUT',
    'COPY t TO STDOUT (FORMAT csv)',
    'COPY t FROM STDIN',
  ]) {
    expect(copiedQueries(await treeOf(text)).size).toBe(0);
    expect(parenthesised(new TextBytes(text), { start: 0, end: text.length })).toBeUndefined();
  }
});
