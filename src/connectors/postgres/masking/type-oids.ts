/** OIDs of built-in types, from src/include/catalog/pg_type.dat; they never change. */
export const TYPE = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  float4: 700,
  float8: 701,
  unknown: 705,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
  cstring: 2275,
  record: 2249,
  jsonb: 3802,
} as const satisfies Record<string, number>;

const TEXT_TYPES: ReadonlySet<number> = new Set([
  TYPE.text,
  TYPE.varchar,
  TYPE.bpchar,
  TYPE.name,
  TYPE.unknown,
  TYPE.cstring,
]);

/** Types whose text and binary form are both the plain string, of any length. */
export function isBuiltInText(typeOid: number): boolean {
  return TEXT_TYPES.has(typeOid);
}

/** Types none of whose values can hold what a detector looks for. */
export const OPAQUE_TO_DETECTORS: ReadonlySet<number> = new Set([
  TYPE.bool,
  TYPE.char,
  TYPE.int2,
  TYPE.int4,
  TYPE.oid,
  TYPE.float4,
  TYPE.date,
  TYPE.time,
  TYPE.timetz,
  TYPE.timestamp,
  TYPE.timestamptz,
  TYPE.interval,
  TYPE.uuid,
  24, // regproc
  2205, // regclass
  2206, // regtype
  27, // tid
  28, // xid
  29, // cid
  650, // cidr
  869, // inet
  829, // macaddr
  774, // macaddr8
  790, // money
  1560, // bit
  1562, // varbit
  3220, // pg_lsn
  5069, // xid8
]);

/** Array types that detectors look into, and their elements. */
export const ELEMENT_TYPE: ReadonlyMap<number, number> = new Map([
  [1001, TYPE.bytea],
  [1003, TYPE.name],
  [1009, TYPE.text],
  [1014, TYPE.bpchar],
  [1015, TYPE.varchar],
  [1016, TYPE.int8],
  [1022, TYPE.float8],
  [1231, TYPE.numeric],
  [199, TYPE.json],
  [3807, TYPE.jsonb],
  [143, TYPE.xml],
]);

/** Arrays of types that hold nothing for detectors. */
export const OPAQUE_ARRAYS: ReadonlySet<number> = new Set([
  1000, 1002, 1005, 1007, 1028, 1021, 1182, 1183, 1270, 1115, 1185, 1187, 2951, 651, 1041, 1040, 22,
  30, 2207, 2208, 2210, 2211, 1561, 1563, 791,
]);
