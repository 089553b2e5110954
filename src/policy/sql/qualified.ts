/**
 * Whether a WHERE really narrows what an UPDATE or DELETE touches.
 *
 * It must hold a test of a column against fixed values that could leave rows out: equality, IN,
 * BETWEEN, a bound, LIKE with text in it, IS NULL, a boolean column, WHERE CURRENT OF. These do not
 * count, because they keep (nearly) every row or nobody can tell: constants and parameters alone,
 * a column against itself or a sibling, negations (`<>`, NOT IN, IS NOT NULL), bounds at the end
 * of the range (`id > 0`), joins to whole tables, subqueries that are not narrowed themselves, and
 * tests of something beside the target (`UPDATE t … FROM v WHERE v.id = 1`).
 * Where we stop: a bound that happens to keep all rows (`created_at > '1900-01-01'`) counts.
 */
import {
  type ColumnsOf,
  fromItems,
  type Item,
  isNarrowItem,
  isSelfContained,
  type Level,
  ownerOf,
  type Tie,
} from './narrow-items.ts';
import { as, type FieldsOf, is, literalText, type Node, namesOf } from './tree.ts';

type Select = FieldsOf<'SelectStmt'>;

/** What a test is about: the item whose rows it should leave out, and what else is in sight. */
interface About {
  readonly subject: Item;
  readonly level: Level;
}

/** Largest int4: an upper bound there, or a lower bound at or below zero, keeps every usual key. */
const TOP = 2_147_483_647;
const RANDOM: ReadonlySet<string> = new Set(['random', 'random_normal', 'gen_random_uuid']);
/** Functions under which equality still singles rows out. */
const KEEPING: ReadonlySet<string> = new Set([
  'lower',
  'upper',
  'btrim',
  'date',
  'date_trunc',
  'md5',
]);

/** The target of an UPDATE, DELETE or MERGE, beside the items that it is joined with. */
export function aboutTarget(
  target: { readonly relation: FieldsOf<'RangeVar'> | undefined; readonly from: readonly Node[] },
  withClause: FieldsOf<'WithClause'> | undefined,
  columnsOf: ColumnsOf,
): About {
  const around = topLevel(columnsOf);
  const queries = namedQueries(withClause, around);
  const { relation } = target;
  const subject: Item = {
    name: relation?.alias?.aliasname ?? relation?.relname ?? '',
    columns: relation && columnsOf(relation),
  };
  const level = levelOf(target.from, { ...around, queries });
  const beside = { ...level, items: [subject, ...level.items] };
  return { subject, level: grown(beside, []) };
}

/**
 * Whether an INSERT proposes only rows that it lists or narrows itself: ON CONFLICT DO UPDATE changes
 * no more than one row for each of them. DEFAULT VALUES is one.
 */
export function proposesFewRows(
  rows: Node | undefined,
  withClause: FieldsOf<'WithClause'> | undefined,
  columnsOf: ColumnsOf,
): boolean {
  const around = topLevel(columnsOf);
  const queries = namedQueries(withClause, around);
  return rows === undefined || isNarrow(as(rows, 'SelectStmt'), { ...around, queries });
}

function topLevel(columnsOf: ColumnsOf): Level {
  return {
    items: [],
    narrow: new Set(),
    ties: [],
    outer: undefined,
    queries: new Map(),
    columnsOf,
    budget: { left: BUDGET },
  };
}

/**
 * Conditions are looked at once for each item that they may narrow, and so are those in subqueries:
 * a statement made for it would take for ever. Out of budget, nothing counts as narrowed.
 */
const BUDGET = 100_000;
const WALK = 100;

function spend({ budget }: Level, cost: number): boolean {
  budget.left -= cost;
  return budget.left > 0;
}

function levelOf(from: readonly Node[] | undefined, around: Level): Level {
  const { found, ties } = fromItems(from, around);
  const narrow = found.flatMap(({ item, node }) => (isNarrowNode(node, around) ? [item] : []));
  const items = found.map(({ item }) => item);
  return { ...around, items, narrow: new Set(narrow), ties };
}

