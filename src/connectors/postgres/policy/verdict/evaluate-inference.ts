/**
 * `inference: deny`: a statement may depend on a masked value only as far as its masked form shows
 * it. It may carry the column to its output, and compute with it only what the output shows anyway:
 * whether a string is NULL, and where the mask is a hash, whether two are the same. No list of
 * dangerous functions is needed for that: locks, statistics, errors and time tell of nothing that was
 * not computed.
 */

import type { ColumnMask, Grant } from '../../../../policy/types.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import { concreteTypeOf } from '../calls/function-types.ts';
import type { ColumnFact, StatementAnalysis } from '../facts/analysis-types.ts';
import type { Catalog } from '../facts/catalog-types.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import { isPlainString } from '../facts/string-types.ts';
import { maskedSystemColumn } from '../facts/system-relations.ts';
import type { SqlRefusal } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { refusal } from './evaluate-refusal.ts';

interface Known {
  readonly masks: MaskIndex;
  readonly catalog: Catalog;
}

export function refuseInference(
  analysis: StatementAnalysis,
  grant: Grant,
  known: Known,
): SqlRefusal | undefined {
  const uses = [
    ...analysis.columnsComputed,
    ...(analysis.columnsNullTested ?? []).filter(({ column }) => known.masks.hidesNull(column)),
    ...(analysis.columnsGrouped ?? []).filter(({ column }) => !showsSame(column, known)),
    ...(analysis.columnsEquated ?? []).flatMap((pair) =>
      pair.every(({ column }) => showsSame(column, known)) ? [] : pair,
    ),
  ];
  for (const use of uses) {
    const mask = denied(use.column, known);
    if (mask) return inferenceRefusal(grant, mask, use.by);
  }
  return undefined;
}

/** What the masks let it compute with: the record says so, because who may filter can guess. */
export function computedWith(
  analysis: StatementAnalysis,
  masks: MaskIndex,
): { readonly computed?: readonly ColumnFact[] } {
  const uses = [
    ...analysis.columnsComputed,
    ...(analysis.columnsNullTested ?? []),
    ...(analysis.columnsGrouped ?? []),
    ...(analysis.columnsEquated ?? []).flat(),
    ...(analysis.lookups ?? []).flatMap(({ columns }) => columns.map((column) => ({ column }))),
  ];
  const computed = uses.flatMap(({ column }) => (masks.of(column) ? [column] : []));
  return computed.length === 0 ? {} : { computed: [...new Set(computed)] };
}

function denied(column: ColumnFact, { masks }: Known): ColumnMask | undefined {
  const mask = masks.of(column);
  return mask?.inference === 'deny' ? mask : undefined;
}

/** Equal strings have equal hashes, unless their collation takes others for equal. */
function showsSame(column: ColumnFact, known: Known): boolean {
  if (denied(column, known)?.mask !== 'hash') return false;
  const { catalog } = known;
  const relation = catalog.relationByOid(column.oid);
  const stored = relation && columnByNumber(relation, column.attnum);
  const type = stored && concreteTypeOf(catalog, stored.typeOid);
  return isPlainString(type) && stored?.isLoose !== true;
}

/** @param by the place, in the words of SQL: it follows `in` */
export function inferenceRefusal(grant: Grant, mask: ColumnMask, by: string): SqlRefusal {
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message: `masked column ${columnName(mask)} may be shown, but not used in ${by}`,
    detail: 'The result would reveal something about values that you see only masked.',
    hint: hintFor(mask, by),
    rule: mask.rule,
  });
}

function hintFor(mask: ColumnMask, by: string): string {
  const grouping = GROUPING.get(by);
  if (grouping !== undefined) return grouping;
  if (mask.lookup) return howToLookUp(mask);
  const { schema, relation: name, column } = mask;
  const isSystem = maskedSystemColumn({ schema, name, column }) !== undefined;
  return isSystem ? IN_SYSTEM_VIEWS : OTHERWISE;
}

const WITH_ORDER =
  'With the primary key of its table among the columns it is possible if ORDER BY has that key and all columns of other tables (ORDER BY id), or if only count(*) is taken of the rows.';

/** What would pass, by the word of the statement. */
const GROUPING: ReadonlyMap<string, string> = new Map([
  ['DISTINCT', WITH_ORDER],
  ['UNION without ALL', `${WITH_ORDER} UNION ALL is possible without a key.`],
  [
    'GROUP BY',
    'It is possible with the primary key of its table in the same GROUP BY, where that table or a plain subquery of it is in FROM.',
  ],
]);

const IN_SYSTEM_VIEWS =
  'Select it as it is, or with left(), trim() or coalesce(), and filter, sort and group by the other columns of the view.';

const OTHERWISE =
  'Select the column as it is, and filter, join, sort and compute with unmasked columns. If you have to find rows by its values, ask the policy’s owner.';

function howToLookUp({ column }: ColumnMask): string {
  const name = quoteName(column);
  return `It can be compared with given values, which are counted: WHERE ${name} = $1, lower(${name}) = lower($1), ${name} IN ($1, $2) or ${name} = ANY ($1), with AND to other conditions, without casts or COLLATE on the column. Write $1::text where a parameter stands more than once.`;
}

function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
