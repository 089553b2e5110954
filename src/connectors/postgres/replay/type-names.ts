/** Built-in types by OID, as in PostgreSQL's pg_type.dat: name, whether it is a number. */
const TYPES: Readonly<Record<number, string>> = {
  16: 'bool',
  17: 'bytea',
  18: '"char"',
  19: 'name',
  20: 'int8',
  21: 'int2',
  23: 'int4',
  24: 'regproc',
  25: 'text',
  26: 'oid',
  114: 'json',
  142: 'xml',
  600: 'point',
  700: 'float4',
  701: 'float8',
  705: 'unknown',
  790: 'money',
  829: 'macaddr',
  869: 'inet',
  650: 'cidr',
  1042: 'bpchar',
  1043: 'varchar',
  1082: 'date',
  1083: 'time',
  1114: 'timestamp',
  1184: 'timestamptz',
  1186: 'interval',
  1266: 'timetz',
  1560: 'bit',
  1562: 'varbit',
  1700: 'numeric',
  2205: 'regclass',
  2249: 'record',
  2278: 'void',
  2950: 'uuid',
  3802: 'jsonb',
  1000: 'bool[]',
  1001: 'bytea[]',
  1003: 'name[]',
  1005: 'int2[]',
  1007: 'int4[]',
  1009: 'text[]',
  1015: 'varchar[]',
  1016: 'int8[]',
  1021: 'float4[]',
  1022: 'float8[]',
  1028: 'oid[]',
  1115: 'timestamp[]',
  1182: 'date[]',
  1185: 'timestamptz[]',
  1231: 'numeric[]',
  2951: 'uuid[]',
  199: 'json[]',
  3807: 'jsonb[]',
};

const NUMBERS = new Set(['int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'money']);

/** @returns e.g. `int4`, `text[]`, or `type 16412` for what only the target's catalog knows. */
export function typeName(oid: number): string {
  // 0 in a Parse message leaves the type to the server.
  return oid === 0 ? 'unspecified' : (TYPES[oid] ?? `type ${oid}`);
}

export function isNumber(oid: number): boolean {
  return NUMBERS.has(typeName(oid));
}
