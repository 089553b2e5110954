/**
 * Of what an index is made: to build it the server compares the values of all rows with each other,
 * and works out its expressions and its predicate, which can fail. CLUSTER sorts the rows by an index.
 */
import { derive } from './lineage.ts';
import { findTarget } from './names.ts';
import { storedColumns } from './relation-columns.ts';
import type { StatementFacts } from './statement-facts.ts';
import { type FieldsOf, namesOf } from './tree.ts';

export function noteIndexed(facts: StatementFacts, fields: FieldsOf<'IndexStmt'>): void {
  const { indexParams, indexIncludingParams, whereClause } = fields;
  const names = new Set<string>();
  collectNames([indexParams, indexIncludingParams, whereClause], names);
  noteColumns(facts, fields.relation, 'CREATE INDEX', names);
}

/** Which columns the index has that it names, or that was used the last time, is not known here. */
export function noteClustered(facts: StatementFacts, fields: FieldsOf<'ClusterStmt'>): void {
  noteColumns(facts, fields.relation, 'CLUSTER');
}

function noteColumns(
  facts: StatementFacts,
  name: FieldsOf<'RangeVar'> | undefined,
  by: string,
  names?: ReadonlySet<string>,
): void {
  const relation = name && findTarget(facts, name);
  if (!relation) return;
  // The name of the table stands for all of the row.
  const isWhole = names === undefined || names.has(relation.name);
  const columns = storedColumns(facts, relation, false).filter(
    (column) => isWhole || names.has(column.name),
  );
  facts.noteComputed(derive(columns.map(({ lineage }) => lineage)), by);
}

/** All names in it that can be columns; t.c and (t).c are t and c, and so is c(t). */
function collectNames(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  const { ColumnRef, IndexElem, FuncCall, A_Indirection }: Parts = value;
  const found = [
    ...(ColumnRef?.fields ?? []),
    ...(A_Indirection?.indirection ?? []),
    ...(FuncCall?.funcname ?? []),
  ];
  for (const name of found.flatMap((node) => namesOf([node]) ?? [])) names.add(name);
  if (IndexElem?.name !== undefined) names.add(IndexElem.name);
  for (const inner of Object.values(value)) collectNames(inner, names);
}

interface Parts {
  readonly ColumnRef?: FieldsOf<'ColumnRef'>;
  readonly IndexElem?: FieldsOf<'IndexElem'>;
  readonly FuncCall?: FieldsOf<'FuncCall'>;
  readonly A_Indirection?: FieldsOf<'A_Indirection'>;
}
