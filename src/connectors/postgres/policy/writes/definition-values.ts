/**
 * What definitions compute with the rows that are there: to build an index the server compares the
 * values of all of them with each other, and works out its expressions and its predicate, which can
 * fail. CLUSTER sorts the rows by an index. The bounds of a new partition are compared with the keys of
 * the rows in the default one, and the rows of a table with those that its new foreign key refers to.
 */

import type { CatalogColumn, CatalogRelation } from '../facts/catalog-types.ts';
import { derive, type Lineage } from '../facts/lineage.ts';
import { findTarget } from '../facts/names.ts';
import { storedColumns } from '../facts/relation-columns.ts';
import { visibleColumns } from '../facts/row-types.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, namesOf } from '../parse/tree.ts';

export function noteIndexed(facts: StatementFacts, fields: FieldsOf<'IndexStmt'>): void {
  const { indexParams, indexIncludingParams, whereClause } = fields;
  const names = new Set<string>();
  collectNames([indexParams, indexIncludingParams, whereClause], names);
  // The name of the table stands for all of the row.
  const isWhole = names.has(fields.relation?.relname ?? '');
  noteColumns(facts, fields.relation, 'CREATE INDEX', ({ name }) => isWhole || names.has(name));
}

/** Which columns the index has that it names, or that was used the last time, is not known here. */
export function noteClustered(facts: StatementFacts, fields: FieldsOf<'ClusterStmt'>): void {
  noteColumns(facts, fields.relation, 'CLUSTER');
}

export function noteBounds(facts: StatementFacts, fields: FieldsOf<'CreateStmt'>): void {
  if (!fields.partbound || fields.partbound.is_default) return;
  for (const parent of fields.inhRelations ?? []) {
    noteColumns(facts, as(parent, 'RangeVar'), 'the bounds of a partition', (column, relation) => {
      const keys = (relation.comparisons ?? []).filter(({ kind }) => kind === 'partition');
      return keys.some(({ columns }) => columns.includes(column.attnum));
    });
  }
}

export function noteReferenced(facts: StatementFacts, fields: FieldsOf<'Constraint'>): void {
  const names = namesOf(fields.pk_attrs) ?? [];
  const referenced = noteColumns(
    facts,
    fields.pktable,
    'FOREIGN KEY',
    ({ name, attnum }, { primaryKey = [] }) =>
      names.length > 0 ? names.includes(name) : primaryKey.includes(attnum),
  );
  // What stands in such a key is what stands there; ON UPDATE CASCADE also writes it.
  facts.noteStored(referenced);
}

function noteColumns(
  facts: StatementFacts,
  name: FieldsOf<'RangeVar'> | undefined,
  by: string,
  isUsed: (column: CatalogColumn, relation: CatalogRelation) => boolean = () => true,
): Lineage {
  const relation = name && findTarget(facts, name);
  if (!relation) return derive([]);
  const names = new Set(
    visibleColumns(relation).flatMap((column) => (isUsed(column, relation) ? column.name : [])),
  );
  const columns = storedColumns(facts, relation, false).filter((column) => names.has(column.name));
  const lineage = derive(columns.map((column) => column.lineage));
  facts.noteComputed(lineage, by);
  return lineage;
}

/** All names in it that can be columns; t.c and (t).c are t and c, and so is c(t). */
export function collectNames(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  const { ColumnRef, IndexElem, StatsElem, FuncCall, A_Indirection, Constraint }: Parts = value;
  const found = [
    ...(ColumnRef?.fields ?? []),
    ...(A_Indirection?.indirection ?? []),
    ...(FuncCall?.funcname ?? []),
    ...(Constraint?.keys ?? []),
    ...(Constraint?.including ?? []),
    ...(Constraint?.fk_attrs ?? []),
  ];
  for (const name of found.flatMap((node) => namesOf([node]) ?? [])) names.add(name);
  for (const { name } of [IndexElem ?? {}, StatsElem ?? {}]) {
    if (name !== undefined) names.add(name);
  }
  for (const inner of Object.values(value)) collectNames(inner, names);
}

interface Parts {
  readonly ColumnRef?: FieldsOf<'ColumnRef'>;
  readonly IndexElem?: FieldsOf<'IndexElem'>;
  readonly StatsElem?: FieldsOf<'StatsElem'>;
  readonly Constraint?: FieldsOf<'Constraint'>;
  readonly FuncCall?: FieldsOf<'FuncCall'>;
  readonly A_Indirection?: FieldsOf<'A_Indirection'>;
}
