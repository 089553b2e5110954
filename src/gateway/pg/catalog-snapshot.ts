/** Rows of the system catalogs → the catalog that statements are judged by. */
import { createHash } from 'node:crypto';
import { isHarmlessExtension } from '../../policy/sql/functions-table.ts';
import type {
  Catalog,
  CatalogColumn,
  CatalogFunction,
  CatalogRelation,
  CatalogType,
} from '../../policy/sql/types.ts';
import { codeByRelation, isHarmless, NO_CODE, type OwnCode, ownCode } from './catalog-code.ts';
import { number, oids, type Row, text } from './catalog-rows.ts';

export interface CatalogRows {
  readonly server: readonly Row[];
  readonly schemas: readonly Row[];
  readonly relations: readonly Row[];
  readonly columns: readonly Row[];
  readonly inherits: readonly Row[];
  readonly triggers: readonly Row[];
  readonly rules: readonly Row[];
  readonly foreignKeys: readonly Row[];
  readonly functions: readonly Row[];
  readonly types: readonly Row[];
  readonly operators: readonly Row[];
  readonly casts: readonly Row[];
  readonly code: readonly Row[];
}

/** Texts in the catalog that were parsed: view definitions and generation expressions. */
export interface ParsedTexts {
  readonly view: (definition: string) => unknown;
  /** Names of the columns that an expression uses; undefined = could not be parsed. */
  readonly columnNames: (expression: string) => readonly string[] | undefined;
}

export function catalogSnapshot(
  rows: CatalogRows,
  parsed: ParsedTexts,
  generation: number,
): Catalog {
  const functions = rows.functions.map(catalogFunction);
  const functionByOid = new Map(functions.map((one) => [one.oid, one]));
  const code = ownCode(rows.code, functionByOid);
  const types = catalogTypes(rows, code.type);
  const relations = catalogRelations(rows, parsed, code, types);
  const relationByName = new Map(relations.map((one) => [key(one.schema, one.name), one]));
  const relationByOid = new Map(relations.map((one) => [one.oid, one]));
  const functionsByName = Map.groupBy(functions, (one) => key(one.schema, one.name));
  const typeByName = new Map([...types.values()].map((one) => [key(one.schema, one.name), one]));
  const operators = Map.groupBy(userOperators(rows.operators, functionByOid), (one) => one.key);
  const children = Map.groupBy(rows.inherits, (row) => number(row[1]));
  const [server] = rows.server;
  return {
    generation,
    majorVersion: Math.floor(number(server?.[0]) / 10_000),
    database: text(server?.[1]),
    eventTriggers: server?.[2] === 't',
    code: codeDigest(rows),
    schemas: rows.schemas.map((row) => text(row[0])),
    relation: (schema, name) => relationByName.get(key(schema, name)),
    relationByOid: (oid) => relationByOid.get(oid),
    childrenOf: (oid) =>
      (children.get(oid) ?? []).flatMap((row) => relationByOid.get(number(row[0])) ?? []),
    functions: (schema, name) => functionsByName.get(key(schema, name)) ?? [],
    type: (schema, name) => typeByName.get(key(schema, name)),
    typeByOid: (oid) => types.get(oid),
    userOperators: (schema, name) =>
      (operators.get(key(schema, name)) ?? []).map((one) => one.function),
    userCasts: rows.casts
      .filter((row) => !isHarmless(functionByOid.get(number(row[2]))))
      .map((row) => [number(row[0]), number(row[1])]),
  };
}

/** Whoever replaces a function keeps its OID: that it does something else shows here. */
function codeDigest({ functions, triggers, rules }: CatalogRows): string {
  const own = functions.flatMap((row) => (row[16] ? [[row[0], row[16]]] : []));
  return createHash('sha256')
    .update(JSON.stringify([own, triggers, rules]))
    .digest('hex');
}

function catalogFunction(row: Row): CatalogFunction {
  const outputs = functionOutputs(row);
  return {
    oid: number(row[0]),
    schema: text(row[1]),
    name: text(row[2]),
    kind: text(row[3]),
    volatility: row[4] === 'i' || row[4] === 's' ? row[4] : 'v',
    returnTypeOid: number(row[5]),
    returnsSet: row[6] === 't',
    argTypeOids: oids(row[7]),
    language: text(row[8]),
    securityDefiner: row[9] === 't',
    ...(row[10] ? { extension: row[10] } : {}),
    variadic: row[11] === 't',
    defaults: number(row[12]),
    ...(outputs ? { outputs } : {}),
  };
}

/** OUT (o), INOUT (b) and TABLE (t) parameters. */
function functionOutputs(row: Row): CatalogFunction['outputs'] {
  const [types, modes, names] = [row[13], row[14], row[15]];
  if (!types || !modes) {
    return undefined;
  }
  const parsed: unknown = names ? JSON.parse(names) : [];
  const list = Array.isArray(parsed) ? parsed.map(String) : [];
  const outputs = oids(types).flatMap((typeOid, index) =>
    'obt'.includes(modes[index] ?? '-') ? [{ name: list[index] ?? '', typeOid }] : [],
  );
  return outputs.length > 0 ? outputs : undefined;
}

