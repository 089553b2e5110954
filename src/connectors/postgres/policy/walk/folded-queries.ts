/** Queries in FROM of which the query around them uses no order: the planner folds them in, or it counts their rows. */

import { as, type FieldsOf, is, type Node } from '../parse/tree.ts';
import { isStar } from './column-references.ts';

type Select = FieldsOf<'SelectStmt'>;

/**
 * Whether the planner puts the tables of this query beside those of the query around it
 * (is_simple_subquery in its sources), so that it knows their keys there.
 */
export function isFolded(fields: Select): boolean {
  const { targetList = [], groupClause, havingClause, distinctClause, windowClause } = fields;
  const isPlain = [
    groupClause,
    havingClause,
    distinctClause,
    windowClause,
    fields.withClause,
  ].every((clause) => clause === undefined);
  const isWhole = [fields.sortClause, fields.limitCount, fields.limitOffset, fields.lockingClause];
  return (
    isPlain &&
    isWhole.every((clause) => clause === undefined) &&
    fields.fromClause !== undefined &&
    targetList.every((target) => isSimple(as(target, 'ResTarget')?.val))
  );
}

/** Nothing that is called: neither an aggregate nor what gives another value each time. */
function isSimple(node: Node | undefined): boolean {
  return node !== undefined && (isStar(node) || is(node, 'ColumnRef') || is(node, 'A_Const'));
}

/** @returns the query of which `SELECT count(*) FROM (query) t` counts the rows and does nothing else with them */
export function countedQuery(fields: Select): Select | undefined {
  const { targetList = [], fromClause = [], withClause, op, ...others } = fields;
  const rest = { ...others, limitOption: undefined, groupDistinct: undefined };
  const [from, ...more] = fromClause;
  const isCount =
    (op === undefined || op === 'SETOP_NONE') &&
    Object.values(rest).every((value) => value === undefined || value === false) &&
    more.length === 0 &&
    targetList.length > 0 &&
    targetList.every((target) => isRowCount(as(target, 'ResTarget')?.val));
  if (!isCount) return undefined;
  const subquery = as(from, 'RangeSubselect');
  if (subquery) return withClause ? undefined : as(subquery.subquery, 'SelectStmt');
  // WITH t AS (query) SELECT count(*) FROM t
  const table = as(from, 'RangeVar');
  const [cte, ...otherCtes] = withClause?.ctes ?? [];
  const { ctename, ctequery } = as(cte, 'CommonTableExpr') ?? {};
  const isIt = table?.schemaname === undefined && table?.relname === ctename;
  return isIt && otherCtes.length === 0 && !withClause?.recursive
    ? as(ctequery, 'SelectStmt')
    : undefined;
}

function isRowCount(node: Node | undefined): boolean {
  const { funcname = [], args = [], ...others } = as(node, 'FuncCall') ?? {};
  const { agg_star: isStarred, funcformat, location, ...clauses } = others;
  const name = as(funcname.at(-1), 'String')?.sval;
  const isPlain = Object.values(clauses).every((value) => value === undefined || value === false);
  return name === 'count' && isPlain && args.every((argument) => is(argument, 'A_Const'));
}
