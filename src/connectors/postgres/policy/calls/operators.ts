/** Operators, which are functions by another name. */

import type { CatalogOperator } from '../facts/catalog-types.ts';
import { inputOf, type Lineage } from '../facts/lineage.ts';
import { functionSchemas, isBuiltIn, isPathKnown, refuseUnsettledCode } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { notePassed } from './applied-casts.ts';
import { baseType, type Input, resultOfCall, UNKNOWN } from './coercions.ts';
import { TYPE } from './function-types.ts';
import { noteFunction } from './note-function.ts';
import { bestOverloads, fittingOverloads, type Overload, visible } from './overloads.ts';
import { isPlainFunction } from './trusted-extensions.ts';

interface Candidate extends Overload {
  readonly operator: CatalogOperator;
}

/** Types of the result and of the left operand, as the operator takes it; undefined: not known. */
export interface Applied {
  readonly type: number | undefined;
  readonly leftType: number | undefined;
}

/**
 * Says so when an operator of that name runs code that is not built in.
 * @param operands none: it is not known what it is applied to
 */
export function checkOperator(
  facts: StatementFacts,
  qualified: readonly string[],
  operands: readonly Lineage[],
  location: number | undefined,
): Applied {
  const name = qualified.at(-1) ?? '';
  refuseUnsettledCode(facts, name, location);
  const possible = possibleOperators(facts, qualified, operands);
  for (const { operator, takes } of possible) {
    if (isForeign(operator)) noteForeign(facts, operator, operands, location);
    for (const [index, operand] of operands.entries()) notePassed(facts, operand, takes[index]);
  }
  const inputs = operands.map(inputOf);
  const { catalog } = facts.context;
  const typeOf = (of: (candidate: Candidate) => number): number | undefined => {
    const types = possible.map((one) => resultOfCall(catalog, inputs, one.takes, of(one)));
    return new Set(types).size === 1 ? types[0] : undefined;
  };
  const leftType = typeOf(({ operator }) => operator.left);
  return {
    type: typeOf(({ operator }) => operator.result),
    // A row of a table stays one.
    leftType: leftType === TYPE.record ? inputs[0] : leftType,
  };
}

function noteForeign(
  facts: StatementFacts,
  { name, schema, called }: CatalogOperator,
  operands: readonly Lineage[],
  location: number | undefined,
): void {
  // A rule may let it run: what is permitted to the built-in one, such as a lookup, is not to this.
  for (const operand of operands) facts.noteComputed(operand, `operator ${name}`);
  facts.runsUserCode = true;
  if (called) noteFunction(facts, called, false);
  const calls = called ? `${called.schema}.${called.name}` : `a function of ${schema}`;
  facts.refuse(`operator ${name} calls ${calls}, which is not built in`, {
    hint: `Write OPERATOR(pg_catalog.${name}) if you mean the built-in one.`,
    location,
    ...(called ? { because: { schema: called.schema, function: called.name } } : {}),
  });
}

/** Whether one of that name which can be meant is neither built in nor of a known extension. */
export function mayBeForeign(
  facts: StatementFacts,
  qualified: readonly string[],
  operands: readonly Lineage[],
): boolean {
  return possibleOperators(facts, qualified, operands).some(({ operator }) => isForeign(operator));
}

function isForeign({ oid, called }: CatalogOperator): boolean {
  return !isBuiltIn({ oid }) && !(called && isPlainFunction(called));
}

/** Those that the server could choose: one, if it is known what the operands are. */
export function possibleOperators(
  facts: StatementFacts,
  qualified: readonly string[],
  operands: readonly Lineage[],
): readonly Candidate[] {
  const { catalog } = facts.context;
  const name = qualified.at(-1) ?? '';
  const all = functionSchemas(facts, qualified)
    .flatMap((schema) => catalog.operators(schema, name))
    .map((operator) => ({ operator, takes: [operator.left, operator.right].filter(Boolean) }));
  if (operands.length === 0) return all;
  const named = all.filter(({ takes }) => takes.length === operands.length);
  const inputs = operands.map(inputOf);
  if (!isPathKnown(facts, qualified)) return fittingOverloads(catalog, named, inputs);
  const seen = visible(named);
  const exact = exactly(facts, seen, inputs);
  return exact ? [exact] : bestOverloads(catalog, seen, inputs);
}

/** A literal beside a value is first taken for one of the same type, and of what that is a domain over. */
function exactly(
  { context: { catalog } }: StatementFacts,
  seen: readonly Candidate[],
  inputs: readonly Input[],
): Candidate | undefined {
  const find = (types: readonly Input[]): Candidate | undefined =>
    seen.find(({ takes }) => takes.every((type, index) => type === types[index]));
  const [known] = inputs.filter((type) => type !== UNKNOWN);
  if (inputs.length === 1 || !inputs.includes(UNKNOWN) || known === undefined) return find(inputs);
  const base = baseType(catalog, known);
  return find([known, known]) ?? find([base, base]);
}
