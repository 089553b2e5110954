/**
 * Whether a WHERE really narrows what an UPDATE or DELETE touches.
 *
 * It must hold a test of a column against fixed values that could leave rows out: equality, IN,
 * BETWEEN, a bound, LIKE with text in it, IS NULL, a boolean column, WHERE CURRENT OF. These do not
 * count, because they keep (nearly) every row or nobody can tell: constants and parameters alone,
 * a column against itself or a sibling, negations (`<>`, NOT IN, IS NOT NULL), bounds at the end
 * of the range (`id > 0`), joins to whole tables, subqueries that are not narrowed themselves, and
 * tests of something beside the target (`UPDATE t … FROM v WHERE v.id = 1`), tests of what a query
 * sets for all of its rows (`(SELECT id, 1 AS one FROM t) v … WHERE v.one = 1`), and alternatives
 * that leave nothing out together (`id < 5 OR id >= 5`).
 * Where we stop: a bound that happens to keep all rows (`created_at > '1900-01-01'`) counts.
 */
import {
  type About,
  constantColumns,
  isColumnLike,
  isJsonAccess,
  isOwn,
  isPieceOfColumn,
  isTruth,
} from './narrow-columns.ts';
import {
  type ColumnsOf,
  fromItems,
  type Item,
  isNarrowItem,
  isSelfContained,
  type Level,
  type NamedQuery,
  outputColumns,
  ownerOf,
  type Tie,
} from './narrow-items.ts';
import { hasText, isBound, isFixed, isPlain, numberOf, textOf } from './narrow-values.ts';
import { as, type FieldsOf, is, literalText, type Node, namesOf } from './tree.ts';

type Select = FieldsOf<'SelectStmt'>;

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
  const { found, ties } = fromItems(from, around, (node) => constantOf(node, around));
  const narrow = found.flatMap(({ item, node }) => (isNarrowNode(node, around) ? [item] : []));
  const items = found.map(({ item }) => item);
  return { ...around, items, narrow: new Set(narrow), ties };
}

/** Worked out when it is asked for: most columns are never tested. */
function constantOf(node: Node, around: Level): Item['constant'] {
  const { subquery, alias } = as(node, 'RangeSubselect') ?? {};
  const query = as(subquery, 'SelectStmt');
  if (query) return constantIn(query, namesOf(alias?.colnames), around);
  const table = as(node, 'RangeVar');
  if (!table || table.schemaname !== undefined || table.alias?.colnames) return undefined;
  return around.queries.get(table.relname ?? '')?.constant;
}

function constantIn(
  query: Select | undefined,
  renamed: readonly string[] | undefined,
  around: Level,
): NamedQuery['constant'] {
  let known: ReadonlySet<string> | undefined;
  const itemsOf = (inner: Select): Level => {
    const queries = namedQueries(inner.withClause, around);
    const level = { ...around, queries, outer: around };
    const { found } = fromItems(inner.fromClause, level, (node) => constantOf(node, level));
    // Out of budget, no column is anyone's.
    const items = spend(around, WALK) ? found.map(({ item }) => item) : [];
    return { ...level, items, narrow: new Set(), ties: [] };
  };
  return () => {
    const columns =
      known ?? (query ? constantColumns(query, renamed ?? [], itemsOf) : new Set<string>());
    known = columns;
    return columns;
  };
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
): ReadonlyMap<string, NamedQuery> {
  const queries = new Map(around.queries);
  const named = (withClause?.ctes ?? []).flatMap((node) => as(node, 'CommonTableExpr') ?? []);
  if (withClause?.recursive) {
    // Before its query and within it, nobody can tell what a name brings.
    for (const { ctename } of named) queries.set(ctename ?? '', UNKNOWN);
  }
  for (const { ctename = '', ctequery, aliascolnames } of named) {
    const query = as(ctequery, 'SelectStmt');
    const level = { ...around, queries };
    const narrow =
      isNarrow(query, level) && !(withClause?.recursive && countsFar(query?.rarg, ctename));
    const constant = constantIn(query, namesOf(aliascolnames), {
      ...level,
      queries: new Map(queries),
    });
    const columns = outputColumns(query, aliascolnames, level);
    queries.set(ctename, { narrow, columns, ...(constant && { constant }) });
  }
  return queries;
}

const UNKNOWN: NamedQuery = { narrow: false, columns: undefined };

