/** Types of strings, and what can be written as one, by OID (src/include/catalog/pg_type.dat). */
import type { Catalog, CatalogType } from './catalog-types.ts';

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

/** Types of PostgreSQL itself have lower OIDs (FirstNormalObjectId in src/include/access/transam.h). */
const FIRST_USER_OID = 16_384;
/** bytea, bit and varbit: their text is longer than the value, and a long one does not fit. */
const GROWING: ReadonlySet<number> = new Set([17, 1560, 1562]);
/** base, enum, multirange, range */
const WRITTEN: ReadonlySet<string> = new Set(['b', 'e', 'm', 'r']);

/**
 * Whether a cast to a string writes each value of the type as `SELECT column` does, by code of the
 * server. Casts that a user has made are noted elsewhere (applied-casts.ts).
 * @param type no domain
 */
export function isWritable(catalog: Catalog, type: number | undefined): boolean {
  const known = catalog.typeByOid(type ?? 0);
  if (!known || known.runsUserCode || GROWING.has(known.oid)) return false;
  const element = known.elementOid === 0 ? undefined : catalog.typeByOid(known.elementOid);
  if (element && element.arrayOid === known.oid) return isWritten(element);
  return isWritten(known);
}

function isWritten({ oid, kind, runsUserCode }: CatalogType): boolean {
  const isOurs = oid < FIRST_USER_OID || kind === 'e';
  return isOurs && !runsUserCode && WRITTEN.has(kind) && !GROWING.has(oid);
}
