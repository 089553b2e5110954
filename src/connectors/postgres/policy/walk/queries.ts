/** SELECT, VALUES, set operations and WITH: what comes out, and what decided about it. */

import { SQL_STATE } from '../../sql-state.ts';
import { commonTypeOf, TYPE } from '../calls/function-types.ts';
import { checkOperator } from '../calls/operators.ts';
import { isConstant } from '../calls/total-functions.ts';
import {
  constant,
  derive,
  type Lineage,
  type NamedLineage,
  type Origin,
  oneOf,
  retyped,
  withOrigins,
} from '../facts/lineage.ts';
import { isOwnColumn, type QueryResult, type Scope, SYSTEM_COLUMNS } from '../facts/scope.ts';
import { plainSettings, settingValue } from '../facts/setting-lineage.ts';
import { settingNameOf } from '../facts/setting-name.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { whereClause } from '../lookups/lookups.ts';
import { as, type FieldsOf, type Node, namesOf, tagOf } from '../parse/tree.ts';
import { isStar } from './column-references.ts';
import { condition, windowOrigins } from './conditions.ts';
import { entries, expression, listed, noteUnified, starColumns } from './expressions.ts';
import { countedQuery, isFolded } from './folded-queries.ts';
import { fromList } from './from-items.ts';
import { checkFields } from './grammar.ts';
import { isOrdered, noteGroupedRows, once } from './grouped-rows.ts';
import { outputName } from './output-name.ts';
import { keyWith, type RowKey } from './row-keys.ts';
import { withQueries } from './with-queries.ts';

type Select = FieldsOf<'SelectStmt'>;

export function select(
  facts: StatementFacts,
  fields: Select,
  outer: Scope | undefined,
): QueryResult {
  return facts.nested(() => {
    checkFields(facts, 'SelectStmt', fields);
    const counted = countedQuery(fields);
    if (counted) facts.unordered.add(counted);
    if (fields.intoClause && fields.intoClause !== facts.into) {
      facts.unknown('INTO inside a statement');
    }
    const scope = withQueries(facts, fields.withClause, outer);
    if (fields.larg && fields.rarg) {
      return combinedQueries(facts, fields, fields.larg, fields.rarg, scope);
    }
    if (fields.valuesLists) {
      return finish(facts, fields, valuesRows(facts, fields, scope), scope);
    }
    return plainSelect(facts, fields, scope);
  });
}

function plainSelect(facts: StatementFacts, fields: Select, outer: Scope | undefined): QueryResult {
  facts.verb('select');
  const from = fromList(facts, fields.fromClause, outer);
  const plain = plainSettings(fields, from);
  const base: Scope = { ...plain, outer };
  const scope: Scope = { ...base, windows: windowsOf(facts, fields.windowClause, base) };
  const conditions = new Set(from.conditions);
  addAll(conditions, whereClause(facts, fields.whereClause, scope));
  // The condition that names them may be an operator that is not the server's.
  if (facts.opaque.length > 0 && plain.columns !== from.columns) {
    facts.noteComputed(settingValue(facts), 'WHERE');
  }
  const settingName = settingNameOf(facts, fields, from.tables);
  const columns = targetColumns(facts, fields.targetList, { ...scope, settingName });
  for (const column of columns) {
    facts.noteRead(column.lineage);
  }
  const keys = (fields.groupClause ?? []).map((key) => groupKey(facts, key, columns, scope));
  const isPlain = !fields.groupClause?.some((key) => as(key, 'GroupingSet'));
  // Of a table that the planner sees here the server groups by the primary key alone.
  if (isPlain) {
    noteGroupedRows(facts, keys, 'GROUP BY', (key, attnum) => {
      return from.rows?.has(key.row) === true && key.leavesOut(attnum);
    });
  } else for (const key of keys) facts.noteComputed(key, 'GROUP BY');
  for (const key of keys) addAll(conditions, key.origins);
  addAll(conditions, condition(facts, fields.havingClause, scope));
  const foldedRows = isFolded(fields) && from.rows ? { foldedRows: from.rows } : {};
  return finish(facts, fields, { columns, conditions, ...foldedRows }, scope);
}

