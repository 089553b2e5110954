/**
 * Which expressions tell rows apart as a column of the target does, for `qualified.ts`: the column
 * itself, and what is computed from it and from fixed values without bringing (nearly) all of its
 * values together. What is not known here tells nothing apart.
 */
import { type Item, type Level, ownerOf } from './narrow-items.ts';
import { isPlain } from './narrow-values.ts';
import { outputName } from './output-name.ts';
import { as, type FieldsOf, is, literalText, type Node, namesOf } from './tree.ts';

/** What a test is about: the item whose rows it should leave out, and what else is in sight. */
export interface About {
  readonly subject: Item;
  readonly level: Level;
}

/** System columns that are the same for most rows: of a load, or of all. */
const ALIKE: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** A column of what the test should leave rows out of, and not of something beside it. */
export function isOwn(node: Node | undefined, { subject, level }: About): boolean {
  const name = namesOf(as(node, 'ColumnRef')?.fields)?.at(-1) ?? '';
  return (
    is(node, 'ColumnRef') &&
    !ALIKE.has(name) &&
    ownerOf(node, level) === subject &&
    !subject.constant?.().has(name)
  );
}

/** They number rows or gather some: a test of what comes out leaves others out. */
const RANKING: ReadonlySet<string> = new Set(['dense_rank', 'rank', 'row_number']);
const GATHERING: ReadonlySet<string> = new Set(['avg', 'count', 'max', 'min', 'sum']);

/** Whether an expression in the target list of a query tells its rows apart. */
function isTelling(node: Node | undefined, level: Level): boolean {
  const call = as(node, 'FuncCall');
  const name = namesOf(call?.funcname)?.at(-1) ?? '';
  if (call?.over && RANKING.has(name)) return true;
  const gathered = call && GATHERING.has(name) ? call.args?.[0] : node;
  return (
    call?.agg_star === true ||
    level.items.some((subject) => isColumnLike(gathered, { subject, level }))
  );
}

/**
 * Columns of a query that tell none of its rows apart: `SELECT id, 1 AS one FROM t`, of which a
 * test `one = 1` keeps everything.
 * @param renamed names that an alias gives to the first of them
 */
export function constantColumns(
  query: FieldsOf<'SelectStmt'>,
  renamed: readonly string[],
  levelOf: (query: FieldsOf<'SelectStmt'>) => Level,
): ReadonlySet<string> {
  if (query.larg && query.rarg) {
    // Names are those of the first; by position, so that all of the second may be any of them.
    const [left, right] = [query.larg, query.rarg].map((side) =>
      constantColumns(side, renamed, levelOf),
    );
    return new Set([...(left ?? []), ...(right?.size ? [...right, ...namesIn(query.larg)] : [])]);
  }
  const level = levelOf(query);
  const found: string[] = [];
  for (const [index, node] of (query.targetList ?? []).entries()) {
    const target = as(node, 'ResTarget');
    const steps = as(target?.val, 'ColumnRef')?.fields;
    if (is(steps?.at(-1), 'A_Star')) {
      const inner = level.items.flatMap((item) => [...(item.constant?.() ?? [])]);
      found.push(...inner, ...(inner.length > 0 ? renamed : []));
    } else if (!isTelling(target?.val, level)) {
      found.push(renamed[index] ?? target?.name ?? outputName(target?.val) ?? '?column?');
    }
  }
  return new Set(found);
}

function namesIn(query: FieldsOf<'SelectStmt'>): readonly string[] {
  return query.larg
    ? namesIn(query.larg)
    : (query.targetList ?? []).flatMap((node) => {
        const target = as(node, 'ResTarget');
        return target?.name ?? outputName(target?.val) ?? [];
      });
}

