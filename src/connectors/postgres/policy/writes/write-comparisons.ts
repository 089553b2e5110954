/**
 * What the server compares or computes when a row is written, by what the owner of the table wrote:
 * the client gives one side, and whether the write succeeds tells of the other.
 */

import type { ColumnFact } from '../facts/analysis-types.ts';
import type { CatalogComparison, CatalogRelation } from '../facts/catalog-types.ts';
import { canFail, sourcesOf } from '../facts/generated-columns.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import type { WrittenRows } from './row-code.ts';

/** Of `generated` both sides are what the column is made of: their sum may be too large. */
interface Comparison extends Omit<CatalogComparison, 'kind'> {
  readonly kind: CatalogComparison['kind'] | 'generated';
}

export function noteComparisons(facts: StatementFacts, written: WrittenRows): void {
  const { relation, change } = written;
  if (change !== 'insert' && change !== 'update') return;
  const columns = withGenerated(relation, written.valued ?? allOf(relation));
  for (const comparison of [...(relation.comparisons ?? []), ...generated(relation)]) {
    note(facts, comparison, written, columns);
  }
  for (const key of relation.foreignKeys ?? []) {
    const other = facts.context.catalog.relationByOid(key.references);
    for (const [index, column] of key.columns.entries()) {
      const own = columns.has(column) ? columnIn(facts, relation, column) : undefined;
      const by = `the foreign key ${relation.schema}.${relation.name}.${key.name}`;
      for (const attnum of other ? withSources(other, [key.referencedColumns[index] ?? 0]) : []) {
        const referenced = other && columnIn(facts, other, attnum);
        if (own && referenced)
          facts.noteWriteComparison({ written: own, compared: referenced, by });
      }
    }
  }
}

/** attnums that the written ones are compared with. */
function comparedBy(
  facts: StatementFacts,
  { kind, columns, nullsAreEqual }: Comparison,
  { relation, change }: WrittenRows,
  written: ReadonlySet<number>,
): readonly number[] {
  const all = columns.includes(0) && kind === 'check' ? [...allOf(relation)] : columns;
  // Other rows have values of all columns; NULL, which a column gets that is left out, is none of them.
  if (kind === 'unique') {
    const isSkipped = change === 'insert' && nullsAreEqual !== true;
    const others = isSkipped ? all.filter((column) => written.has(column)) : all;
    return withSources(relation, others);
  }
  // Of a new row the client gives all values.
  if (change === 'insert') return [];
  const updates = facts.changed.filter((one) => one.change === 'update');
  const row = withSources(relation, all);
  return updates.length > 1 ? row : row.filter((column) => !written.has(column));
}

function generated(relation: CatalogRelation): readonly Comparison[] {
  return relation.columns
    .filter((column) => column.generatedFrom !== undefined && !column.dropped && canFail(column))
    .map(({ name, attnum }) => ({
      kind: 'generated',
      name,
      columns: sourcesOf(relation, attnum),
    }));
}

function note(
  facts: StatementFacts,
  comparison: Comparison,
  rows: WrittenRows,
  written: ReadonlySet<number>,
): void {
  const { relation } = rows;
  const { kind, columns } = comparison;
  const compared = comparedBy(facts, comparison, rows, written);
  const by = nameOf(comparison, relation);
  const own = columns.includes(0)
    ? [...written].filter((column) => column > 0)
    : withSources(relation, columns).filter((column) => written.has(column));
  // What the client has given.
  const first = own.find((column) => sourcesOf(relation, column).length === 0) ?? own[0];
  const given = first === undefined ? undefined : columnIn(facts, relation, first);
  for (const column of given ? compared : []) {
    const other = columnIn(facts, relation, column);
    if (given && other) {
      const found = { written: given, compared: other, by };
      facts.noteWriteComparison(isComputed(kind) ? { ...found, isComputed: true } : found);
    }
  }
}

function isComputed(kind: Comparison['kind']): boolean {
  return kind === 'generated' || kind === 'index';
}

function nameOf({ kind, name }: Comparison, relation: CatalogRelation): string {
  const table = `${relation.schema}.${relation.name}`;
  switch (kind) {
    case 'check':
      return `the check ${table}.${name}`;
    case 'generated':
      return `the generated column ${table}.${name}`;
    case 'index':
      return `the index ${relation.schema}.${name}`;
    case 'unique':
      return `a unique index or exclusion constraint of ${table}`;
    case 'partition':
      return `the partition key of ${table}`;
    case 'policy':
      return `the row security policy ${name} of ${table}`;
  }
}

/** What is generated from a written column is written, too. */
function withGenerated(
  { columns }: CatalogRelation,
  written: ReadonlySet<number>,
): ReadonlySet<number> {
  const generated = columns.filter(
    ({ generatedFrom, generatedColumns }) =>
      generatedFrom !== undefined &&
      (generatedColumns?.some((column) => written.has(column)) ?? true),
  );
  return new Set([...written, ...generated.map(({ attnum }) => attnum)]);
}

/** The value of a generated column tells of those that it is made from. */
function withSources(relation: CatalogRelation, columns: readonly number[]): readonly number[] {
  const sources = columns.flatMap((column) => sourcesOf(relation, column));
  return [...new Set([...columns, ...sources])];
}

function allOf({ columns }: CatalogRelation): ReadonlySet<number> {
  return new Set(columns.flatMap(({ attnum, dropped }) => (dropped ? [] : attnum)));
}

function columnIn(
  facts: StatementFacts,
  relation: CatalogRelation,
  attnum: number,
): ColumnFact | undefined {
  const column = columnByNumber(relation, attnum);
  return column && facts.column(relation, attnum, column.name).fact;
}
