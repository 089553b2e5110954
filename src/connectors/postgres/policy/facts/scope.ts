/** Which columns and tables a name can mean at one place of a statement. */

import { rowShape } from '../json/json-shape.ts';
import type { CatalogRelation } from './catalog-types.ts';
import {
  constant,
  derive,
  type Lineage,
  type NamedLineage,
  type Origin,
  oneOf,
  withOrigins,
} from './lineage.ts';
import type { StatementFacts } from './statement-facts.ts';

/** Something in FROM that has a name, so that `name.column` and `name.*` mean it. */
export interface Table {
  readonly name: string | undefined;
  /** Schema by which it can also be named, when it has no alias. */
  readonly schema: string | undefined;
  readonly columns: readonly NamedLineage[];
  /** It may have other columns than these: names and `*` cannot be trusted. */
  readonly incomplete?: boolean;
  /** Set for relations: system columns and the row type. */
  readonly relation: CatalogRelation | undefined;
  /**
   * A row of it has the names of `columns`, as those of subqueries have. A row of a relation has the
   * names that the relation gives, whatever its alias says (before 13.5 and 14.1 those of the alias),
   * and so has one of a function that returns such rows.
   */
  readonly namesRows?: boolean;
}

export interface Cte {
  /** Evaluated when first used; undefined while it cannot be (it refers to itself). */
  readonly columns: () => readonly NamedLineage[] | undefined;
}

export interface Scope {
  readonly tables: readonly Table[];
  /** Columns that a bare name can mean, and the order of `*`. */
  readonly columns: readonly NamedLineage[];
  readonly outer: Scope | undefined;
  readonly ctes?: ReadonlyMap<string, Cte>;
  /** WINDOW clauses by name: what they partition and order by. */
  readonly windows?: ReadonlyMap<string, ReadonlySet<Origin>>;
  /** Of the rows of pg_settings that this query looks at: all have this name (setting-name.ts). */
  readonly settingName?: string | undefined;
}

/** What a query returns, and which values decided that it returns these rows. */
export interface QueryResult {
  readonly columns: readonly NamedLineage[];
  readonly conditions: ReadonlySet<Origin>;
  /** Rows of tables in FROM, where the planner folds the query into the one around it. */
  readonly foldedRows?: ReadonlySet<object>;
}

export const NO_RESULT: QueryResult = { columns: [], conditions: new Set() };

/** attnums of the columns that every table has (pg_attribute has them with these numbers). */
export const SYSTEM_COLUMNS: ReadonlyMap<string, number> = new Map([
  ['ctid', -1],
  ['xmin', -2],
  ['cmin', -3],
  ['xmax', -4],
  ['cmax', -5],
  ['tableoid', -6],
]);

/** tid, xid, cid, oid. */
const SYSTEM_TYPES: Readonly<Record<string, number>> = {
  ctid: 27,
  xmin: 28,
  cmin: 29,
  xmax: 28,
  cmax: 29,
  tableoid: 26,
};

export function findCte(scope: Scope | undefined, name: string): Cte | undefined {
  for (let level = scope; level; level = level.outer) {
    const cte = level.ctes?.get(name);
    if (cte) {
      return cte;
    }
  }
  return undefined;
}

/** A bare name as a column, innermost query first; all matches of that query if there are several. */
export function findColumn(
  facts: StatementFacts,
  scope: Scope | undefined,
  name: string,
): Lineage | undefined {
  for (let level = scope; level; level = level.outer) {
    const found = level.columns.filter((column) => column.name === name);
    if (found.length > 0) {
      return oneOf(found.map((column) => column.lineage));
    }
    const system = level.tables.flatMap((table) => systemColumn(facts, table, name) ?? []);
    if (system.length > 0) {
      return systemOrOuter(system, findColumn(facts, level.outer, name));
    }
    if (level.tables.some((table) => table.incomplete)) {
      // It may be a column of this level, so it must not be taken for one further out.
      return undefined;
    }
  }
  return undefined;
}

/**
 * Views have no system columns, and a bare name does not mean those of tables that are joined. There
 * it can be a column further out, which may have any name.
 */
function systemOrOuter(system: readonly Lineage[], outer: Lineage | undefined): Lineage {
  return outer ? derive([...system, outer]) : oneOf(system);
}

/** Whether a bare name is certainly a column of this query, not of one around it. */
export function isOwnColumn(scope: Scope, name: string): boolean {
  return scope.columns.some((column) => column.name === name);
}

export function findTable(
  scope: Scope | undefined,
  name: string,
  schema?: string,
): Table | undefined {
  for (let level = scope; level; level = level.outer) {
    const found = level.tables.filter(
      (table) => table.name === name && (schema === undefined || table.schema === schema),
    );
    const [first] = found;
    if (first && found.length === 1) {
      return first;
    }
    if (first) {
      // PostgreSQL calls that ambiguous; until it does, any of them may be meant.
      return { ...first, columns: found.flatMap((table) => table.columns), incomplete: true };
    }
  }
  return undefined;
}

/** Whether something in reach may have other columns than those that are known. */
export function hasIncomplete(scope: Scope | undefined): boolean {
  for (let level = scope; level; level = level.outer) {
    if (level.tables.some((table) => table.incomplete)) {
      return true;
    }
  }
  return false;
}

export function columnOf(facts: StatementFacts, table: Table, name: string): Lineage | undefined {
  const found = table.columns.filter((column) => column.name === name);
  if (found.length > 0) {
    return oneOf(found.map((column) => column.lineage));
  }
  return systemColumn(facts, table, name);
}

function systemColumn(facts: StatementFacts, table: Table, name: string): Lineage | undefined {
  const attnum = SYSTEM_COLUMNS.get(name);
  if (!table.relation || attnum === undefined) {
    return undefined;
  }
  const origin = facts.column(table.relation, attnum, name);
  return { ...constant(SYSTEM_TYPES[name]), origins: new Set([origin]), identity: origin };
}

/**
 * `t` as a value: the whole row. Of a relation it has attribute number 0 in RowDescription, so that
 * is one of its sources.
 */
export function wholeRow(facts: StatementFacts, table: Table): Lineage {
  facts.spendOn(table.columns);
  const all = derive(
    table.columns.map((column) => column.lineage),
    table.relation?.rowTypeOid,
    table.columns,
  );
  const row = { ...all, document: table.namesRows ? rowShape(table.columns) : undefined };
  return table.relation ? withOrigins(row, [facts.column(table.relation, 0, '*')]) : row;
}

/** New names for the first columns, as in `t(a, b)`. */
export function renameColumns(
  columns: readonly NamedLineage[],
  names: readonly string[],
): readonly NamedLineage[] {
  return columns.map((column, index) => {
    const name = names[index];
    return name === undefined ? column : { name, lineage: column.lineage };
  });
}