/** Items that a condition narrows are narrow, and so are those that are equal to one of these. */
function grown(level: Level, conditions: readonly Node[]): Level {
  const narrow = new Set(level.narrow);
  const after: Level = { ...level, narrow };
  const all: readonly Tie[] = [
    ...level.ties,
    ...conditions.map((condition) => ({ condition, using: [], only: undefined })),
  ];
  for (let before = -1; before < narrow.size; ) {
    before = narrow.size;
    for (const subject of level.items) {
      const isTied = all.some(
        ({ condition, using, only }) =>
          (only?.includes(subject) ?? true) &&
          (isEffective(condition, { subject, level: after }) ||
            using.some(
              (side) => !side.includes(subject) && side.length === 1 && narrow.has(side[0] as Item),
            )),
      );
      if (isTied) narrow.add(subject);
    }
  }
  return after;
}

/**
 * Each query is looked at once, where it is defined: names in it mean what they mean there, it may
 * name itself, and a chain of queries that use each other twice takes no exponential time.
 */
function namedQueries(
  withClause: FieldsOf<'WithClause'> | undefined,
  around: Level,
): ReadonlyMap<string, boolean> {
  const queries = new Map(around.queries);
  const named = (withClause?.ctes ?? []).flatMap((node) => as(node, 'CommonTableExpr') ?? []);
  if (withClause?.recursive) {
    // Before its query and within it, nobody can tell what a name brings.
    for (const { ctename } of named) queries.set(ctename ?? '', false);
  }
  for (const { ctename, ctequery } of named) {
    queries.set(ctename ?? '', isNarrow(as(ctequery, 'SelectStmt'), { ...around, queries }));
  }
  return queries;
}

/** Whether a FROM item brings only rows which the statement itself lists or narrows. */
function isNarrowNode(node: Node, around: Level): boolean {
  const query = as(node, 'RangeSubselect');
  // LATERAL: another one for each row of what stands beside it.
  if (query) return !query.lateral && isNarrow(as(query.subquery, 'SelectStmt'), around);
  const table = as(node, 'RangeVar');
  if (table) {
    return table.schemaname === undefined && around.queries.get(table.relname ?? '') === true;
  }
  return as(node, 'RangeFunction')?.functions?.every((entry) => isListing(entry, around)) ?? false;
}

/** unnest($1) and the like: the rows are in the statement or its parameters. */
function isListing(entry: Node, level: Level): boolean {
  const call = as(as(entry, 'List')?.items?.[0], 'FuncCall');
  const name = namesOf(call?.funcname)?.at(-1) ?? '';
  return (
    ['unnest', 'string_to_table', 'jsonb_to_recordset', 'json_to_recordset'].includes(name) &&
    (call?.args ?? []).every((argument) => isPlain(argument, level))
  );
}

/** @param around what is in sight around it: a query that looks there is another one for each row. */
function isNarrow(query: Select | undefined, around: Level): boolean {
  if (!query || !spend(around, WALK) || !isSelfContained(query, around)) {
    return false;
  }
  const inside: Level = { ...around, queries: namedQueries(query.withClause, around) };
  if (query.larg && query.rarg) {
    return isNarrow(query.larg, inside) && isNarrow(query.rarg, inside);
  }
  if (isFewRows(query.limitCount)) {
    return true;
  }
  // A single row of VALUES is planned as a SELECT without FROM, with functions that return sets.
  const listed = (query.valuesLists ?? []).flatMap((row) => as(row, 'List')?.items ?? []);
  if ([...(query.targetList ?? []), ...listed].some(multiplies)) {
    return false;
  }
  const level = levelOf(query.fromClause, { ...inside, outer: around });
  const { items, narrow } = grown(level, query.whereClause ? [query.whereClause] : []);
  return items.every((item) => narrow.has(item));
}

