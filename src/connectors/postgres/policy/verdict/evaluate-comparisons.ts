/**
 * `inference: deny` where the owner wrote the comparison and the client gives the other side: checks,
 * unique indexes, foreign keys, views that join a table which the client may write.
 */

import { patternMatches, qualifiedName } from '../../../../policy/patterns.ts';
import type { ColumnMask, Grant } from '../../../../policy/types.ts';
import { verbMatches } from '../../../../policy/verbs.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import type { ColumnFact, StatementAnalysis, WriteComparison } from '../facts/analysis-types.ts';
import type { Catalog } from '../facts/catalog-types.ts';
import { columnByName } from '../facts/relation-attributes.ts';
import type { SqlRefusal } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { withReferencing } from '../masks/referencing-masks.ts';
import { refusal } from './evaluate-refusal.ts';

export function refuseComparisons(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  for (const comparison of analysis.writeComparisons ?? []) {
    const mask = denied(comparison.compared, masks);
    if (mask) return refuseWrite(grant, mask, comparison);
  }
  for (const { view, columns } of analysis.viewComparisons ?? []) {
    const mask = columns.map((column) => denied(column, masks)).find((found) => found);
    const own = columns.find((column) => !masks.of(column) && mayWrite(grant, column));
    if (mask && own && view) return refuseView(grant, mask, own, view);
  }
  return undefined;
}

/** ALTER DOMAIN … ADD CHECK compares every value of a masked column with what the statement says. */
export function refuseDomain(
  { checkedDomain }: StatementAnalysis,
  grant: Grant,
  catalog: Catalog,
): SqlRefusal | undefined {
  if (checkedDomain === undefined) return undefined;
  const mask = withReferencing(grant.masks, catalog).find(({ schema, relation, column }) => {
    const table = catalog.relation(schema, relation);
    const found = table && columnByName(table, column);
    return found !== undefined && isMadeOf(catalog, found.typeOid, checkedDomain);
  });
  return (
    mask &&
    refusal(grant, {
      code: 'HOOP_DENIED',
      message: `a domain of masked column ${columnName(mask)} must not be changed`,
      detail: 'Whether its values pass the check would reveal something about them.',
      hint: `Ask someone for whom ${columnName(mask)} is not masked.`,
      rule: mask.rule,
    })
  );
}

/** The type, what it is a domain, an array or a row of. */
function isMadeOf(catalog: Catalog, type: number, domain: number): boolean {
  const open = new Set([type]);
  // A Set gives what is added while it is walked, too.
  for (const oid of open) {
    const { baseOid = 0, elementOid = 0, relationOid = 0 } = catalog.typeByOid(oid) ?? {};
    const fields = catalog.relationByOid(relationOid)?.columns ?? [];
    for (const part of [baseOid, elementOid, ...fields.map(({ typeOid }) => typeOid)]) {
      if (part !== 0) open.add(part);
    }
  }
  return open.has(domain);
}

function denied(column: ColumnFact, masks: MaskIndex): ColumnMask | undefined {
  const mask = masks.of(column);
  return mask?.inference === 'deny' ? mask : undefined;
}

/** By any rule: the table can be filled by one statement, and the view read by another. */
function mayWrite(grant: Grant, { schema, name }: ColumnFact): boolean {
  const rules = [
    ...grant.rules,
    ...(grant.agent ? [...grant.agent.sides.principal, ...grant.agent.sides.agent] : []),
  ];
  return rules.some(
    ({ effect, verbs, relations, functions }) =>
      effect !== 'deny' &&
      functions.length === 0 &&
      verbs.some((verb) => ['insert', 'update', 'merge'].some((one) => verbMatches(verb, one))) &&
      (relations.length === 0 || relations.some((one) => patternMatches(one, schema, name))),
  );
}

function refuseWrite(
  grant: Grant,
  mask: ColumnMask,
  { written, by, isComputed }: WriteComparison,
): SqlRefusal {
  const column = `${qualifiedName(written.schema, written.name)}.${written.column}`;
  const does = isComputed ? 'is computed from it and from' : 'compares it with';
  const what =
    column === columnName(mask)
      ? `masked column ${column} must not be written: ${by} ${does} the existing values`
      : `column ${column} must not be written: ${by} ${does} masked column ${columnName(mask)}`;
  return refusal(grant, {
    code: 'HOOP_MASKED_WRITE',
    message: what,
    detail:
      'Whether the write succeeds would reveal something about values that you see only masked.',
    hint: `Omit the column, or ask someone for whom ${columnName(mask)} is not masked, or masked with inference: allow.`,
    rule: mask.rule,
  });
}

function refuseView(
  grant: Grant,
  mask: ColumnMask,
  own: ColumnFact,
  view: { readonly schema: string; readonly name: string },
): SqlRefusal {
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message: `view ${qualifiedName(view.schema, view.name)} compares masked column ${columnName(mask)} with a column that you may write`,
    detail: `Its rows would reveal whether a value that you write to ${qualifiedName(own.schema, own.name)} is the masked one.`,
    hint: 'Select from the tables, without this comparison.',
    rule: mask.rule,
  });
}
