/** Operators, which are functions by another name. */
import { noteOperands } from './applied-casts.ts';
import type { CatalogFunction } from './catalog-types.ts';
import { concreteType, hasUserCast, TYPE } from './function-types.ts';
import { isHarmlessExtension } from './functions-table.ts';
import type { Lineage } from './lineage.ts';
import { functionSchemas, isBuiltIn, refuseUnsettledCode } from './names.ts';
import { noteFunction } from './note-function.ts';
import type { StatementFacts } from './statement-facts.ts';

/** Says so when an operator of that name could run code that is not built in. */
export function checkOperator(
  facts: StatementFacts,
  qualified: readonly string[],
  operands: readonly Lineage[],
  location: number | undefined,
): void {
  const name = qualified.at(-1) ?? '';
  refuseUnsettledCode(facts, name, location);
  noteOperands(facts, name, operands);
  for (const candidate of userOperators(facts, qualified, operands)) {
    // A rule may let it run: what is permitted to the built-in one, such as a lookup, is not to this.
    for (const operand of operands) facts.noteComputed(operand, `operator ${name}`);
    facts.runsUserCode = true;
    noteFunction(facts, candidate, isBuiltIn(candidate));
    facts.refuse(
      `operator ${name} calls ${candidate.schema}.${candidate.name}, which is not built in`,
      {
        hint: `Write OPERATOR(pg_catalog.${name}) if you mean the built-in one.`,
        location,
        because: { schema: candidate.schema, function: candidate.name },
      },
    );
  }
}

/** The operators of that name that can be meant and are neither built in nor of a known extension. */
export function userOperators(
  facts: StatementFacts,
  qualified: readonly string[],
  operands: readonly Lineage[],
): readonly CatalogFunction[] {
  const name = qualified.at(-1) ?? '';
  return functionSchemas(facts, qualified)
    .flatMap((schema) => facts.context.catalog.userOperators(schema, name))
    .filter((candidate) => !isHarmlessExtension(candidate.extension))
    .filter((candidate) => mayOperate(facts, candidate, operands));
}

function mayOperate(
  facts: StatementFacts,
  candidate: CatalogFunction,
  operands: readonly Lineage[],
): boolean {
  if (candidate.argTypeOids.length !== operands.length) {
    return operands.length === 0;
  }
  // Operators on types of their own are chosen only when one side has such a type.
  const own = candidate.argTypeOids.map((oid) => !isBuiltIn({ oid: concreteType(facts, oid) }));
  if (!own.some(Boolean)) {
    return true;
  }
  return (
    operands.every((operand, index) => {
      const declared = candidate.argTypeOids[index] ?? 0;
      return (
        !own[index] ||
        operand.type === undefined ||
        operand.type === TYPE.unknown ||
        operand.type === declared ||
        hasUserCast(facts, operand.type, declared)
      );
    }) && operands.some((operand, index) => own[index] && operand.type !== TYPE.unknown)
  );
}