/** A LIMIT above this is taken for no limit; so is NULL, which is LIMIT ALL. */
const FEW_ROWS = 10_000;

function isFewRows(node: Node | undefined): boolean {
  if (is(node, 'TypeCast')) return isFewRows(node.TypeCast.arg);
  const count = node && numberOf(node);
  return is(node, 'ParamRef') || (count !== undefined && count <= FEW_ROWS);
}

/** Functions that make rows out of few: `SELECT generate_series(1, 1000000)`. */
const MULTIPLYING = /^(?:generate_|unnest$|jsonb?_|regexp_|string_to_table$|_pg_expandarray$)/;
/** Of these names, those that people write into rows and that give one value. */
const SINGLE =
  /^(?:jsonb?_(?:build_(?:array|object)|object|typeof)|jsonb_(?:set|insert)|regexp_replace)$/;

function isMultiplying(name: string): boolean {
  return MULTIPLYING.test(name) && !SINGLE.test(name);
}

function multiplies(node: Node): boolean {
  const call = as(as(node, 'ResTarget')?.val ?? node, 'FuncCall');
  if (call) {
    return (
      isMultiplying(namesOf(call.funcname)?.at(-1) ?? '') || (call.args ?? []).some(multiplies)
    );
  }
  const value = as(node, 'ResTarget')?.val ?? node;
  if (is(value, 'TypeCast')) return value.TypeCast.arg ? multiplies(value.TypeCast.arg) : false;
  const known = ['A_Const', 'ColumnRef', 'ParamRef', 'SubLink', 'SQLValueFunction', 'SetToDefault'];
  // What stands deeper (CASE, operators, fields of a record) is looked through by its text.
  return (
    !known.some((tag) => tag in value) && /"FuncCall"/.test(JSON.stringify(value)) && deep(value)
  );
}

function deep(node: Node): boolean {
  const names = JSON.stringify(node).matchAll(/"sval":"([^"]*)"/g);
  return [...names].some(([, name = '']) => isMultiplying(name));
}

export function isEffective(node: Node | undefined, about: About): boolean {
  if (!node || !spend(about.level, 1)) {
    return false;
  }
  if (is(node, 'BoolExpr')) {
    const parts = node.BoolExpr.args ?? [];
    if (node.BoolExpr.boolop === 'AND_EXPR') return isAnyEffective(parts, about);
    if (node.BoolExpr.boolop === 'OR_EXPR') return parts.every((part) => isEffective(part, about));
    return isOwn(parts[0], about);
  }
  if (is(node, 'CurrentOfExpr')) {
    return true;
  }
  if (is(node, 'ColumnRef')) {
    return isOwn(node, about);
  }
  if (is(node, 'NullTest')) {
    return node.NullTest.nulltesttype === 'IS_NULL' && isOwn(node.NullTest.arg, about);
  }
  if (is(node, 'BooleanTest')) {
    const kind = node.BooleanTest.booltesttype;
    return (kind === 'IS_TRUE' || kind === 'IS_FALSE') && isOwn(node.BooleanTest.arg, about);
  }
  if (is(node, 'SubLink')) {
    return isEffectiveSubLink(node.SubLink, about);
  }
  return is(node, 'A_Expr') && isEffectiveTest(node.A_Expr, about);
}

/** Conditions that all hold: one may narrow an item that another one compares with. */
export function isAnyEffective(parts: readonly Node[], { subject, level }: About): boolean {
  const others = level.items.filter((item) => item !== subject);
  const { narrow } = others.length > 0 ? grown({ ...level, items: others }, parts) : level;
  // Names mean what they mean with the subject in sight.
  const about = { subject, level: { ...level, narrow } };
  return parts.some((part) => isEffective(part, about));
}

