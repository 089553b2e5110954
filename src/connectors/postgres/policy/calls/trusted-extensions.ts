/**
 * Functions of extensions that only compute from their arguments. An extension is known by the name of
 * its control file, wherever it was installed to. What belongs to it need not come from it: who owns it
 * can add functions with ALTER EXTENSION. So the code of one must be what only a superuser can have put
 * there: a library, or what a superuser owns.
 */
import type { CatalogFunction } from '../facts/catalog-types.ts';

/** All that they bring computes; read from their SQL scripts and C sources. */
const COMPUTING: ReadonlySet<string> = new Set([
  'btree_gin',
  'btree_gist',
  'citext',
  'cube',
  'earthdistance',
  'fuzzystrmatch',
  'hstore',
  'intarray',
  'ip4r',
  'isn',
  'ltree',
  'pg_trgm',
  'pg_uuidv7',
  'pgcrypto',
  'seg',
  'semver',
  'unaccent',
  'uuid-ossp',
  'vector',
]);

/** These bring functions as well that read tables, run SQL or manage something. */
const MIXED: ReadonlySet<string> = new Set(['postgis', 'tablefunc', 'timescaledb']);

/** VOLATILE only because they draw random numbers, or fill gaps between rows. */
const COMPUTING_ANEW: ReadonlySet<string> = new Set([
  'normal_rand',
  'st_clusterkmeans',
  'st_generatepoints',
  'time_bucket_gapfill',
]);
/** Runs SQL and is called IMMUTABLE. */
const RUNNING_SQL: ReadonlySet<string> = new Set(['st_fromflatgeobuftotable']);

/** text, name, varchar, bpchar, boolean, integers: what can say which table to read, and hold no data of one. */
const NAMING: ReadonlySet<number> = new Set([25, 19, 1043, 1042, 16, 20, 21, 23]);
/** oid and the reg* types, which are objects of the database. */
const OBJECTS: ReadonlySet<number> = new Set([
  26, 24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
]);

export function isComputingExtension(extension: string | undefined): boolean {
  return extension !== undefined && COMPUTING.has(extension);
}

export function isKnownExtension(extension: string | undefined): boolean {
  return isComputingExtension(extension) || (extension !== undefined && MIXED.has(extension));
}

/** Of a known extension, and it computes from its arguments and touches no table, file or network. */
export function isPlainFunction(called: CatalogFunction): boolean {
  const { extension, kind, language, ownedBySuperuser } = called;
  // Anybody can make an aggregate, whose language is `internal`.
  const isLibrary = kind !== 'a' && (language === 'c' || language === 'internal');
  if (!isKnownExtension(extension) || !(isLibrary || ownedBySuperuser)) return false;
  return isComputingExtension(extension) || computes(called);
}

/** By what its author says of it, and by what it is given. */
function computes({ kind, name, volatility, language, argTypeOids }: CatalogFunction): boolean {
  if (kind === 'p' || RUNNING_SQL.has(name)) return false;
  if (volatility === 'i') return true;
  if (volatility === 'v') return COMPUTING_ANEW.has(name);
  const isNaming = argTypeOids.length > 0 && argTypeOids.every((type) => NAMING.has(type));
  return language === 'c' && !isNaming && !argTypeOids.some((type) => OBJECTS.has(type));
}