/** Functions under which equality still singles rows out, whatever their other arguments are. */
const KEEPING: ReadonlySet<string> = new Set([
  'age',
  'btrim',
  'date',
  'lower',
  'md5',
  'timezone',
  'upper',
]);
/** With one argument: with a second one, `round(x, -10)` is the same for all. */
const ROUNDING: ReadonlySet<string> = new Set([
  'abs',
  'ceil',
  'ceiling',
  'floor',
  'round',
  'trunc',
]);
/** Of the column as it is: every `md5(name)` and every `id::text` of a uuid has the same length. */
const MEASURING: ReadonlySet<string> = new Set([
  'cardinality',
  'char_length',
  'jsonb_array_length',
  'length',
  'octet_length',
]);
/** Of a century all rows are. */
const TRUNCATED_TO = /^(?:year|quarter|month|week|day|hour|minute|second)s?$/i;
/** Of a time as it is: the month of a time that is cut to its year, and the hour of a date, are the same for all. */
const FIELD_OF_TIME = /^(?:years?|isoyear|quarter|months?|weeks?|days?|dow|isodow|doy|epoch)$/i;
/** They can cut everything off: `left(x, 0)` is empty for all. */
const CUTTING: ReadonlySet<string> = new Set([
  'left',
  'right',
  'split_part',
  'substr',
  'substring',
]);
/** As a format for numbers it is copied, letters and all. Some of it must be of the day: dates have no hours. */
const TIME_FORMAT = /^(?=.*[YMDIQ])(?:I?YYYY|MM|DD|IW|Q|HH24|MI|SS|[-/: .])+$/;
const JSON_ACCESS: ReadonlySet<string> = new Set(['->', '->>', '#>', '#>>']);
const CLOCKS: ReadonlySet<string> = new Set([
  'clock_timestamp',
  'make_interval',
  'now',
  'statement_timestamp',
  'transaction_timestamp',
]);

export function isColumnLike(node: Node | undefined, about: About): boolean {
  if (is(node, 'ColumnRef')) return isOwn(node, about);
  if (is(node, 'TypeCast')) {
    // Of one cast after the other, and of what was cut off before, the same may be left for all:
    // `created::date::timestamp::time`.
    const { arg, typeName } = node.TypeCast;
    if (isJsonAccess(arg)) return isColumnLike(arg, about);
    return isOwn(arg, about)
      ? !isBooleanCast(node.TypeCast)
      : namesOf(typeName?.names)?.at(-1) === 'date' && isMoment(arg, about);
  }
  if (is(node, 'CollateClause')) return isColumnLike(node.CollateClause.arg, about);
  if (is(node, 'A_Indirection')) {
    const { arg, indirection = [] } = node.A_Indirection;
    return (
      isColumnLike(arg, about) &&
      // A slice that has nothing in it is the same for all.
      indirection.every((step) => {
        const { uidx, is_slice } = as(step, 'A_Indices') ?? {};
        return !is_slice && isPlain(uidx, about.level);
      })
    );
  }
  if (is(node, 'CoalesceExpr')) {
    const [first, ...others] = node.CoalesceExpr.args ?? [];
    // Of a key that no row has, the default would be there for all.
    return isOwn(first, about) && others.every((other) => isPlain(other, about.level));
  }
  if (is(node, 'A_Expr')) return isColumnLikeOperation(node.A_Expr, about);
  return is(node, 'FuncCall') && isColumnLikeCall(node.FuncCall, about);
}

function isColumnLikeOperation(fields: FieldsOf<'A_Expr'>, about: About): boolean {
  const operator = namesOf(fields.name)?.at(-1) ?? '';
  const { lexpr: left, rexpr: right } = fields;
  if (fields.kind !== 'AEXPR_OP') {
    return false;
  }
  if (JSON_ACCESS.has(operator)) {
    return isColumnLike(left, about);
  }
  // `created + interval '30 days'`, `now() - created`. Numbers can swallow each other: x + 1e300.
  const [column, other] = isColumnLike(left, about) ? [left, right] : [right, left];
  return (
    (operator === '+' || operator === '-') && isColumnLike(column, about) && isTimeOrSpan(other)
  );
}

