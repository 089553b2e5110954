/**
 * An INSERT in the body of a trigger function, as audit tables have it: plain values, or a SELECT
 * without a FROM. Whatever else a statement can say is not understood.
 */
import { as, type FieldsOf, type Node, namesOf } from '../parse/tree.ts';

export interface TriggerInsert {
  readonly kind: 'insert';
  readonly schema: string | undefined;
  readonly table: string;
  /** undefined: those of the table, in their order. */
  readonly columns: readonly string[] | undefined;
  readonly rows: readonly (readonly Node[])[];
}

/** @param node of the one statement of the text */
export function readTriggerInsert(node: Node | undefined): TriggerInsert | undefined {
  const { relation, cols, selectStmt, override, ...more } = as(node, 'InsertStmt') ?? {};
  const isUsual = override === 'OVERRIDING_NOT_SET' || override === undefined;
  if (relation === undefined || !isUsual || Object.keys(more).length > 0) return undefined;
  const { schemaname: schema, relname: table, catalogname, alias } = relation;
  const columns = cols?.map(columnOf);
  const rows = rowsOf(as(selectStmt, 'SelectStmt'));
  const isOther = catalogname !== undefined || alias !== undefined || table === undefined;
  if (isOther || rows === undefined || columns?.includes(undefined)) return undefined;
  const names = columns?.flatMap((name) => name ?? []);
  return { kind: 'insert', schema, table, columns: names, rows };
}

/** A subscript or a field behind its name is an expression, too. */
function columnOf(node: Node): string | undefined {
  const { name, location, ...more } = as(node, 'ResTarget') ?? {};
  return location === undefined || Object.keys(more).length > 0 ? undefined : name;
}

function rowsOf(select: FieldsOf<'SelectStmt'> | undefined): TriggerInsert['rows'] | undefined {
  const { valuesLists = [], targetList = [], limitOption, op, ...more } = select ?? {};
  const isPlain = limitOption === 'LIMIT_OPTION_DEFAULT' && op === 'SETOP_NONE';
  if (!isPlain || Object.keys(more).length > 0) return undefined;
  const values = targetList.map((node) => as(node, 'ResTarget')?.val);
  const rows = valuesLists.map((node) => as(node, 'List')?.items);
  const all = targetList.length === 0 ? rows : [...rows, values];
  const found = all.flatMap((row) => {
    const known = row?.flatMap((value) => value ?? []);
    return known === undefined || known.length !== row?.length ? [] : [known];
  });
  return found.length > 0 && found.length === all.length ? found : undefined;
}

/** @returns the record of `NEW.*` */
export function wholeRecord(value: Node): string | undefined {
  const [record, star, ...more] = as(value, 'ColumnRef')?.fields ?? [];
  const isStar = star !== undefined && as(star, 'A_Star') !== undefined;
  return isStar && more.length === 0 && record ? namesOf([record])?.[0] : undefined;
}