function isEffectiveSubLink(link: FieldsOf<'SubLink'>, about: About): boolean {
  const query = as(link.subselect, 'SelectStmt');
  if (link.subLinkType === 'EXISTS_SUBLINK') {
    return query !== undefined && existsFor(query, about);
  }
  const operator = namesOf(link.operName)?.at(-1) ?? '=';
  return (
    link.subLinkType === 'ANY_SUBLINK' &&
    operator === '=' &&
    isColumnLike(link.testexpr, about) &&
    isNarrow(query, about.level)
  );
}

/** Like a join with what it reads. With an aggregate or GROUP BY () it would always have a row. */
function existsFor(query: Select, { subject, level: around }: About): boolean {
  const isPlainList = !/"FuncCall"/.test(JSON.stringify(query.targetList ?? []));
  if (query.larg || query.groupClause || query.havingClause || !isPlainList || !query.whereClause) {
    return false;
  }
  if (!spend(around, WALK)) return false;
  const queries = namedQueries(query.withClause, around);
  const level = levelOf(query.fromClause, { ...around, queries, outer: around });
  const about = { subject, level: grown(level, [query.whereClause]) };
  return isEffective(query.whereClause, about);
}

function isEffectiveTest(test: FieldsOf<'A_Expr'>, about: About): boolean {
  const operator = namesOf(test.name)?.at(-1) ?? '';
  const { lexpr: left, rexpr: right } = test;
  switch (test.kind) {
    case 'AEXPR_OP':
      return isEffectiveOperator(operator, left, right, about);
    case 'AEXPR_OP_ANY':
    case 'AEXPR_NOT_DISTINCT':
      return (
        (test.kind !== 'AEXPR_OP_ANY' || operator === '=') &&
        isColumnLike(left, about) &&
        isPlain(right, about.level)
      );
    case 'AEXPR_IN':
      return (
        operator === '=' &&
        isColumnLike(left, about) &&
        items(right).every((item) => isFixed(item, about.level))
      );
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return !operator.startsWith('!') && isColumnLike(left, about) && hasText(right, /[^%_\\]/);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM': {
      const [low, high] = items(right);
      return (
        isColumnLike(left, about) &&
        isPlain(low, about.level) &&
        isPlain(high, about.level) &&
        (isBound(low, 'low') || isBound(high, 'high'))
      );
    }
    default:
      return false;
  }
}

function isEffectiveOperator(
  operator: string,
  left: Node | undefined,
  right: Node | undefined,
  about: About,
): boolean {
  const column = isColumnLike(left, about) ? left : right;
  const other = column === left ? right : left;
  if (!isColumnLike(column, about)) {
    return false;
  }
  if (operator === '=') {
    return isFixed(other, about.level) || isNarrowColumn(other, about);
  }
  if (!isPlain(other, about.level)) {
    return false;
  }
  const upward =
    (operator.startsWith('>') && column === left) || (operator.startsWith('<') && column !== left);
  if (['<', '<=', '>', '>='].includes(operator)) {
    return isBound(other, upward ? 'low' : 'high');
  }
  if (['~', '~*'].includes(operator)) {
    return hasText(other, /^\^?[\p{L}\p{N} _-]{2,}\$?$/u);
  }
  return (
    ['@@', '&&', '?'].includes(operator) || (operator === '@>' && hasText(other, /[^{}[\]\s]/))
  );
}

/** `v.id` where v brings only listed or narrowed rows. */
function isNarrowColumn(node: Node | undefined, { subject, level }: About): boolean {
  const owner = ownerOf(node, level);
  return owner !== subject && isNarrowItem(owner, level);
}

/** A column of what the test should leave rows out of, and not of something beside it. */
function isOwn(node: Node | undefined, { subject, level }: About): boolean {
  return is(node, 'ColumnRef') && ownerOf(node, level) === subject;
}