function isTimeOrSpan(node: Node | undefined): boolean {
  if (is(node, 'ParamRef') || is(node, 'SQLValueFunction')) return true;
  if (is(node, 'FuncCall')) return CLOCKS.has(namesOf(node.FuncCall.funcname)?.at(-1) ?? '');
  if (is(node, 'TypeCast')) {
    const type = namesOf(node.TypeCast.typeName?.names)?.at(-1) ?? '';
    const { arg } = node.TypeCast;
    return (
      ['interval', 'timestamp', 'timestamptz', 'date'].includes(type) &&
      (is(arg, 'ParamRef') || hasEnd(literalText(arg)))
    );
  }
  const { name, lexpr, rexpr } = as(node, 'A_Expr') ?? {};
  if (namesOf(name)?.at(-1) === '*') {
    return [lexpr, rexpr].some((side) => is(side, 'TypeCast') && isTimeOrSpan(side));
  }
  const text = as(node, 'A_Const')?.sval?.sval;
  return text !== undefined && /^\d+ [a-z]+$/i.test(text);
}

/** Infinity, whatever is added to it, is infinity. */
function hasEnd(text: string | undefined): boolean {
  return text !== undefined && !/inf/i.test(text);
}

function isColumnLikeCall(fields: FieldsOf<'FuncCall'>, about: About): boolean {
  const name = namesOf(fields.funcname)?.at(-1) ?? '';
  const args = fields.args ?? [];
  if (!isOfOneColumn(args, about)) return false;
  switch (name) {
    case 'date_trunc':
      return TRUNCATED_TO.test(literalText(args[0]) ?? '') && isMoment(args[1], about);
    case 'date_part':
    case 'extract':
      return FIELD_OF_TIME.test(literalText(args[0]) ?? '') && isMoment(args[1], about);
  }
  if (MEASURING.has(name)) {
    return args.length === 1 && (isOwn(args[0], about) || isJsonAccess(args[0]));
  }
  return ROUNDING.has(name) ? args.length === 1 : KEEPING.has(name);
}

/** A time or span of which nothing was cut off: the column, in some zone, or how long it is ago. */
function isMoment(node: Node | undefined, about: About): boolean {
  if (is(node, 'A_Expr')) {
    const { lexpr, rexpr } = node.A_Expr;
    return isColumnLike(node, about) && [lexpr, rexpr].some((side) => isOwn(side, about));
  }
  const { funcname, args = [] } = as(node, 'FuncCall') ?? {};
  return (
    isOwn(node, about) ||
    (['age', 'timezone'].includes(namesOf(funcname)?.at(-1) ?? '') &&
      isOfOneColumn(args, about) &&
      args.some((argument) => isOwn(argument, about)))
  );
}

function isOfOneColumn(args: readonly Node[], about: About): boolean {
  const columns = args.filter((argument) => isColumnLike(argument, about));
  return (
    columns.length === 1 &&
    args.every((argument) => columns.includes(argument) || isPlain(argument, about.level))
  );
}

/** `left(name, 2) = 'ab'`: functions of the column that tell rows apart where they give this text. */
export function isPieceOfColumn(
  node: Node | undefined,
  value: Node | undefined,
  about: About,
): boolean {
  const { funcname, args = [] } = as(node, 'FuncCall') ?? {};
  const name = namesOf(funcname)?.at(-1) ?? '';
  const text = literalText(value) ?? '';
  // As it is: the text of every time has a colon at the same place.
  if (!isOfOneColumn(args, about) || !args.some((argument) => isOwn(argument, about))) return false;
  if (name === 'to_char') {
    return TIME_FORMAT.test(literalText(args[1]) ?? '') && /^[-\d/: .]+$/.test(text);
  }
  return CUTTING.has(name) && text !== '';
}

/** What can stand as a condition by itself. */
export function isTruth(node: Node | undefined, about: About): boolean {
  if (is(node, 'ColumnRef')) return isOwn(node, about);
  if (is(node, 'CoalesceExpr')) {
    return isTruth(node.CoalesceExpr.args?.[0], about) && isColumnLike(node, about);
  }
  // Of a number, a boolean says only whether it is zero.
  return (
    is(node, 'TypeCast') &&
    isBooleanCast(node.TypeCast) &&
    isJsonAccess(node.TypeCast.arg) &&
    isColumnLike(node.TypeCast.arg, about)
  );
}

function isBooleanCast(fields: FieldsOf<'TypeCast'>): boolean {
  return namesOf(fields.typeName?.names)?.at(-1) === 'bool';
}

export function isJsonAccess(node: Node | undefined): boolean {
  return JSON_ACCESS.has(namesOf(as(node, 'A_Expr')?.name)?.at(-1) ?? '');
}
