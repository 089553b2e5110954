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

/** `oidvector` and joined arrays: numbers with spaces. */
export function oids(value: string | null | undefined): number[] {
  return (value ?? '').split(' ').filter(Boolean).map(Number);
}
