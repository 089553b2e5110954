/**
 * The items of a FROM list for `qualified.ts`: which of them a column belongs to, and what ties
 * them together. By names alone, and by the catalog's columns where it has the relation.
 */
import { as, type FieldsOf, is, type Node, namesOf, stringOf } from './tree.ts';

export interface Item {
  readonly name: string;
  /** undefined: not known, it may have any. */
  readonly columns: ReadonlySet<string> | undefined;
}

/** One query: what its columns can mean, and which items bring only rows that are listed or narrowed. */
export interface Level {
  readonly items: readonly Item[];
  readonly narrow: ReadonlySet<Item>;
  /** What ON and USING say about them. */
  readonly ties: readonly Tie[];
  readonly outer: Level | undefined;
  /** Names of WITH queries, with whether they bring only a few rows. */
  readonly queries: ReadonlyMap<string, boolean>;
  readonly columnsOf: ColumnsOf;
  /** How much may still be looked at. */
  readonly budget: { left: number };
}

export type ColumnsOf = (table: FieldsOf<'RangeVar'>) => ReadonlySet<string> | undefined;

/** An ON, or a USING between two sides. */
export interface Tie {
  readonly condition: Node | undefined;
  readonly using: readonly (readonly Item[])[];
  /** Items whose rows it can leave out; undefined: of all. */
  readonly only: readonly Item[] | undefined;
}

export interface FromNode {
  readonly item: Item;
  readonly node: Node;
}

export function fromItems(
  from: readonly Node[] | undefined,
  level: Pick<Level, 'queries' | 'columnsOf'>,
): { readonly found: readonly FromNode[]; readonly ties: readonly Tie[] } {
  const found: FromNode[] = [];
  const ties: Tie[] = [];
  const walk = (node: Node | undefined): readonly Item[] => {
    const join = as(node, 'JoinExpr');
    if (!join || join.alias) {
      const item = node && { name: itemName(node), columns: itemColumns(node, level) };
      if (node && item) found.push({ item, node });
      return item ? [item] : [];
    }
    const left = walk(join.larg);
    const right = walk(join.rarg);
    const only = {
      JOIN_INNER: [...left, ...right],
      JOIN_LEFT: right,
      JOIN_RIGHT: left,
    }[join.jointype as string];
    const using = (join.usingClause ?? []).length > 0 ? [left, right] : [];
    if (only) ties.push({ condition: join.quals, using, only });
    return [...left, ...right];
  };
  for (const node of from ?? []) walk(node);
  return { found, ties };
}

function itemName(node: Node): string {
  const fields: { alias?: FieldsOf<'Alias'> } = Object.values(node)[0] ?? {};
  return fields.alias?.aliasname ?? as(node, 'RangeVar')?.relname ?? functionName(node) ?? '';
}

/** Without an alias a function's result is named like the function. */
function functionName(node: Node): string | undefined {
  const [only, ...others] = as(node, 'RangeFunction')?.functions ?? [];
  const call = as(as(only, 'List')?.items?.[0], 'FuncCall');
  return others.length === 0 ? namesOf(call?.funcname)?.at(-1) : undefined;
}

function itemColumns(
  node: Node,
  { queries, columnsOf }: Pick<Level, 'queries' | 'columnsOf'>,
): ReadonlySet<string> | undefined {
  const fields: { alias?: FieldsOf<'Alias'> } = Object.values(node)[0] ?? {};
  const renamed = fields.alias?.colnames;
  const table = as(node, 'RangeVar');
  if (table) {
    const isQuery = table.schemaname === undefined && queries.has(table.relname ?? '');
    return isQuery || renamed ? undefined : columnsOf(table);
  }
  const values = as(as(node, 'RangeSubselect')?.subquery, 'SelectStmt')?.valuesLists;
  return renamed && (values || is(node, 'RangeFunction'))
    ? new Set(renamed.flatMap((name) => stringOf(name) ?? []))
    : undefined;
}

/** The item that a column belongs to; undefined: none, or nobody can tell. */
export function ownerOf(node: Node | undefined, level: Level): Item | undefined {
  const names = namesOf(as(node, 'ColumnRef')?.fields) ?? [];
  const [name = '', qualifier] = [names.at(-1), names.at(-2)];
  for (let at: Level | undefined = level; at; at = at.outer) {
    const { items } = at;
    if (qualifier !== undefined) {
      const named = items.find((item) => item.name === qualifier);
      if (named) return named;
      continue;
    }
    const having = items.filter((item) => item.columns?.has(name) || item.name === name);
    const unknown = items.filter((item) => item.columns === undefined && item.name !== name);
    if (having.length > 0) return having.length === 1 ? having[0] : undefined;
    if (unknown.length > 0) {
      return unknown.length === 1 && !isColumnOutside(name, at.outer) ? unknown[0] : undefined;
    }
    // Nothing else is in sight: a column that the catalog does not show yet, or one that fails.
    if (at.outer === undefined && items.length === 1) return items[0];
  }
  return undefined;
}

export function isNarrowItem(item: Item | undefined, level: Level): boolean {
  for (let at: Level | undefined = level; at; at = at.outer) {
    if (item && at.narrow.has(item)) return true;
  }
  return false;
}

function isColumnOutside(name: string, level: Level | undefined): boolean {
  for (let at = level; at; at = at.outer) {
    if (at.items.some((item) => item.columns?.has(name) ?? true)) return true;
  }
  return false;
}

/** Whether no column in it can belong to a query around it, so that it is the same for every row. */
export function isSelfContained(query: FieldsOf<'SelectStmt'>, level: Level): boolean {
  const references: string[][] = [];
  const inside: Item[] = [];
  const pending: unknown[] = [query];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (Array.isArray(value)) {
      pending.push(...value);
      continue;
    }
    if (typeof value !== 'object' || value === null) continue;
    const node = value as Node;
    if (is(node, 'ColumnRef')) {
      references.push((node.ColumnRef.fields ?? []).flatMap((field) => stringOf(field) ?? ['*']));
      continue;
    }
    if (/^(?:Range|JoinExpr|JsonTable)/.test(Object.keys(node)[0] ?? '')) {
      inside.push({ name: itemName(node), columns: itemColumns(node, level) });
    }
    pending.push(...Object.values(value));
  }
  return references.every((names) => {
    const [name = '', qualifier] = [names.at(-1), names.at(-2)];
    return qualifier === undefined
      ? name === '*' ||
          inside.some((item) => item.columns?.has(name)) ||
          !isColumnOutside(name, level)
      : inside.some((item) => item.name === qualifier);
  });
}