/** DISTINCT, ORDER BY, LIMIT and FOR UPDATE, which all kinds of query can have. */
function finish(
  facts: StatementFacts,
  fields: Select,
  result: QueryResult,
  scope: Scope | undefined,
  union?: string,
): QueryResult {
  const sorted: Lineage[] = [];
  for (const node of fields.sortClause ?? []) {
    const key = sortKey(facts, node, result.columns, scope);
    sorted.push(key);
    facts.noteComputed(key, 'ORDER BY');
    // ORDER BY abs(n - secret) LIMIT 1 finds the secret as WHERE n = secret does.
    facts.tie(key.origins);
    facts.noteDeciding(key.origins);
  }
  const shown = result.columns.map(({ lineage }) => lineage);
  const isUnordered = facts.unordered.has(fields);
  const isSettled = once((key: RowKey) => isUnordered || isOrdered(facts, key, shown, sorted));
  if (union !== undefined) noteGroupedRows(facts, shown, union, isSettled, true);
  // DISTINCT without ON is a list with one empty node.
  for (const key of fields.distinctClause ?? []) {
    if (tagOf(key) === undefined) {
      noteGroupedRows(facts, shown, 'DISTINCT', isSettled);
    } else {
      // It sorts by these.
      facts.noteComputed(outputOrInput(facts, key, result.columns, scope), 'DISTINCT ON');
    }
  }
  for (const limit of [fields.limitCount, fields.limitOffset]) {
    facts.noteShaping(expression(facts, limit, scope));
  }
  facts.locksRows ||= fields.lockingClause !== undefined;
  for (const lock of fields.lockingClause ?? []) {
    const clause = as(lock, 'LockingClause');
    if (!clause) {
      facts.unknown(tagOf(lock) ?? 'a locking clause');
    } else {
      checkFields(facts, 'LockingClause', clause);
    }
  }
  return result;
}

function windowsOf(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  scope: Scope,
): ReadonlyMap<string, ReadonlySet<Origin>> {
  const windows = new Map<string, ReadonlySet<Origin>>();
  for (const node of nodes ?? []) {
    const window = as(node, 'WindowDef');
    if (!window) {
      facts.unknown(`${tagOf(node)} in WINDOW`);
      continue;
    }
    // Its own name is what it defines, not what it builds on.
    const { name, ...definition } = window;
    const origins = windowOrigins(facts, definition, { ...scope, windows });
    windows.set(name ?? '', origins);
  }
  return windows;
}

/** The output columns of a target list, stars expanded. */
export function targetColumns(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  scope: Scope | undefined,
): NamedLineage[] {
  return entries(facts, nodes, (node) => {
    const target = as(node, 'ResTarget');
    if (!target) {
      facts.unknown(`${tagOf(node)} in a target list`);
      return [];
    }
    checkFields(facts, 'ResTarget', target);
    const { val } = target;
    if (val && isStar(val)) {
      const columns = starColumns(facts, val, scope) ?? [];
      for (const column of columns) {
        facts.noteEvaluated(column.lineage);
      }
      return [...columns];
    }
    const lineage = expression(facts, val, scope);
    // What is still a bare literal here becomes text.
    const { isOpen } = lineage;
    const type = isOpen ? undefined : lineage.type === TYPE.unknown ? TYPE.text : lineage.type;
    const name = target.name ?? outputName(val) ?? '?column?';
    const fixed = isConstant(val) ? { isFixed: true as const } : {};
    return [{ name, lineage: { ...lineage, type, ...fixed } }];
  });
}

/** ORDER BY: an output's number or name first, else an expression over the input. */
function sortKey(
  facts: StatementFacts,
  node: Node,
  columns: readonly NamedLineage[],
  scope: Scope | undefined,
): Lineage {
  const sort = as(node, 'SortBy');
  if (!sort) {
    facts.unknown(`${tagOf(node)} in ORDER BY`);
    return constant();
  }
  checkFields(facts, 'SortBy', sort);
  if (sort.useOp) {
    checkOperator(facts, namesOf(sort.useOp) ?? [], [], sort.location);
  }
  return outputOrInput(facts, sort.node, columns, scope);
}

function outputOrInput(
  facts: StatementFacts,
  node: Node | undefined,
  columns: readonly NamedLineage[],
  scope: Scope | undefined,
): Lineage {
  const position = as(node, 'A_Const')?.ival;
  if (position) {
    return columns[(position.ival ?? 0) - 1]?.lineage ?? constant();
  }
  const name = bareName(node);
  const named = columns.filter((column) => column.name === name);
  return name !== undefined && named.length > 0
    ? oneOf(named.map((column) => column.lineage))
    : expression(facts, node, scope);
}

function bareName(node: Node | undefined): string | undefined {
  const names = namesOf(as(node, 'ColumnRef')?.fields);
  return names?.length === 1 ? names[0] : undefined;
}

/** GROUP BY: an output's number, an input column, an output's name, or an expression. */
function groupKey(
  facts: StatementFacts,
  node: Node,
  columns: readonly NamedLineage[],
  scope: Scope,
): Lineage {
  const set = as(node, 'GroupingSet');
  if (set) {
    checkFields(facts, 'GroupingSet', set);
    return facts.nested(() => {
      const keys = (set.content ?? []).map((key) => groupKey(facts, key, columns, scope));
      for (const key of keys) facts.noteComputed(key, 'GROUP BY');
      return derive(keys);
    });
  }
  const name = bareName(node);
  const isInput = name === undefined || isOwnColumn(scope, name);
  if (isInput && !as(node, 'A_Const')) return expression(facts, node, scope);
  const key = outputOrInput(facts, node, columns, scope);
  // Whether a system column is one of this query depends on where it comes from.
  const mayBeSystem = name !== undefined && SYSTEM_COLUMNS.has(name);
  return mayBeSystem ? oneOf([key, expression(facts, node, scope)]) : key;
}

