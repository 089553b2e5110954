/** WITH: common table expressions, recursive and data-modifying ones included. */

import {
  derive,
  type NamedLineage,
  settled,
  withOrigins,
  withoutDocuments,
} from '../facts/lineage.ts';
import { type Cte, renameColumns, type Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node, namesOf, tagOf } from '../parse/tree.ts';
import { expressions } from './expressions.ts';
import { checkFields } from './grammar.ts';

/**
 * A recursive query is walked until its columns depend on nothing new. Each round adds at least one
 * column to what an output depends on, so real queries need a handful.
 */
const MAX_ROUNDS = 50;

type WithFields = FieldsOf<'WithClause'>;
type CteFields = FieldsOf<'CommonTableExpr'>;

/** The scope with the names that WITH defines; every query in it is walked, used or not. */
export function withQueries(
  facts: StatementFacts,
  clause: WithFields | undefined,
  outer: Scope | undefined,
): Scope | undefined {
  if (!clause) {
    return outer;
  }
  checkFields(facts, 'WithClause', clause);
  let scope: Scope = { tables: [], columns: [], outer, ctes: new Map() };
  const all = new Map<string, Cte>();
  const recursive: Scope = { tables: [], columns: [], outer, ctes: all };
  for (const node of clause.ctes ?? []) {
    const fields = as(node, 'CommonTableExpr');
    if (!fields) {
      facts.unknown(`${tagOf(node)} in WITH`);
      continue;
    }
    const cte = clause.recursive
      ? recursiveCte(facts, fields, recursive)
      : plainCte(facts, fields, scope);
    all.set(fields.ctename ?? '', cte);
    scope = { tables: [], columns: [], outer: scope, ctes: new Map([[fields.ctename ?? '', cte]]) };
  }
  for (const cte of all.values()) {
    cte.columns();
  }
  return clause.recursive ? recursive : scope;
}

/** Sees the queries before it in the same WITH. */
function plainCte(facts: StatementFacts, fields: CteFields, scope: Scope): Cte {
  let columns: readonly NamedLineage[] | undefined;
  return {
    columns: () => {
      columns ??= named(facts, fields, queryColumns(facts, fields.ctequery, scope), scope);
      return columns;
    },
  };
}

/** Sees all queries of the same WITH and, in the second half of a UNION, itself. */
function recursiveCte(facts: StatementFacts, fields: CteFields, scope: Scope): Cte {
  let columns: readonly NamedLineage[] | undefined;
  let walking = false;
  let done = false;
  let refersToItself = false;
  const walk = () => {
    const union = as(fields.ctequery, 'SelectStmt');
    const first = union?.op === 'SETOP_UNION' ? union.larg : undefined;
    if (first) {
      // The first half cannot refer to itself; it says what the rows look like at the start.
      const inside: Scope = union?.withClause ? { ...scope } : scope;
      const start = facts.walks.query(
        facts,
        {
          SelectStmt: { ...first, ...(union?.withClause ? { withClause: union.withClause } : {}) },
        },
        inside,
      );
      columns = named(facts, fields, counted(facts, fields, start.columns), scope);
    }
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = size(columns);
      const next = queryColumns(facts, fields.ctequery, scope);
      const rows = refersToItself ? counted(facts, fields, next) : next;
      columns = named(facts, fields, rows, scope);
      if (size(columns) === before) {
        return;
      }
    }
    facts.refuse(`the recursive query ${fields.ctename} has too many dependencies to trace`);
  };
  return {
    columns: () => {
      if (walking) {
        refersToItself = true;
      } else if (!done) {
        walking = true;
        walk();
        walking = false;
        done = true;
      }
      return columns;
    },
  };
}

/** Recursion can count, as generate_series() can, and put documents in documents without an end. */
function counted(
  facts: StatementFacts,
  fields: CteFields,
  columns: readonly NamedLineage[],
): readonly NamedLineage[] {
  const rows = facts.rows(fields, true);
  return columns.map((column) => ({
    name: column.name,
    lineage: withOrigins(withoutDocuments(column.lineage), [rows]),
  }));
}

function size(columns: readonly NamedLineage[] | undefined): number {
  return (columns ?? []).reduce((sum, column) => sum + column.lineage.origins.size + 1, 0);
}

function queryColumns(
  facts: StatementFacts,
  query: Node | undefined,
  scope: Scope,
): readonly NamedLineage[] {
  return facts.walks.query(facts, query, scope).columns;
}

/** Applies `name(a, b)`, and the columns that SEARCH and CYCLE add. */
function named(
  facts: StatementFacts,
  fields: CteFields,
  columns: readonly NamedLineage[],
  scope: Scope,
): readonly NamedLineage[] {
  checkFields(facts, 'CommonTableExpr', fields);
  const own = renameColumns(settled(columns), namesOf(fields.aliascolnames) ?? []);
  const extra: NamedLineage[] = [];
  // What they collect are values of the columns that they name: to be safe, of all columns.
  const collected = derive(own.map((column) => column.lineage));
  if (fields.search_clause) {
    checkFields(facts, 'CTESearchClause', fields.search_clause);
    extra.push({ name: fields.search_clause.search_seq_column ?? '', lineage: collected });
  }
  if (fields.cycle_clause) {
    const cycle = fields.cycle_clause;
    checkFields(facts, 'CTECycleClause', cycle);
    const marks = expressions(
      facts,
      [cycle.cycle_mark_value, cycle.cycle_mark_default].flatMap((mark) => mark ?? []),
      scope,
    );
    extra.push(
      { name: cycle.cycle_mark_column ?? '', lineage: derive([collected, ...marks]) },
      { name: cycle.cycle_path_column ?? '', lineage: collected },
    );
  }
  return [...own, ...extra];
}
