/**
 * What a masked column may be looked up by: values that are the same for as long as the statement
 * runs. A column, a subquery, a function that gives another value for each row would try out as many
 * values as there are rows, and count as one.
 */

import { TYPE } from '../calls/function-types.ts';
import type { Candidates } from '../facts/analysis-types.ts';
import { findType } from '../facts/names.ts';
import type { Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf } from '../parse/tree.ts';
import { arrayElementCount } from '../walk/array-literal.ts';
import { expression } from '../walk/expressions.ts';
import { hasOneUse } from '../walk/parameter-uses.ts';
import { isPlainType, isTextValue, plainElement } from './lookup-types.ts';

/** Of one value, or of the elements of an array. */
export interface Values {
  /** TYPE.unknown: it takes the type of what it is compared with. */
  readonly types: readonly number[];
  readonly candidates: Candidates;
}

/** Immutable, of text, and without effect: `lower($1)` is one value. */
const TEXT_FUNCTIONS: ReadonlySet<string> = new Set(['lower', 'upper', 'btrim', 'ltrim', 'rtrim']);

/** One value: a literal, a parameter, a cast of these, `lower($1)`. */
export function oneValue(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): Values | undefined {
  if (!node || !isConstant(facts, node)) {
    return undefined;
  }
  const { type } = expression(facts, node, scope);
  // Of text they are functions of text; there are others of these names, of ranges.
  const ofText = is(node, 'FuncCall') ? TYPE.text : type;
  return ofText === undefined ? undefined : { types: [ofText], candidates: 1 };
}

/** `IN ($1, $2)`. */
export function listedValues(
  facts: StatementFacts,
  nodes: readonly Node[],
  scope: Scope | undefined,
): Values | undefined {
  const values = nodes.flatMap((node) => oneValue(facts, node, scope) ?? []);
  return values.length < nodes.length
    ? undefined
    : { types: values.flatMap(({ types }) => types), candidates: values.length };
}

/** `ANY ($1)`, `ANY (ARRAY[$1, $2])`, `ANY ('{a,b}')`, and casts of these. */
export function arrayValues(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): Values | undefined {
  const cast = as(node, 'TypeCast');
  const candidates = arrayCandidates(facts, cast ? cast.arg : node, scope);
  if (candidates === undefined) {
    return undefined;
  }
  if (cast) {
    const type = findType(facts, cast.typeName)?.oid ?? 0;
    const element = plainElement(facts, type);
    return element === undefined ? undefined : { types: [element], candidates };
  }
  const list = as(node, 'A_ArrayExpr');
  if (list) {
    const types = listedValues(facts, list.elements ?? [], scope)?.types ?? [];
    // Literals alone make an array of text, whatever it is compared with.
    const typed = types.filter((type) => type !== TYPE.unknown);
    return { types: typed.length > 0 ? typed : [TYPE.text], candidates };
  }
  const declared = declaredType(facts, as(node, 'ParamRef'));
  const element = declared === TYPE.unknown ? declared : plainElement(facts, declared);
  return element === undefined ? undefined : { types: [element], candidates };
}

/** How many values an array has, whatever their type; undefined: it cannot be told. */
export function arrayCandidates(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): Candidates | undefined {
  const list = as(node, 'A_ArrayExpr');
  if (list) {
    return listedValues(facts, list.elements ?? [], scope)?.candidates;
  }
  const literal = as(node, 'A_Const');
  if (literal?.isnull) {
    return 1;
  }
  if (literal) {
    return literal.sval && arrayElementCount(literal.sval.sval ?? '');
  }
  const parameter = as(node, 'ParamRef');
  if (!parameter) {
    return undefined;
  }
  const declared = declaredType(facts, parameter);
  const isArray =
    declared === TYPE.unknown
      ? hasOneUse(facts, parameter.number ?? 0)
      : plainElement(facts, declared) !== undefined;
  return isArray ? { parameter: parameter.number ?? 0 } : undefined;
}

function isConstant(facts: StatementFacts, node: Node): boolean {
  return facts.nested(() => {
    const literal = as(node, 'A_Const');
    if (literal) {
      return literal.bsval === undefined;
    }
    const parameter = as(node, 'ParamRef');
    if (parameter) {
      const declared = declaredType(facts, parameter);
      // Where it stands a second time, that may be what gives it its type.
      return declared === TYPE.unknown
        ? hasOneUse(facts, parameter.number ?? 0)
        : isPlainType(facts, declared);
    }
    const cast = as(node, 'TypeCast');
    if (cast) {
      return isPlainCast(facts, cast);
    }
    const call = as(node, 'FuncCall');
    return call !== undefined && isTextCall(facts, call);
  });
}

function isPlainCast(facts: StatementFacts, cast: FieldsOf<'TypeCast'>): boolean {
  const type = findType(facts, cast.typeName);
  if (!type || !cast.arg || cast.typeName?.setof || !isPlainType(facts, type.oid)) {
    return false;
  }
  // Of `$1::text` the type is certain however often $1 stands in the statement.
  const parameter = as(cast.arg, 'ParamRef');
  const isOpen = parameter && declaredType(facts, parameter) === TYPE.unknown;
  return isOpen === true || isConstant(facts, cast.arg);
}

function isTextCall(facts: StatementFacts, call: FieldsOf<'FuncCall'>): boolean {
  return (
    isBuiltInCall(call, TEXT_FUNCTIONS) &&
    (call.args ?? []).every(
      (argument) =>
        isConstant(facts, argument) &&
        (is(argument, 'FuncCall') || isTextValue(expression(facts, argument, undefined).type)),
    )
  );
}

/** By its name and form; which function of that name it is, functions.ts finds out. */
export function isBuiltInCall(call: FieldsOf<'FuncCall'>, names: ReadonlySet<string>): boolean {
  const { funcname, args: _args, funcformat: _format, location: _location, ...clauses } = call;
  const [name, schema] = (namesOf(funcname) ?? []).toReversed();
  const isQualified = schema === undefined || schema === 'pg_catalog';
  return isQualified && names.has(name ?? '') && Object.values(clauses).every((one) => !one);
}

/** Of Parse or PREPARE; TYPE.unknown: they have left it to the server. */
export function declaredType(
  facts: StatementFacts,
  parameter: FieldsOf<'ParamRef'> | undefined,
): number {
  return facts.parameterTypes[(parameter?.number ?? 0) - 1] || TYPE.unknown;
}
