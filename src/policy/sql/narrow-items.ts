/**
 * The items of a FROM list for `qualified.ts`: which of them a column belongs to, and what ties
 * them together. By names alone, and by the catalog's columns where it has the relation.
 */
import { outputName } from './output-name.ts';
import { SYSTEM_COLUMNS } from './scope.ts';
import { as, type FieldsOf, is, type Node, namesOf, stringOf } from './tree.ts';

export interface Item {
  readonly name: string;
  /** undefined: not known, it may have any. */
  readonly columns: ReadonlySet<string> | undefined;
  /** Of a query in FROM and of WITH: which of its columns tell none of its rows apart. */
  readonly constant?: () => ReadonlySet<string>;
}

/** One query: what its columns can mean, and which items bring only rows that are listed or narrowed. */
export interface Level {
  readonly items: readonly Item[];
  readonly narrow: ReadonlySet<Item>;
  /** What ON and USING say about them. */
  readonly ties: readonly Tie[];
  readonly outer: Level | undefined;
  /** WITH queries by their names. */
  readonly queries: ReadonlyMap<string, NamedQuery>;
  readonly columnsOf: ColumnsOf;
  /** How much may still be looked at. */
  readonly budget: { left: number };
}

export interface NamedQuery {
  /** It brings only a few rows. */
  readonly narrow: boolean;
  /** undefined: not known, it may have any. */
  readonly columns: ReadonlySet<string> | undefined;
  /** As of an item. */
  readonly constant?: () => ReadonlySet<string>;
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
  constantOf: (node: Node) => Item['constant'] = () => undefined,
): { readonly found: readonly FromNode[]; readonly ties: readonly Tie[] } {
  const found: FromNode[] = [];
  const ties: Tie[] = [];
  const walk = (node: Node | undefined): readonly Item[] => {
    const join = as(node, 'JoinExpr');
    if (!join || join.alias) {
      const constant = node && constantOf(node);
      const item = node && {
        name: itemName(node),
        columns: itemColumns(node, level),
        ...(constant && { constant }),
      };
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
  level: Pick<Level, 'queries' | 'columnsOf'>,
): ReadonlySet<string> | undefined {
  const fields: { alias?: FieldsOf<'Alias'> } = Object.values(node)[0] ?? {};
  const renamed = fields.alias?.colnames;
  const table = as(node, 'RangeVar');
  if (table) {
    const query =
      table.schemaname === undefined ? level.queries.get(table.relname ?? '') : undefined;
    if (renamed) return undefined;
    return query ? query.columns : level.columnsOf(table);
  }
  const query = as(as(node, 'RangeSubselect')?.subquery, 'SelectStmt');
  if (query) return outputColumns(query, renamed, level);
  return renamed && is(node, 'RangeFunction')
    ? new Set(renamed.flatMap((name) => stringOf(name) ?? []))
    : undefined;
}

/**
 * The names of a query's columns; undefined: not all are known.
 * @param renamed names that an alias gives to the first of them
 */
export function outputColumns(
  query: FieldsOf<'SelectStmt'> | undefined,
  renamed: readonly Node[] | undefined,
  level: Pick<Level, 'queries' | 'columnsOf'>,
): ReadonlySet<string> | undefined {
  const names = query && columnNames(query, level);
  const given = (renamed ?? []).flatMap((name) => stringOf(name) ?? []);
  return names && new Set([...given, ...names.slice(given.length)]);
}

function columnNames(
  query: FieldsOf<'SelectStmt'>,
  level: Pick<Level, 'queries' | 'columnsOf'>,
): readonly string[] | undefined {
  if (query.larg) return columnNames(query.larg, level);
  const [row] = query.valuesLists ?? [];
  if (row) return (as(row, 'List')?.items ?? []).map((_, index) => `column${index + 1}`);
  // Once for all stars: `s.*, s.*` of `s.*, s.*`, and so on, would take for ever.
  let items: readonly Item[] | undefined;
  const names = (query.targetList ?? []).map((node) => {
    const target = as(node, 'ResTarget');
    const steps = as(target?.val, 'ColumnRef')?.fields;
    if (is(steps?.at(-1), 'A_Star')) {
      // Names of its own WITH may hide those of tables.
      items ??= query.withClause
        ? []
        : fromItems(query.fromClause, level).found.map(({ item }) => item);
      return starNames(items, stringOf(steps?.at(-2)));
    }
    if (is(as(target?.val, 'A_Indirection')?.indirection?.at(-1), 'A_Star')) return undefined;
    return [target?.name ?? outputName(target?.val) ?? '?column?'];
  });
  return names.includes(undefined) ? undefined : names.flatMap((name) => name ?? []);
}

/** `t.*`, or `*` of one relation: of several, columns that USING merges stand elsewhere. */
function starNames(
  items: readonly Item[],
  qualifier: string | undefined,
): readonly string[] | undefined {
  const [only, ...others] = items.filter(
    ({ name }) => qualifier === undefined || name === qualifier,
  );
  if (others.length > 0 || !only?.columns) return undefined;
  // System columns are not among those of a star.
  return [...only.columns].filter((name) => !SYSTEM_COLUMNS.has(name));
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

/**
 * Whether no column in it can belong to a query around it, so that it is the same for every row.
 * What its parts can see is told apart as the server does: a name that one query inside has may in
 * another one mean a column outside.
 */
export function isSelfContained(query: FieldsOf<'SelectStmt'>, level: Level): boolean {
  return staysIn(query, [], level);
}

function staysIn(query: FieldsOf<'SelectStmt'>, outside: readonly Item[], around: Level): boolean {
  const { withClause, larg, rarg, fromClause, ...parts } = query;
  const level = withClause ? { ...around, queries: withNames(withClause, around) } : around;
  const seen: Item[] = [];
  return (
    [larg, rarg].every((side) => side === undefined || staysIn(side, outside, level)) &&
    readsOnly(withClause, outside, level) &&
    (fromClause ?? []).every((node) => {
      const items = fromStaysIn(node, outside, seen, level);
      seen.push(...(items ?? []));
      return items !== undefined;
    }) &&
    readsOnly(parts, [...outside, ...seen], level)
  );
}

/** Its names hide those of tables; which columns they have is not looked at. */
function withNames({ ctes = [] }: FieldsOf<'WithClause'>, { queries }: Level): Level['queries'] {
  const names = ctes.flatMap((node) => as(node, 'CommonTableExpr')?.ctename ?? []);
  return new Map<string, NamedQuery>([
    ...queries,
    ...names.map((name) => [name, { narrow: false, columns: undefined }] as const),
  ]);
}

/**
 * @param seen what stands before it in the same FROM: LATERAL and functions can look there
 * @returns its items; undefined: it looks outside
 */
function fromStaysIn(
  node: Node,
  outside: readonly Item[],
  seen: readonly Item[],
  level: Level,
): readonly Item[] | undefined {
  const join = as(node, 'JoinExpr');
  if (join) {
    const left = join.larg ? fromStaysIn(join.larg, outside, seen, level) : [];
    const right =
      left && join.rarg ? fromStaysIn(join.rarg, outside, [...seen, ...left], level) : [];
    const both = left && right && [...left, ...right];
    if (!both || !readsOnly(join.quals, [...outside, ...both], level)) return undefined;
    return join.alias ? [{ name: itemName(node), columns: undefined }] : both;
  }
  const sample = as(node, 'RangeTableSample');
  if (sample?.relation) {
    const items = fromStaysIn(sample.relation, outside, seen, level);
    return readsOnly(sample.args, [...outside, ...seen], level) ? items : undefined;
  }
  const query = as(node, 'RangeSubselect');
  const inner = as(query?.subquery, 'SelectStmt');
  const before = query && !query.lateral ? outside : [...outside, ...seen];
  const stays = inner
    ? staysIn(inner, before, level)
    : is(node, 'RangeVar') || readsOnly(Object.values(node)[0], before, level);
  return stays ? [{ name: itemName(node), columns: itemColumns(node, level) }] : undefined;
}

function readsOnly(value: unknown, inside: readonly Item[], level: Level): boolean {
  if (Array.isArray(value)) {
    return value.every((one) => readsOnly(one, inside, level));
  }
  if (typeof value !== 'object' || value === null) {
    return true;
  }
  const node = value as Node;
  if (is(node, 'SelectStmt')) {
    return staysIn(node.SelectStmt, inside, level);
  }
  if (!is(node, 'ColumnRef')) {
    return Object.values(value).every((one) => readsOnly(one, inside, level));
  }
  const names = (node.ColumnRef.fields ?? []).flatMap((field) => stringOf(field) ?? ['*']);
  const [name = '', qualifier] = [names.at(-1), names.at(-2)];
  if (names.length > 2) return false;
  return qualifier === undefined
    ? name === '*' ||
        inside.some((item) => item.columns?.has(name)) ||
        !isColumnOutside(name, level)
    : inside.some((item) => item.name === qualifier);
}
