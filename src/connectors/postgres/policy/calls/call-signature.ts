import type { Catalog } from '../facts/catalog-types.ts';
import type { Lineage } from '../facts/lineage.ts';
import { as, type Node } from '../parse/tree.ts';

/** What format_type() writes where it is not pg_type.typname. */
const SQL_NAMES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  bpchar: 'character',
  char: '"char"',
  float4: 'real',
  float8: 'double precision',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  time: 'time without time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  timetz: 'time with time zone',
  varbit: 'bit varying',
  varchar: 'character varying',
};

/**
 * `name(integer, text)`, as the server's messages have it; the name alone where it cannot be told
 * what stands in the call. Whether the schema of a type is written depends on the search_path.
 */
export function callSignature(
  catalog: Catalog,
  names: readonly string[],
  args: readonly Lineage[],
  nodes: readonly Node[] | undefined,
): string {
  const types = args.map(({ type }) => typeName(catalog, type));
  if (types.includes(undefined)) return names.join('.');
  const written = types.map((type, index) => {
    const name = as(nodes?.[index], 'NamedArgExpr')?.name;
    return name === undefined ? type : `${name} => ${type}`;
  });
  return `${names.join('.')}(${written.join(', ')})`;
}

function typeName(catalog: Catalog, oid: number | undefined): string | undefined {
  const type = catalog.typeByOid(oid ?? 0);
  if (type?.schema !== 'pg_catalog') return undefined;
  if (type.elementOid === 0 || !type.name.startsWith('_')) return SQL_NAMES[type.name] ?? type.name;
  const element = typeName(catalog, type.elementOid);
  return element === undefined ? undefined : `${element}[]`;
}
