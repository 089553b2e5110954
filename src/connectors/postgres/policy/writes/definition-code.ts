/**
 * Code that a definition runs now, over the rows that are there, or names for later: functions,
 * operators, casts, operator classes. Column types are not known here, so a name that could be user
 * code counts as user code.
 */

import { callFunction } from '../calls/functions.ts';
import { noteComputation, noteFunction } from '../calls/note-function.ts';
import { checkOperator } from '../calls/operators.ts';
import type { CatalogFunction, CatalogRelation } from '../facts/catalog-types.ts';
import { constant } from '../facts/lineage.ts';
import { findTarget, typeNamed } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node, namesOf } from '../parse/tree.ts';

export function noteCode(facts: StatementFacts, value: object): void {
  if ('FuncCall' in value) {
    const call: FieldsOf<'FuncCall'> = value.FuncCall ?? {};
    const names = namesOf(call.funcname) ?? [];
    const args = (call.args ?? []).map(() => constant());
    const { location } = call;
    if (!callFunction(facts, { names, args, location, node: call, isDefined: true })) {
      facts.refuse(`function ${names.join('.')} is not known`, { missing: names.join('.') });
    }
  }
  if ('A_Expr' in value) {
    const test: FieldsOf<'A_Expr'> = value.A_Expr ?? {};
    const sides = [test.lexpr, test.rexpr].flatMap((side) => (side ? [constant()] : []));
    checkOperator(facts, namesOf(test.name) ?? [], sides, test.location);
  }
  if ('TypeCast' in value) {
    const cast: FieldsOf<'TypeCast'> = value.TypeCast ?? {};
    noteCast(facts, cast);
  }
  if ('IndexElem' in value) {
    const element: FieldsOf<'IndexElem'> = value.IndexElem ?? {};
    const opclass = namesOf(element.opclass) ?? [];
    // What it calls is not in the catalog. Only a superuser can have made it.
    facts.runsUserCode ||= opclass.length > 0 && opclass.at(-2) !== 'pg_catalog';
  }
}

/** From what is not known; a name that means nothing yet may be made by what came before. */
function noteCast(facts: StatementFacts, cast: FieldsOf<'TypeCast'>): void {
  const names = namesOf(cast.typeName?.names) ?? [];
  const type = typeNamed(facts, names, names.at(-1) ?? '');
  if (type === undefined) {
    facts.runsUserCode = true;
    return;
  }
  const { userCasts } = facts.context.catalog;
  if (type.runsUserCode || userCasts.some(({ target }) => target === type.oid)) {
    facts.refuse(`the cast to ${type.schema}.${type.name} may run code that is not built in`, {
      location: cast.location,
    });
  }
}

/** A new or validated constraint, and NOT NULL, are checked over every value of the domain that there is. */
export function noteDomain(facts: StatementFacts, fields: FieldsOf<'AlterDomainStmt'>): void {
  const names = namesOf(fields.typeName) ?? [];
  const type = typeNamed(facts, names, names.at(-1) ?? '');
  const checks = ['C', 'V', 'O'].includes(fields.subtype ?? '');
  if (type === undefined || !checks) return;
  facts.checkedDomain = type.oid;
  if (type.runsUserCode) {
    facts.runsUserCode = true;
    for (const called of type.checking ?? []) noteDefinedCall(facts, called, fields.subtype);
  }
}

/** CREATE_TABLE_LIKE_…: CONSTRAINTS, DEFAULTS, GENERATED, INDEXES. */
const LIKE_CODE = 0b101_1100;

/** Of a table that is made like another: its code comes along as if it were written out. */
export function noteLike(facts: StatementFacts, elements: readonly Node[] | undefined): void {
  for (const element of elements ?? []) {
    const like = as(element, 'TableLikeClause');
    const table = like?.relation && findTarget(facts, like.relation);
    if (!table || ((like?.options ?? 0) & LIKE_CODE) === 0) continue;
    const defaults = (table.defaults ?? []).flatMap(({ called }) => called ?? []);
    for (const called of [...(table.checking ?? []), ...defaults]) noteDefinedCall(facts, called);
  }
}

function noteDefinedCall(facts: StatementFacts, called: CatalogFunction, subtype?: string): void {
  if (called.calls) {
    noteComputation(facts, called);
    return;
  }
  noteFunction(facts, called, false);
  facts.refuse(
    `function ${called.schema}.${called.name} is not built in, and what it reads cannot be seen from here`,
    {
      hint: subtype === undefined ? 'Omit INCLUDING DEFAULTS, GENERATED and the like.' : undefined,
      because: { schema: called.schema, function: called.name },
    },
  );
}

/** Whether a change of the relation, or of one that belongs to it, can run code that is not built in. */
export function hasCodeOn({ hasTriggersOrRules, codeOn }: CatalogRelation): boolean {
  return hasTriggersOrRules || (codeOn?.runs.size ?? 0) > 0;
}