/** A column, or something that still tells rows apart as the column does. */
function isColumnLike(node: Node | undefined, about: About): boolean {
  if (is(node, 'ColumnRef')) return isOwn(node, about);
  if (is(node, 'TypeCast')) return isColumnLike(node.TypeCast.arg, about);
  if (is(node, 'CollateClause')) return isColumnLike(node.CollateClause.arg, about);
  if (is(node, 'A_Expr')) {
    const operator = namesOf(node.A_Expr.name)?.at(-1) ?? '';
    return ['->', '->>', '#>', '#>>'].includes(operator) && isColumnLike(node.A_Expr.lexpr, about);
  }
  if (is(node, 'FuncCall')) {
    const name = namesOf(node.FuncCall.funcname)?.at(-1) ?? '';
    return (
      KEEPING.has(name) &&
      (node.FuncCall.args ?? []).some((argument) => isColumnLike(argument, about))
    );
  }
  return false;
}

/** A value that is the same for every row: no column in it, and no chance. */
function isFixed(node: Node | undefined, level: Level): boolean {
  if (!node) {
    return false;
  }
  if (is(node, 'A_Const') || is(node, 'ParamRef') || is(node, 'SQLValueFunction')) return true;
  if (is(node, 'TypeCast')) return isFixed(node.TypeCast.arg, level);
  if (is(node, 'A_ArrayExpr'))
    return (node.A_ArrayExpr.elements ?? []).every((one) => isFixed(one, level));
  if (is(node, 'A_Expr')) {
    return [node.A_Expr.lexpr, node.A_Expr.rexpr].every(
      (side) => side === undefined || isFixed(side, level),
    );
  }
  if (is(node, 'FuncCall')) {
    const name = namesOf(node.FuncCall.funcname)?.at(-1) ?? '';
    return !RANDOM.has(name) && (node.FuncCall.args ?? []).every((one) => isFixed(one, level));
  }
  // One value, unless it looks at the row: then its own WHERE names columns, and it may be anything.
  if (is(node, 'SubLink')) {
    const query = as(node.SubLink.subselect, 'SelectStmt');
    return (
      node.SubLink.subLinkType === 'EXPR_SUBLINK' &&
      query !== undefined &&
      query.whereClause === undefined &&
      isSelfContained(query, level)
    );
  }
  return false;
}

/** Nothing is read for it: what a query gathers (array_agg, min, max) can speak of all rows. */
function isPlain(node: Node | undefined, level: Level): boolean {
  return isFixed(node, level) && !/"SubLink"/.test(JSON.stringify(node));
}

function items(node: Node | undefined): readonly Node[] {
  return as(node, 'List')?.items ?? [];
}

/** Text that the server would compare with: a parameter may hold any. */
function hasText(node: Node | undefined, pattern: RegExp): boolean {
  if (is(node, 'ParamRef')) {
    return true;
  }
  const text = literalText(node);
  return text !== undefined && pattern.test(text);
}

/** Whether a bound cuts anything off; what is not a plain number or text is taken to. */
function isBound(node: Node | undefined, side: 'low' | 'high'): boolean {
  const value = numberOf(node);
  if (value !== undefined) {
    return side === 'low' ? value > 0 : value < TOP;
  }
  const text = literalText(node);
  if (text === undefined) {
    return true;
  }
  const open = side === 'low' ? ['', '-infinity'] : ['infinity'];
  return !open.includes(text.trim().toLowerCase());
}

/** The value of a numeric constant, simple arithmetic included. */
function numberOf(node: Node | undefined): number | undefined {
  if (is(node, 'A_Expr') && node.A_Expr.kind === 'AEXPR_OP') {
    const operator = namesOf(node.A_Expr.name)?.at(-1);
    const left = node.A_Expr.lexpr ? numberOf(node.A_Expr.lexpr) : 0;
    const right = numberOf(node.A_Expr.rexpr);
    if (left === undefined || right === undefined) return undefined;
    if (operator === '-') return left - right;
    if (operator === '+') return left + right;
    return operator === '*' ? left * right : undefined;
  }
  const text = literalText(node);
  if (text === undefined || text.trim() === '') {
    return undefined;
  }
  const value = Number(text);
  return Number.isNaN(value) ? undefined : value;
}
