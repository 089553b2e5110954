/** Types of strings, by OID (src/include/catalog/pg_type.dat). */
const TEXT = 25;
const BPCHAR = 1042;
const VARCHAR = 1043;

const STRINGS: ReadonlySet<number> = new Set([TEXT, VARCHAR, BPCHAR]);

/** Between them every value converts without a fault. */
export function isString(type: number | undefined): boolean {
  return type !== undefined && STRINGS.has(type);
}

/** Strings that are equal when their bytes are: char(n) is not, it ignores blanks at the end. */
export function isPlainString(type: number | undefined): boolean {
  return type === TEXT || type === VARCHAR;
}

const SCALARS: ReadonlySet<number> = new Set([16, 20, 21, 23, 700, 701, 1082, 1700, 2950]);

/** boolean, integers, floats, date, numeric, uuid: each value of them can be written as a string. */
export function isWritable(type: number | undefined): boolean {
  return type !== undefined && SCALARS.has(type);
}
