/** Where the value of an expression comes from. */

import { type JsonShape, loosened, mergeShapes, surrounded } from '../json/json-shape.ts';
import type { ColumnFact } from './analysis-types.ts';

/** A base column. One object per column and statement, so that sets compare by identity. */
export interface ColumnOrigin {
  readonly kind: 'column';
  readonly fact: ColumnFact;
}

/**
 * A column that is not stored anywhere: of VALUES, of a function in FROM, of a recursive CTE. It
 * has no mask, but a comparison can tie a masked column to it, and then it shows that column.
 */
export interface RowOrigin {
  readonly kind: 'rows';
  /** As many rows as an argument or a condition says, so that their count spells a value. */
  readonly generated: boolean;
}

export type Origin = ColumnOrigin | RowOrigin;

export interface Lineage {
  /** Everything whose value can reach this value. */
  readonly origins: ReadonlySet<Origin>;
  /** Set when the value is that of one base column, unchanged. */
  readonly identity: ColumnOrigin | undefined;
  /**
   * With an identity: the entry in FROM of which one row gives this value and those with the same object.
   * Only a plain reference has it: `(SELECT t.id WHERE …)` can be NULL where `t.id` is not.
   */
  readonly row?: object | undefined;
  /** A constant that the target list of this query gives in each row. */
  readonly isFixed?: true;
  readonly type: number | undefined;
  /**
   * Made of one string column by functions that fail for no value of it and whose result is as NULL
   * as the column: masked whole it shows what the mask of the column shows (total-functions.ts).
   */
  readonly total?: true;
  /** A parameter whose type another place of the statement may decide. */
  readonly isOpen?: true;
  /** Under a COLLATE of the statement: it may be equal to more than it is equal to as stored. */
  readonly collated?: true;
  /** The columns of a row (or of the rows in an array) where its shape is known. */
  readonly fields: readonly NamedLineage[] | undefined;
  /**
   * The JSON that this value holds, or that to_json() makes of it where it is a row or an array:
   * only where it is known exactly, names included. What is made by `derive` has none.
   */
  readonly document?: JsonShape | undefined;
}

/** The type by which the server chooses functions and operators; undefined: it is not known. */
export function inputOf({ type, isOpen }: Lineage): number | undefined {
  return isOpen ? undefined : type || undefined;
}

export interface NamedLineage {
  readonly name: string;
  readonly lineage: Lineage;
}

const UNKNOWN = 705;
const TEXT = 25;
const NO_ORIGINS: ReadonlySet<Origin> = new Set();

/** A value that depends on no data: a constant, count(*). */
export function constant(type?: number): Lineage {
  return { origins: NO_ORIGINS, identity: undefined, type, fields: undefined };
}

/** A value computed from others. */
export function derive(
  parts: Iterable<Lineage>,
  type?: number,
  fields?: readonly NamedLineage[],
): Lineage {
  return { origins: unite(parts), identity: undefined, type, fields };
}

/** One of several values, as in UNION or COALESCE: unchanged only if all are the same column. */
export function oneOf(parts: readonly Lineage[]): Lineage {
  const [first] = parts;
  if (!first) {
    return constant();
  }
  if (parts.every((part) => part === first)) {
    return first;
  }
  const same = parts.every((part) => part.identity === first.identity);
  const sameType = parts.every((part) => part.type === first.type);
  const fields = mergeFields(parts);
  return {
    origins: unite(parts),
    identity: same ? first.identity : undefined,
    row: same && parts.every((part) => part.row === first.row) ? first.row : undefined,
    type: sameType ? first.type : undefined,
    fields,
    document: sameType ? mergeShapes(parts.map((part) => part.document)) : undefined,
  };
}

export function unite(parts: Iterable<Lineage>): ReadonlySet<Origin> {
  const origins = new Set<Origin>();
  for (const part of parts) {
    for (const origin of part.origins) {
      origins.add(origin);
    }
  }
  return origins;
}

export function withOrigins(lineage: Lineage, more: Iterable<Origin>): Lineage {
  const added = [...more];
  const origins = new Set([...lineage.origins, ...added]);
  const { document } = lineage;
  return { ...lineage, origins, document: document && surrounded(document, added) };
}

/** The value as one of this type; of a document in it nothing is known if it had another one. */
export function retyped(lineage: Lineage, type: number | undefined): Lineage {
  return lineage.type === type ? lineage : { ...lineage, type, document: undefined };
}

/** Columns of a query in a query: literals of VALUES become text there. */
export function settled(columns: readonly NamedLineage[]): readonly NamedLineage[] {
  return columns.map((column) => {
    const { type, isOpen } = column.lineage;
    if (type !== UNKNOWN) return column;
    return { name: column.name, lineage: { ...column.lineage, type: isOpen ? undefined : TEXT } };
  });
}

/** The same value, and nothing known of the JSON in it. */
export function withoutDocuments(lineage: Lineage): Lineage {
  const fields = lineage.fields?.map((field) =>
    lazily(field.name, () => withoutDocuments(field.lineage)),
  );
  return { ...lineage, fields, document: undefined };
}

/** The value, or a constant of which nothing is known: neither it nor a part of it is a column. */
export function mixed(lineage: Lineage): Lineage {
  const fields = lineage.fields?.map((field) => lazily(field.name, () => mixed(field.lineage)));
  const document = lineage.document && loosened(lineage.document);
  return { ...lineage, identity: undefined, row: undefined, fields, document };
}

/** The same value, which need not come with others of its row: it can be NULL where these are not. */
export function withoutRow(lineage: Lineage): Lineage {
  const { row, isFixed, fields, ...others } = lineage;
  if (row === undefined && isFixed === undefined && fields === undefined) return lineage;
  return { ...others, fields: fields && withoutRows(fields) };
}

export function withoutRows(columns: readonly NamedLineage[]): readonly NamedLineage[] {
  return columns.map((column) => lazily(column.name, () => withoutRow(column.lineage)));
}

/**
 * The columns of one entry in FROM. What it has from one row of a table is told apart from what another
 * entry has from that table, also where both name the same view or query, or where one looks at the other
 * (LATERAL) and an outer join gives NULL in its place.
 * @param rows gets the row here for each of those inside
 */
export function columnsOfEntry(
  columns: readonly NamedLineage[],
  isTable = false,
  rows = new Map<object | undefined, object>(),
): readonly NamedLineage[] {
  const rowOf = (inner: object | undefined): object | undefined => {
    if (inner === undefined && !isTable) return undefined;
    const row = rows.get(inner) ?? {};
    rows.set(inner, row);
    return row;
  };
  return columns.map((column) =>
    lazily(column.name, () => {
      // An outer join gives NULL in place of a constant.
      const { row, isFixed, ...lineage } = column.lineage;
      return lineage.identity ? { ...lineage, row: rowOf(row) } : lineage;
    }),
  );
}

function mergeFields(parts: readonly Lineage[]): readonly NamedLineage[] | undefined {
  const shapes = parts.map((part) => part.fields);
  const [first] = shapes;
  if (!first || shapes.some((shape) => shape?.length !== first.length)) {
    return undefined;
  }
  return first.map(({ name }, index) =>
    lazily(name, () => oneOf(shapes.map((shape) => shape?.[index]?.lineage ?? constant()))),
  );
}

/**
 * Worked out once, when it is asked for: a row can have the same row in it twice, which has another
 * one twice, and so on, and most fields are never asked for.
 */
export function lazily(name: string, make: () => Lineage): NamedLineage {
  let made: Lineage | undefined;
  return {
    name,
    get lineage() {
      made ??= make();
      return made;
    },
  };
}
