/**
 * Columns to which an INSERT gives NULL or DEFAULT in every row. It says the same without them, and
 * mappers write them out: nothing is overwritten or compared that leaving them out would not.
 */

import { as, type FieldsOf, is, type Node } from '../parse/tree.ts';
import { isStar } from './column-references.ts';

type IsEmpty = (index: number) => boolean;

export function emptyColumns({ cols, selectStmt }: FieldsOf<'InsertStmt'>): IsEmpty {
  // DEFAULT VALUES has no list of columns, and COPY, which counts as an INSERT, has one.
  if (selectStmt === undefined) return () => cols === undefined;
  const select = as(selectStmt, 'SelectStmt');
  if (select?.valuesLists) {
    return emptyIn(select.valuesLists.map((list) => as(list, 'List')?.items ?? []));
  }
  const isPlain = select?.op === undefined || select.op === 'SETOP_NONE';
  const targets = (isPlain ? (select?.targetList ?? []) : []).map(
    (target) => as(target, 'ResTarget')?.val ?? target,
  );
  return emptyIn([targets]);
}

export function emptyIn(rows: readonly (readonly Node[])[]): IsEmpty {
  // A star is several columns, so that those behind it have other numbers.
  if (rows.some((row) => row.some(isStar))) return () => false;
  return (index) => rows.every((row) => isEmptyValue(row[index]));
}

function isEmptyValue(node: Node | undefined): boolean {
  if (node === undefined) return false;
  const cast = as(node, 'TypeCast');
  return cast ? isEmptyValue(cast.arg) : isNull(node) || is(node, 'SetToDefault');
}

function isNull(node: Node): boolean {
  return as(node, 'A_Const')?.isnull === true;
}