/** A query that takes up its own rows, up to a number: `SELECT n + 1 FROM t WHERE n < 10000000`. */
function countsFar(again: Select | undefined, name: string): boolean {
  const text = JSON.stringify(again ?? null);
  const numbers = text.matchAll(/"(?:ival|fval|sval)":"?(\d[\d.e+]*)/gi);
  return (
    text.includes(`"relname":${JSON.stringify(name)}`) &&
    [...numbers].some(([, number]) => Number(number) > FEW_ROWS)
  );
}

/** Whether a FROM item brings only rows which the statement itself lists or narrows. */
function isNarrowNode(node: Node, around: Level): boolean {
  const query = as(node, 'RangeSubselect');
  // LATERAL: another one for each row of what stands beside it.
  if (query) return !query.lateral && isNarrow(as(query.subquery, 'SelectStmt'), around);
  const table = as(node, 'RangeVar');
  if (table) {
    return (
      table.schemaname === undefined && around.queries.get(table.relname ?? '')?.narrow === true
    );
  }
  return as(node, 'RangeFunction')?.functions?.every((entry) => isListing(entry, around)) ?? false;
}

function isListing(entry: Node, level: Level): boolean {
  return isListingCall(as(as(entry, 'List')?.items?.[0], 'FuncCall'), level);
}

/** unnest($1) and the like: the rows are in the statement or its parameters. */
function isListingCall(call: FieldsOf<'FuncCall'> | undefined, level: Level): boolean {
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
  // With ties there may be any number of them.
  if (isFewRows(query.limitCount) && query.limitOption !== 'LIMIT_OPTION_WITH_TIES') {
    return true;
  }
  // A single row of VALUES is planned as a SELECT without FROM, with functions that return sets.
  const listed = (query.valuesLists ?? []).flatMap((row) => as(row, 'List')?.items ?? []);
  if ([...(query.targetList ?? []), ...listed].some((value) => multiplies(value, around))) {
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

function multiplies(node: Node, level: Level): boolean {
  const call = as(as(node, 'ResTarget')?.val ?? node, 'FuncCall');
  if (call) {
    return (
      !isListingCall(call, level) &&
      (isMultiplying(namesOf(call.funcname)?.at(-1) ?? '') ||
        (call.args ?? []).some((argument) => multiplies(argument, level)))
    );
  }
  const value = as(node, 'ResTarget')?.val ?? node;
  if (is(value, 'TypeCast')) {
    return value.TypeCast.arg ? multiplies(value.TypeCast.arg, level) : false;
  }
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
    if (node.BoolExpr.boolop === 'OR_EXPR') {
      return parts.every((part) => isEffective(part, about)) && !leaveNoneOut(parts, about);
    }
    return isTruth(parts[0], about);
  }
  if (is(node, 'CurrentOfExpr')) {
    return true;
  }
  if (isTruth(node, about)) {
    return true;
  }
  if (is(node, 'FuncCall')) {
    const { funcname, args = [] } = node.FuncCall;
    const isStart = namesOf(funcname)?.at(-1) === 'starts_with';
    return isStart && isColumnLike(args[0], about) && hasText(args[1], /./);
  }
  if (is(node, 'NullTest')) {
    return node.NullTest.nulltesttype === 'IS_NULL' && isOwn(node.NullTest.arg, about);
  }
  if (is(node, 'BooleanTest')) {
    const kind = node.BooleanTest.booltesttype;
    return (
      (kind === 'IS_TRUE' && isEffective(node.BooleanTest.arg, about)) ||
      (kind === 'IS_FALSE' && isTruth(node.BooleanTest.arg, about))
    );
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
    (rowOf(link.testexpr) ?? [link.testexpr]).some((one) => isColumnLike(one, about)) &&
    isNarrow(query, about.level)
  );
}

/** The parts of `(a, b)`, as it is compared with a key of several columns. */
function rowOf(node: Node | undefined): readonly Node[] | undefined {
  return as(node, 'RowExpr')?.args;
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
    case 'AEXPR_OP_ANY': {
      const listed = arrayQuery(right);
      return (
        operator === '=' &&
        isColumnLike(left, about) &&
        (listed ? isNarrow(listed, about.level) : isPlain(right, about.level))
      );
    }
    case 'AEXPR_NOT_DISTINCT': {
      // Of a key that no row has, NULL is what all rows have.
      const isValue = is(right, 'ParamRef') || literalText(right) !== undefined;
      return (
        (isOwn(left, about) || (isValue && isColumnLike(left, about))) &&
        isPlain(right, about.level)
      );
    }
    case 'AEXPR_IN': {
      const values = items(right);
      const isBoth = ['true', 'false'].every((one) =>
        values.some((value) => literalText(value) === one),
      );
      return (
        operator === '=' &&
        !isBoth &&
        values.every((value) => isEffectiveOperator('=', left, value, about))
      );
    }
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      // Of what a cast makes into text, all may have a sign in common: `created::text LIKE '%:%'`.
      return (
        !operator.startsWith('!') &&
        isColumnLike(left, about) &&
        (!is(left, 'TypeCast') || isJsonAccess(left.TypeCast.arg)) &&
        hasText(right, /[^%_\\]/)
      );
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM': {
      const ends = items(right);
      const [first = Number.NaN, second = Number.NaN] = ends.map(numberOf);
      const [low, high] =
        test.kind === 'AEXPR_BETWEEN_SYM' && first > second ? ends.toReversed() : ends;
      return (
        isColumnLike(left, about) &&
        isPlain(low, about.level) &&
        isPlain(high, about.level) &&
        (isBound(low, 'low', false) || isBound(high, 'high', false))
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
  const [row, others] = [rowOf(left), rowOf(right)];
  if (row && others) {
    // (a, b) = (1, 2) are two tests; of (a, b) > (1, 2) the first one decides.
    const pairs = row.map((one, index) => [one, others[index]] as const);
    return operator === '='
      ? pairs.some(([one, other]) => isEffectiveOperator('=', one, other, about))
      : isOrder(operator) &&
          isEffectiveOperator(`${operator[0]}=`, pairs[0]?.[0], pairs[0]?.[1], about);
  }
  const column = isColumnLike(left, about) ? left : right;
  const other = column === left ? right : left;
  if (operator === '=' && isPieceOfColumn(left, right, about)) {
    return true;
  }
  if (!isColumnLike(column, about)) {
    return false;
  }
  if (operator === '=') {
    return isFixed(other, about.level) || isNarrowColumn(other, about);
  }
  if (!isPlain(other, about.level)) {
    return false;
  }
  if (isOrder(operator)) {
    const upward = operator.startsWith('>') === (column === left);
    return isBound(other, upward ? 'low' : 'high', !operator.endsWith('='));
  }
  if (['~', '~*'].includes(operator)) {
    return hasText(other, /^\^?[\p{L}\p{N} _-]{2,}\$?$/u);
  }
  if (operator === '^@') {
    return column === left && hasText(other, /./);
  }
  return (
    ['@@', '&&', '?', '?|', '?&'].includes(operator) ||
    (operator === '@>' && hasText(other, /[^{}[\]\s]/))
  );
}

function isOrder(operator: string): boolean {
  return ['<', '<=', '>', '>='].includes(operator);
}

/** The query of ARRAY(SELECT …). */
function arrayQuery(node: Node | undefined): Select | undefined {
  if (is(node, 'TypeCast')) return arrayQuery(node.TypeCast.arg);
  const link = as(node, 'SubLink');
  return link?.subLinkType === 'ARRAY_SUBLINK' ? as(link.subselect, 'SelectStmt') : undefined;
}

/** One of the conditions of an OR, about one expression. */
interface Part {
  readonly about: string;
  /** Which of both truth values it asks for. */
  readonly truth?: boolean;
  readonly bound?: { readonly side: 'low' | 'high'; readonly at: Node | undefined };
}

/** `done OR NOT done`, `id < 5 OR id >= 5`: each of them leaves rows out, all together none. */
function leaveNoneOut(conditions: readonly Node[], about: About): boolean {
  const parts = conditions.flatMap((condition) => partsOf(condition, about));
  return parts.some((one) =>
    parts.some(
      (other) =>
        one.about === other.about &&
        ((one.truth === true && other.truth === false) ||
          (one.bound?.side === 'high' &&
            other.bound?.side === 'low' &&
            !isGap(one.bound.at, other.bound.at))),
    ),
  );
}

/** Whether there is anything above the one and below the other; one value alone is not much. */
function isGap(high: Node | undefined, low: Node | undefined): boolean {
  const [from, to] = [numberOf(high), numberOf(low)];
  if (from !== undefined && to !== undefined) return from < to;
  const [first, last] = [literalText(high), literalText(low)];
  if (first !== undefined && last !== undefined) return first < last;
  return textOf(high) !== textOf(low);
}

function partsOf(node: Node, about: About): readonly Part[] {
  const { boolop, args = [] } = as(node, 'BoolExpr') ?? {};
  if (boolop === 'OR_EXPR') return args.flatMap((part) => partsOf(part, about));
  if (boolop === 'NOT_EXPR') return [{ about: textOf(args[0]), truth: false }];
  if (is(node, 'BooleanTest')) {
    return [
      { about: textOf(node.BooleanTest.arg), truth: node.BooleanTest.booltesttype === 'IS_TRUE' },
    ];
  }
  const test = as(node, 'A_Expr');
  const operator = namesOf(test?.name)?.at(-1) ?? '';
  if (test?.kind !== 'AEXPR_OP') {
    return [{ about: textOf(node), truth: true }];
  }
  const isLeft = isColumnLike(test.lexpr, about);
  const [column, at] = isLeft ? [test.lexpr, test.rexpr] : [test.rexpr, test.lexpr];
  const value = operator === '=' ? literalText(at) : undefined;
  if (value === 'true' || value === 'false') {
    return [{ about: textOf(column), truth: value === 'true' }];
  }
  const side = operator.startsWith('>') === isLeft ? 'low' : 'high';
  return isOrder(operator) ? [{ about: textOf(column), bound: { side, at } }] : [];
}

/** `v.id` where v brings only listed or narrowed rows. */
function isNarrowColumn(node: Node | undefined, { subject, level }: About): boolean {
  const owner = ownerOf(node, level);
  return owner !== subject && isNarrowItem(owner, level);
}

function items(node: Node | undefined): readonly Node[] {
  return as(node, 'List')?.items ?? [];
}
