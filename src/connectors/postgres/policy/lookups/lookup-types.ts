/**
 * Types whose values can be looked up: with what a column is compared as it is. Where PostgreSQL
 * converts the column instead, one value can stand for many (`numeric = float8` compares what is left
 * of the numeric column in 53 bits), and whoever chooses the type of the value would choose that.
 */
import { isBuiltIn } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';

/** pg_type OIDs: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const BOOL = 16;
const BYTEA = 17;
const NAME = 19;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const TEXT = 25;
const FLOAT4 = 700;
const FLOAT8 = 701;
const UNKNOWN = 705;
const MACADDR = 829;
const INET = 869;
const BPCHAR = 1042;
const VARCHAR = 1043;
const DATE = 1082;
const TIME = 1083;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const NUMERIC = 1700;
const UUID = 2950;

const INTEGERS = [INT2, INT4, INT8] as const;
/** varchar is compared as the text that it is: a relabelling, no conversion. */
const TEXTS = [TEXT, VARCHAR] as const;

/**
 * By type of the column: types of values whose `=` leaves it alone. Each pair is tried on a server in
 * lookups-server.test.ts. char(n) is not compared with text, which would cut its blanks off.
 */
export const COMPARED_AS_IT_IS = new Map<number, readonly number[]>([
  [BOOL, [BOOL]],
  [BYTEA, [BYTEA]],
  [NAME, [NAME]],
  [INT2, INTEGERS],
  [INT4, INTEGERS],
  [INT8, INTEGERS],
  [TEXT, TEXTS],
  [VARCHAR, TEXTS],
  [BPCHAR, [BPCHAR]],
  [FLOAT4, [FLOAT4, FLOAT8]],
  [FLOAT8, [FLOAT4, FLOAT8, NUMERIC, ...INTEGERS]],
  [NUMERIC, [NUMERIC, ...INTEGERS]],
  [DATE, [DATE]],
  [TIME, [TIME]],
  [TIMESTAMP, [TIMESTAMP]],
  [TIMESTAMPTZ, [TIMESTAMPTZ]],
  [UUID, [UUID]],
  [INET, [INET]],
  [MACADDR, [MACADDR]],
]);

/** A literal or an undeclared parameter takes the type of the column. */
export function isComparable(
  facts: StatementFacts,
  column: number,
  value: number | undefined,
): boolean {
  const others = isCitext(facts, column) ? [column, ...TEXTS] : COMPARED_AS_IT_IS.get(column);
  return others !== undefined && value !== undefined && [UNKNOWN, ...others].includes(value);
}

/** Whether lower() and upper() take it as the text that it is. */
export function isText(facts: StatementFacts, type: number | undefined): boolean {
  return type !== undefined && (isOneOf(TEXTS, type) || isCitext(facts, type));
}

export function isTextValue(type: number | undefined): boolean {
  return type !== undefined && isOneOf([UNKNOWN, ...TEXTS], type);
}

/**
 * A type that a value may have on its way to the comparison. Not a domain: it can have a collation of
 * its own, by which values that differ are equal, and the comparison would go by that.
 */
export function isPlainType(facts: StatementFacts, oid: number): boolean {
  const type = facts.context.catalog.typeByOid(oid);
  return (
    oid === UNKNOWN ||
    isCitext(facts, oid) ||
    (type !== undefined && isBuiltIn(type) && type.kind === 'b')
  );
}

/** The type of the elements of an array type; undefined: it is none (int2vector, name are not). */
export function plainElement(facts: StatementFacts, oid: number): number | undefined {
  const { catalog } = facts.context;
  const element = catalog.typeByOid(oid)?.elementOid ?? 0;
  const isArray = catalog.typeByOid(element)?.arrayOid === oid;
  return isArray && isPlainType(facts, element) ? element : undefined;
}

/** That of the extension: another type of this name has other operators. */
function isCitext({ context: { catalog } }: StatementFacts, oid: number): boolean {
  const type = catalog.typeByOid(oid);
  return (
    type?.name === 'citext' &&
    !isBuiltIn(type) &&
    catalog
      .operators(type.schema, '=')
      .some(
        ({ left, right, called }) =>
          called?.extension === 'citext' && left === oid && right === oid,
      )
  );
}

function isOneOf(types: readonly number[], type: number): boolean {
  return types.includes(type);
}