function catalogTypes(
  rows: CatalogRows,
  withChecks: ReadonlySet<number>,
): ReadonlyMap<number, CatalogType> {
  const rowTypes = Map.groupBy(
    rows.columns.filter((row) => row[4] !== 't'),
    (row) => number(row[0]),
  );
  const byOid = new Map(rows.types.map((row) => [number(row[0]), row]));
  const runsCode = (oid: number, open: ReadonlySet<number>): boolean => {
    const row = byOid.get(oid);
    if (!row || open.has(oid)) {
      return false;
    }
    const inside = new Set([...open, oid]);
    const ownFunctions = row[9] === 't' && !isHarmlessExtension(row[8] ?? undefined);
    const parts = [
      number(row[5]),
      number(row[6]),
      ...(rowTypes.get(number(row[4])) ?? []).map((column) => number(column[3])),
    ];
    return (
      ownFunctions ||
      withChecks.has(oid) ||
      parts.some((part) => part !== 0 && runsCode(part, inside))
    );
  };
  return new Map(
    rows.types.map((row) => {
      const oid = number(row[0]);
      return [
        oid,
        {
          oid,
          schema: text(row[1]),
          name: text(row[2]),
          kind: text(row[3]),
          relationOid: number(row[4]),
          elementOid: number(row[5]),
          baseOid: number(row[6]),
          arrayOid: number(row[7]),
          runsUserCode: oid >= 16_384 && runsCode(oid, new Set()),
        },
      ];
    }),
  );
}

function catalogRelations(
  rows: CatalogRows,
  parsed: ParsedTexts,
  code: OwnCode,
  types: ReadonlyMap<number, CatalogType>,
): CatalogRelation[] {
  const columns = Map.groupBy(rows.columns, (row) => number(row[0]));
  const parents = Map.groupBy(rows.inherits, (row) => number(row[0]));
  const referencing = Map.groupBy(rows.foreignKeys, (row) => number(row[1]));
  const codeTypes = rows.columns.filter((row) => types.get(number(row[3]))?.runsUserCode);
  const codeOnChange = codeByRelation(
    rows,
    new Set([...code.write, ...codeTypes.map((row) => number(row[0]))]),
  );
  return rows.relations.map((row) => {
    const oid = number(row[0]);
    const own = relationColumns(columns.get(oid) ?? [], parsed);
    const codeOn = codeOnChange.get(oid) ?? NO_CODE;
    const definition = row[6] ?? undefined;
    return {
      oid,
      schema: text(row[1]),
      name: text(row[2]),
      kind: text(row[3]),
      rowTypeOid: number(row[4]),
      rowSecurity: row[5] === 't',
      hasTriggersOrRules: codeOn.runs.size > 0,
      codeOn,
      rowSecurityRunsUserCode: row[5] === 't' && code.read.has(oid),
      viewDefinition: definition,
      ...(definition === undefined ? {} : { viewTree: parsed.view(definition) }),
      columns: own,
      referencedBy: (referencing.get(oid) ?? []).map((key) => number(key[0])),
      parents: (parents.get(oid) ?? []).map((parent) => number(parent[1])),
    };
  });
}

function relationColumns(rows: readonly Row[], parsed: ParsedTexts): readonly CatalogColumn[] {
  return rows.map((row) => {
    const generatedFrom = row[5] ?? undefined;
    const names = generatedFrom === undefined ? undefined : parsed.columnNames(generatedFrom);
    const used = names && rows.filter((other) => names.includes(text(other[2])));
    return {
      attnum: number(row[1]),
      name: text(row[2]),
      typeOid: number(row[3]),
      dropped: row[4] === 't',
      generatedFrom,
      ...(used ? { generatedColumns: used.map((other) => number(other[1])) } : {}),
    };
  });
}

/** The function behind each operator, with the operator's own operand types. */
function userOperators(rows: readonly Row[], functions: ReadonlyMap<number, CatalogFunction>) {
  return rows.map((row) => {
    const called = functions.get(number(row[4]));
    const operands = [number(row[2]), number(row[3])].filter((oid) => oid !== 0);
    const unknown: CatalogFunction = {
      oid: number(row[4]),
      schema: '',
      name: text(row[1]),
      kind: 'f',
      volatility: 'v',
      returnTypeOid: 0,
      returnsSet: false,
      argTypeOids: operands,
      language: '',
      securityDefiner: false,
    };
    return {
      key: key(text(row[0]), text(row[1])),
      function: { ...(called ?? unknown), argTypeOids: operands },
    };
  });
}

/** No name can hold a zero byte. */
function key(schema: string, name: string): string {
  return `${schema}\0${name}`;
}