function valuesRows(facts: StatementFacts, fields: Select, scope: Scope | undefined): QueryResult {
  const rows = (fields.valuesLists ?? []).map((list) =>
    listed(facts, as(list, 'List')?.items, scope),
  );
  const origin = facts.rows(fields, false);
  const columns = (rows[0] ?? []).map((_, index) => {
    const values = rows.map((row) => row[index] ?? constant());
    noteUnified(facts, values, 'VALUES of different types');
    const isLiteral = values.every(({ type }) => type === TYPE.unknown);
    const common = isLiteral ? TYPE.unknown : commonTypeOf(facts, values);
    const lineage = retyped(withOrigins(oneOf(values), [origin]), common);
    return { name: `column${index + 1}`, lineage };
  });
  for (const column of columns) {
    facts.noteRead(column.lineage);
  }
  return { columns, conditions: new Set() };
}

function combinedQueries(
  facts: StatementFacts,
  fields: Select,
  larg: Select,
  rarg: Select,
  scope: Scope | undefined,
): QueryResult {
  const left = select(facts, larg, scope);
  const right = select(facts, rarg, scope);
  if (left.columns.length !== right.columns.length) {
    const word = (fields.op ?? '').replace('SETOP_', '');
    const message = `each ${word} query must have the same number of columns`;
    facts.refuse(message, { mistake: { sqlState: SQL_STATE.syntaxError, message } });
  }
  const isUnion = fields.op === 'SETOP_UNION';
  const united = unionColumns(facts, left.columns, right.columns);
  const columns = isUnion && !fields.all ? withUnitedRows(facts, left, right, united) : united;
  const word = SET_WORDS[fields.op ?? ''] ?? 'a set operation';
  if (!isUnion || !fields.all) {
    for (const { lineage } of columns) facts.noteDeciding(lineage.origins);
  }
  if (!isUnion) facts.noteComputed(derive(columns.map((column) => column.lineage)), word);
  const conditions = new Set([...left.conditions, ...right.conditions]);
  if (fields.op !== 'SETOP_UNION') {
    for (const column of columns) {
      facts.tie(column.lineage.origins);
      addAll(conditions, column.lineage.origins);
    }
  }
  const grouped = isUnion && !fields.all ? word : undefined;
  return finish(facts, fields, { columns, conditions }, scope, grouped);
}

/**
 * What both sides have at the same places from one table, its key among them, is the same where the
 * keys are: unless a statement changes rows, or waits for other versions of them, in between.
 */
function withUnitedRows(
  facts: StatementFacts,
  left: QueryResult,
  right: QueryResult,
  united: readonly NamedLineage[],
): readonly NamedLineage[] {
  if (facts.changed.length > 0 || facts.locksRows) return united;
  const sides = [left, right].map(({ columns }) => columns.map(({ lineage }) => lineage));
  const [first = [], second = []] = sides;
  const rows = new Map<object, Map<object, object>>();
  return united.map((column, index) => {
    const [a, b] = [first[index], second[index]];
    if (!a?.row || !b?.row || !column.lineage.identity || a.collated || b.collated) return column;
    const places = (values: readonly Lineage[], row: object): string | undefined =>
      keyWith(facts, values, row)
        ?.columns.map((one) => values.indexOf(one))
        .join();
    const place = places(first, a.row);
    if (place === undefined || place !== places(second, b.row)) return column;
    const byOther = rows.get(a.row) ?? new Map<object, object>();
    const row = byOther.get(b.row) ?? {};
    rows.set(a.row, byOther.set(b.row, row));
    return { name: column.name, lineage: { ...column.lineage, row } };
  });
}

const SET_WORDS: Readonly<Record<string, string>> = {
  SETOP_UNION: 'UNION without ALL',
  SETOP_INTERSECT: 'INTERSECT',
  SETOP_EXCEPT: 'EXCEPT',
};

/** Row by row, one side or the other; named after the first. */
export function unionColumns(
  facts: StatementFacts,
  left: readonly NamedLineage[],
  right: readonly NamedLineage[],
): readonly NamedLineage[] {
  return left.map((column, index) => {
    const other = right[index]?.lineage;
    if (other) noteUnified(facts, [column.lineage, other], 'UNION of different types');
    if (!other) return column;
    const pair = [column.lineage, other];
    return { name: column.name, lineage: retyped(oneOf(pair), unionType(facts, pair)) };
  });
}

/** A literal counts as text where it is shown, and here as one of what the other side has. */
function unionType(facts: StatementFacts, pair: readonly Lineage[]): number | undefined {
  const [left, right] = pair;
  const mayBeLiteral = pair.some(({ type, origins }) => type === TYPE.text && origins.size === 0);
  return left?.type !== right?.type && mayBeLiteral ? undefined : commonTypeOf(facts, pair);
}

function addAll(target: Set<Origin>, origins: Iterable<Origin>): void {
  for (const origin of origins) {
    target.add(origin);
  }
}
