/** The operators that an A_Expr applies, and to what: IN, BETWEEN, ANY, rows and plain operands. */

import { constant, inputOf, type Lineage } from '../facts/lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf } from '../parse/tree.ts';
import { arrayOf } from './coercions.ts';
import { commonTypeOf, concreteType, elementType, TYPE } from './function-types.ts';
import { type Applied, checkOperator } from './operators.ts';
import { isConstant } from './total-functions.ts';

interface Sides {
  /** Undefined: it is an operator with one operand. */
  readonly left: Lineage | undefined;
  readonly right: Lineage | undefined;
  /** What IN lists, and the bounds of BETWEEN. */
  readonly listed: readonly Lineage[];
}

const TEST: Applied = { type: TYPE.bool, leftType: undefined };

/** Operators that stand for BETWEEN, beside the lower bound and the upper one. */
const BETWEEN: ReadonlyMap<string | undefined, readonly [string, string]> = new Map([
  ['AEXPR_BETWEEN', ['>=', '<=']],
  ['AEXPR_BETWEEN_SYM', ['>=', '<=']],
  ['AEXPR_NOT_BETWEEN', ['<', '>']],
  ['AEXPR_NOT_BETWEEN_SYM', ['<', '>']],
]);

export function checkOperation(
  facts: StatementFacts,
  fields: FieldsOf<'A_Expr'>,
  { left, right, listed }: Sides,
): Applied {
  const { kind, rexpr, location } = fields;
  const names = namesOf(fields.name) ?? [];
  const check = (one: Lineage, other: Lineage, name = names): Applied =>
    checkOperator(facts, name, [one, other], location);
  if (!left || !right) {
    const operands = [left, right].flatMap((side) => side ?? []);
    return checkOperator(facts, names, operands, location);
  }
  const between = BETWEEN.get(kind);
  if (between) {
    const isSymmetric = kind?.endsWith('_SYM') === true;
    for (const bounds of isSymmetric ? [listed, listed.toReversed()] : [listed]) {
      for (const [index, bound] of bounds.entries()) check(left, bound, [between[index] ?? '']);
    }
    return TEST;
  }
  if (kind !== 'AEXPR_OP' && is(rexpr, 'List')) {
    checkList(facts, fields, left, listed);
    return TEST;
  }
  if (kind === 'AEXPR_OP_ANY' || kind === 'AEXPR_OP_ALL') {
    return check(left, { ...right, type: elementInput(facts, right) });
  }
  const rows = kind === 'AEXPR_NULLIF' ? undefined : rowPairs(fields, left, right);
  for (const [one, other] of rows ?? []) {
    if (one && other) check(one, other);
  }
  return rows ? TEST : check(left, right);
}

/** `IN`: constants and parameters are made one array of one type, others compared one by one. */
function checkList(
  facts: StatementFacts,
  { name, lexpr, rexpr, location }: FieldsOf<'A_Expr'>,
  left: Lineage,
  listed: readonly Lineage[],
): void {
  const operator = namesOf(name) ?? [];
  const nodes = as(rexpr, 'List')?.items ?? [];
  const isRow = is(lexpr, 'RowExpr');
  const isConstantList = !isRow && nodes.length > 1 && nodes.every(isConstant);
  const common = commonTypeOf(facts, [left, ...listed]);
  const isOne = isConstantList && common !== undefined && hasArrayType(facts, common);
  for (const [index, item] of isOne ? [] : listed.entries()) {
    const pairs = isRow ? rowPairs({ lexpr, rexpr: nodes[index] }, left, item) : undefined;
    for (const pair of pairs ?? [[left, item]]) checkOperator(facts, operator, pair, location);
  }
  if (!isRow && nodes.length > 1 && common !== undefined) {
    checkOperator(facts, operator, [left, constant(common)], location);
  }
}

function hasArrayType({ context: { catalog } }: StatementFacts, type: number): boolean {
  return arrayOf(catalog, type) !== undefined;
}

/**
 * Rows that are written out are compared field by field.
 * @returns undefined: they are no such rows
 */
function rowPairs(
  { lexpr, rexpr }: { readonly lexpr?: Node | undefined; readonly rexpr?: Node | undefined },
  left: Lineage,
  right: Lineage,
): readonly Lineage[][] | undefined {
  const isRow = is(lexpr, 'RowExpr') && (is(rexpr, 'RowExpr') || is(rexpr, 'SubLink'));
  if (!isRow) return undefined;
  const fields = right.fields ?? [right];
  return (left.fields ?? []).flatMap(({ lineage }, index) => {
    const field = fields[index];
    const other = field && 'lineage' in field ? field.lineage : field;
    return other ? [[lineage, other]] : [];
  });
}

/** ANY and ALL compare with the elements of an array; a literal is taken for one of what fits. */
function elementInput(facts: StatementFacts, array: Lineage): number | undefined {
  const type = inputOf(array);
  return type === TYPE.unknown ? type : elementType(facts, concreteType(facts, type));
}
