import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadModule, parse } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import type { StatementContext } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { analyseStatements } from '../../../../src/connectors/postgres/policy/walk/analyse-statements.ts';

/** A database without anything in it: what a node does here depends on the node alone. */
const EMPTY_CATALOG: Catalog = {
  generation: 1,
  majorVersion: 18,
  database: 'empty',
  schemas: ['pg_catalog', 'public'],
  relation: () => undefined,
  relationByOid: () => undefined,
  childrenOf: () => [],
  functions: () => [],
  type: () => undefined,
  typeByOid: () => undefined,
  operators: () => [],
  castContexts: new Map(),
  userCasts: [],
};
const CONTEXT: StatementContext = {
  catalog: EMPTY_CATALOG,
  searchPath: ['pg_catalog', 'public'],
  role: undefined,
  parameterTypes: [],
  cursor: () => undefined,
  prepared: () => undefined,
};

/** All node types that the parser's own type definitions list. */
function nodeTypes(): string[] {
  const require = createRequire(createRequire(import.meta.url).resolve('libpg-query'));
  const definitions = readFileSync(
    require.resolve('@pgsql/types').replace(/[^/]*$/, 'types.d.ts'),
    'utf8',
  );
  const union = definitions.slice(
    definitions.indexOf('export type Node ='),
    definitions.indexOf('export interface ParseResult'),
  );
  return [...union.matchAll(/(\w+): \1;/g)].map((match) => match[1] ?? '');
}

function analyse(statement: object) {
  const [analysis] = analyseStatements({ stmts: [{ stmt: statement }] }, '', CONTEXT);
  return analysis;
}

const select = (fields: object) => ({ SelectStmt: { op: 'SETOP_NONE', ...fields } });
const target = (node: object) => select({ targetList: [{ ResTarget: { val: node } }] });

/** Places where the grammar lets a node stand that decides about values. */
const PLACES: Readonly<Record<string, (node: object) => object>> = {
  'as an expression': target,
  'in WHERE': (node) => select({ whereClause: node }),
  'in FROM': (node) => select({ fromClause: [node] }),
  'as a target': (node) => select({ targetList: [node] }),
  'in ORDER BY': (node) => select({ sortClause: [node] }),
  'in WITH': (node) => select({ withClause: { ctes: [node] } }),
  'as a subquery': (node) => target({ SubLink: { subLinkType: 'EXPR_SUBLINK', subselect: node } }),
  'as a returned column': (node) => ({
    DeleteStmt: { relation: { relname: 'x' }, returningClause: { exprs: [node] } },
  }),
};

describe('what the walk does not know makes a statement opaque', () => {
  const types = nodeTypes();
  beforeAll(async () => {
    await loadModule();
  });

  test('the list of node types is that of the parser', () => {
    expect(types.length).toBeGreaterThan(250);
    expect(types).toContain('JsonTable');
    expect(types).toContain('AlterSystemStmt');
  });

  for (const [place, put] of Object.entries(PLACES)) {
    test(`a node with an unknown field, or of an unknown type, ${place}`, () => {
      for (const type of [...types, 'NodeOfTheFuture']) {
        const analysis = analyse(put({ [type]: { field_of_the_future: 1 } }));
        expect(analysis?.opaque, type).not.toEqual([]);
      }
    });
  }

  test('a statement with an unknown field returns no rows, or is refused', () => {
    for (const type of [...types, 'StmtOfTheFuture']) {
      const analysis = analyse({ [type]: { field_of_the_future: 1 } });
      // Definitions return nothing; the relations and functions in them are found wherever they stand.
      expect(analysis?.outputs === undefined || analysis.opaque.length > 0, type).toBe(true);
    }
  });

  test('an unknown statement counts as code that can change everything', () => {
    expect(analyse({ OfTheFutureStmt: {} })).toMatchObject({
      verb: 'of the future',
      protocol: { runsUserCode: true, changesCatalog: true },
    });
  });

  test('every real statement of PostgreSQL has a verb', () => {
    const known = types.filter(
      (type) => type.endsWith('Stmt') && !/^(Raw|SetOperation|Return|PLAssign)Stmt$/.test(type),
    );
    for (const type of known) {
      const opaque = analyse({ [type]: {} })?.opaque ?? [];
      expect(
        opaque.map((reason) => reason.reason),
        type,
      ).not.toContain(`${type} is not understood`);
    }
  });

  test('deep and large statements are judged or refused, and never overflow the stack', async () => {
    const nested: readonly ((depth: number) => string)[] = [
      (depth) => `SELECT ${Array(depth).fill('1').join('+')}`,
      (depth) => Array(depth).fill('SELECT 1').join(' UNION ALL '),
      (depth) => `SELECT 1 WHERE ${'NOT ('.repeat(depth)}true${')'.repeat(depth)}`,
      (depth) => `SELECT ${'coalesce('.repeat(depth)}1${')'.repeat(depth)}`,
      (depth) => `SELECT ${'CASE WHEN true THEN '.repeat(depth)}1${' END'.repeat(depth)}`,
      (depth) => `SELECT ${'(SELECT '.repeat(depth)}1${')'.repeat(depth)}`,
      (depth) =>
        `SELECT 1 FROM ${'(SELECT 1 FROM '.repeat(depth)}(VALUES (1)) x${') x'.repeat(depth)}`,
    ];
    for (const text of nested) {
      for (const depth of [50, 250, 390, 790, 1500]) {
        const sql = text(depth);
        let tree: unknown;
        try {
          tree = await parse(sql);
        } catch {
          continue;
        }
        const [analysis] = analyseStatements(tree, sql, CONTEXT);
        const reasons = (analysis?.opaque ?? []).map((opaque) => opaque.reason);
        if (depth <= 50) {
          expect(
            reasons.filter((reason) => !reason.includes('coalesce')),
            sql.slice(0, 40),
          ).toEqual([]);
        }
        if (depth >= 1500) {
          expect(reasons, sql.slice(0, 40)).toContain('the statement is too large to be checked');
        }
      }
    }
  });
});
