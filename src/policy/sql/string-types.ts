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
