/**
 * Casts that are not built in. They are calls, whether the statement writes them or the server applies
 * them by itself: to a value that is stored, to arguments and operands, and where several values become
 * one.
 */

import type { CatalogCast } from '../facts/catalog-types.ts';
import type { Lineage } from '../facts/lineage.ts';
import { isBuiltIn } from '../facts/names.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import { rowTypeRelation, visibleColumns } from '../facts/row-types.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { concreteType, elementType, TYPE } from './function-types.ts';
import { noteFunction } from './note-function.ts';

/** A value is stored in a column of that type, or taken for a condition. */
export function noteAssigned(facts: StatementFacts, value: Lineage, to: number | undefined): void {
  const { userCasts } = facts.context.catalog;
  const casts = userCasts.filter(({ context }) => context !== 'explicit');
  noteConverted(facts, casts, value, to);
}

/** A value is cast to that type. */
export function noteCast(facts: StatementFacts, value: Lineage, to: number | undefined): void {
  noteConverted(facts, facts.context.catalog.userCasts, value, to);
}

function noteConverted(
  facts: StatementFacts,
  casts: readonly CatalogCast[],
  value: Lineage,
  to: number | undefined,
): void {
  if (casts.length === 0 || to === undefined) return;
  refuseCasts(facts, casts, value, to);
  // A row is converted field by field.
  const columns = value.fields && visibleRow(facts, to);
  for (const [index, column] of (columns ?? []).entries()) {
    const field = value.fields?.[index]?.lineage;
    if (field && field.type !== value.type) noteConverted(facts, casts, field, column);
  }
}

/** A value is an argument or an operand of that type. */
export function notePassed(facts: StatementFacts, value: Lineage, to: number | undefined): void {
  const casts = implicitCasts(facts);
  if (casts.length > 0 && to !== undefined) refuseCasts(facts, casts, value, to);
}

/** Several values are made one of this type; undefined: it is not known which. */
export function noteCommonType(
  facts: StatementFacts,
  values: readonly Lineage[],
  common: number | undefined,
): void {
  if (common !== undefined) {
    for (const value of values) notePassed(facts, value, common);
    return;
  }
  for (const cast of implicitCasts(facts)) {
    const applies =
      values.some((value) => isOf(facts, value, cast.source)) &&
      values.some((value) => concreteType(facts, value.type) === cast.target);
    if (applies) refuse(facts, cast);
  }
}

function implicitCasts(facts: StatementFacts): readonly CatalogCast[] {
  return facts.context.catalog.userCasts.filter(({ context }) => context === 'implicit');
}

function refuseCasts(
  facts: StatementFacts,
  casts: readonly CatalogCast[],
  value: Lineage,
  to: number,
): void {
  const targets = [concreteType(facts, to), elementType(facts, concreteType(facts, to))];
  const element =
    value.type && (elementType(facts, concreteType(facts, value.type)) ?? TYPE.unknown);
  for (const cast of casts) {
    const isElement = targets[1] === cast.target;
    const from = isElement ? { ...value, type: element } : value;
    if (targets.includes(cast.target) && isOf(facts, from, cast.source)) refuse(facts, cast);
  }
}

/**
 * Of what is computed by built-in operators the type is not known: it can be any that is built in, and
 * another one only if a column has that.
 */
function isOf(facts: StatementFacts, value: Lineage, source: number): boolean {
  if (value.type === TYPE.unknown) return false;
  if (value.type !== undefined) return concreteType(facts, value.type) === source;
  if (isBuiltIn({ oid: source })) return true;
  const { catalog } = facts.context;
  return [...value.origins].some((origin) => {
    if (origin.kind !== 'column') return false;
    const { oid, attnum } = origin.fact;
    const relation = catalog.relationByOid(oid);
    const column = relation && columnByNumber(relation, attnum);
    return column !== undefined && concreteType(facts, column.typeOid) === source;
  });
}

function visibleRow(facts: StatementFacts, type: number): number[] | undefined {
  const relation = rowTypeRelation(facts, type);
  return relation && visibleColumns(relation).map(({ typeOid }) => typeOid);
}

function refuse(facts: StatementFacts, { called }: CatalogCast): void {
  facts.runsUserCode = true;
  const name = called === undefined ? 'a function' : `${called.schema}.${called.name}`;
  if (called) noteFunction(facts, called, false);
  facts.refuse(`a value is converted by ${name}, which is not built in`, {
    hint: 'Cast the value to the type of the column, argument or operand through text.',
    ...(called ? { because: { schema: called.schema, function: called.name } } : {}),
  });
}
