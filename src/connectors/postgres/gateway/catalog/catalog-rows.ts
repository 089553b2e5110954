/** Rows of a query in text format, and the values in them. */

export type Row = readonly (string | null)[];

export function text(value: string | null | undefined): string {
  return value ?? '';
}

export function number(value: string | null | undefined): number {
  return Number(value ?? 0);
}

/** A boolean that was cast to text. */
export function flag(value: string | null | undefined): boolean {
  return value === 'true';
}

/** @param json - An array of rows, each an array of texts and nulls. */
export function rowsIn(json: string): readonly Row[] {
  const rows: unknown = JSON.parse(json);
  return Array.isArray(rows) ? rows.map(rowOf) : [];
}

/** @param json - An array of texts and nulls. */
export function rowIn(json: string): Row {
  return rowOf(JSON.parse(json));
}

function rowOf(values: unknown): Row {
  return Array.isArray(values)
    ? values.map((value: unknown) => (typeof value === 'string' ? value : null))
    : [];
}

/** `oidvector` and joined arrays: numbers with spaces. */
export function oids(value: string | null | undefined): number[] {
  return (value ?? '').split(' ').filter(Boolean).map(Number);
}
