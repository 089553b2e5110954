/**
 * Comparisons by which a masked column may be looked up (`lookup: true`): `email = $1`,
 * `lower(email) = lower($1)`, `email IN ($1, $2)`, `email = ANY ($1)`, joined to the rest of a WHERE by
 * AND. Each tells of one value, or of as many as are counted, whether some row has it, and nothing
 * else. What is not known to be like this is an ordinary condition: OR, NOT, other operators, another
 * conversion or collation of the column, a value that changes from row to row.
 */

import { concreteType, TYPE } from '../calls/function-types.ts';
import { callFunction } from '../calls/functions.ts';
import { checkOperator, mayBeForeign } from '../calls/operators.ts';
import type { Lineage, Origin } from '../facts/lineage.ts';
import { isBuiltIn } from '../facts/names.ts';
import type { Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf } from '../parse/tree.ts';
import { condition } from '../walk/conditions.ts';
import { expression } from '../walk/expressions.ts';
import { checkFields } from '../walk/grammar.ts';
import { isComparable, isText } from './lookup-types.ts';
import {
  arrayValues,
  isBuiltInCall,
  listedValues,
  oneValue,
  type Values,
} from './lookup-values.ts';

const NOTHING: ReadonlySet<Origin> = new Set();
const CASES: ReadonlySet<string> = new Set(['lower', 'upper']);

/**
 * A WHERE: lookups in it are noted as such, everything else is a condition.
 * @returns everything that its conditions depend on
 */
export function whereClause(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope,
): ReadonlySet<Origin> {
  const all = as(node, 'BoolExpr');
  if (all?.boolop === 'AND_EXPR') {
    checkFields(facts, 'BoolExpr', all);
    return facts.nested(
      () => new Set((all.args ?? []).flatMap((part) => [...whereClause(facts, part, scope)])),
    );
  }
  return noteLookup(facts, node, scope) ? NOTHING : condition(facts, node, scope);
}

function noteLookup(facts: StatementFacts, node: Node | undefined, scope: Scope): boolean {
  const test = as(node, 'A_Expr');
  // What a view compares its owner has written; what is kept in a new one would not be counted.
  if (!test || facts.view || !facts.mayLookUp || !isEquality(test)) {
    return false;
  }
  checkFields(facts, 'A_Expr', test);
  const { column, values } = sidesOf(facts, test, scope) ?? {};
  if (!column || !values || !isExact(facts, column, values, test)) {
    return false;
  }
  facts.noteLookup(test, column.origins, values.candidates);
  return true;
}

function isEquality({ name }: FieldsOf<'A_Expr'>): boolean {
  const [operator, schema] = (namesOf(name) ?? []).toReversed();
  return operator === '=' && (schema === undefined || schema === 'pg_catalog');
}

interface Sides {
  readonly column: Lineage | undefined;
  readonly values: Values | undefined;
}

function sidesOf(
  facts: StatementFacts,
  { kind, lexpr, rexpr }: FieldsOf<'A_Expr'>,
  scope: Scope,
): Sides | undefined {
  switch (kind) {
    case 'AEXPR_OP': {
      const [left, right] = isColumn(lexpr) ? [lexpr, rexpr] : [rexpr, lexpr];
      const column = lookedUp(facts, left, scope);
      return { column, values: column && oneValue(facts, right, scope) };
    }
    case 'AEXPR_IN': {
      const column = lookedUp(facts, lexpr, scope);
      const items = as(rexpr, 'List')?.items;
      return { column, values: column && items && listedValues(facts, items, scope) };
    }
    case 'AEXPR_OP_ANY': {
      const column = lookedUp(facts, lexpr, scope);
      return { column, values: column && arrayValues(facts, rexpr, scope) };
    }
    default:
      return undefined;
  }
}

function isColumn(node: Node | undefined): boolean {
  const [argument] = as(node, 'FuncCall')?.args ?? [];
  return is(node, 'ColumnRef') || is(argument, 'ColumnRef');
}

/** The column itself, or lower() or upper() of it; undefined for anything else. */
function lookedUp(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope,
): Lineage | undefined {
  if (is(node, 'ColumnRef')) {
    const column = expression(facts, node, scope);
    // Rows that the statement makes itself, by recursion or VALUES, can be as many as somebody likes.
    const isBare = [...column.origins].every(({ kind }) => kind === 'column');
    const type = column.type === undefined ? undefined : concreteType(facts, column.type);
    return column.identity && isBare ? { ...column, type } : undefined;
  }
  const call = as(node, 'FuncCall');
  const [argument, second] = call?.args ?? [];
  if (!call || second || !is(argument, 'ColumnRef') || !isBuiltInCall(call, CASES)) {
    return undefined;
  }
  const column = lookedUp(facts, argument, scope);
  if (!column || !isText(facts, column.type)) {
    return undefined;
  }
  checkFields(facts, 'FuncCall', call);
  const names = namesOf(call.funcname) ?? [];
  const found = callFunction(facts, {
    names,
    args: [column],
    location: call.location,
    carried: new Set([column]),
  });
  // In the end the column is compared with: that is a lookup, or a condition that counts as computing.
  return found?.functions.every(isBuiltIn) ? { ...column, type: TYPE.text } : undefined;
}

/** Whether PostgreSQL's own `=` compares the column as it is with each of the values. */
function isExact(
  facts: StatementFacts,
  column: Lineage,
  { types }: Values,
  { name, location }: FieldsOf<'A_Expr'>,
): boolean {
  const { type } = column;
  if (type === undefined || !types.every((one) => isComparable(facts, type, one))) {
    return false;
  }
  const operator = namesOf(name) ?? [];
  return types.every((one) => {
    const operands = [column, { ...column, type: one }];
    checkOperator(facts, operator, operands, location);
    return !mayBeForeign(facts, operator, operands);
  });
}
