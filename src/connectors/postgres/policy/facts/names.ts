/** What a name in a statement means, by the catalog and the search_path. */

import { type Node, namesOf } from '../parse/tree.ts';
import type { CatalogFunction, CatalogRelation, CatalogType } from './catalog-types.ts';
import { SESSION_TEMP, type StatementFacts } from './statement-facts.ts';

/** OIDs from here on belong to objects that are not built in (FirstNormalObjectId). */
const FIRST_USER_OID = 16_384;

export function isBuiltIn(object: { readonly oid: number }): boolean {
  return object.oid > 0 && object.oid < FIRST_USER_OID;
}

interface RelationName {
  readonly catalogname?: string;
  readonly schemaname?: string;
  readonly relname?: string;
  readonly relpersistence?: string;
  readonly location?: number;
}

/** @returns undefined after it has said why: unknown name, unknown search_path. */
export function findRelation(
  facts: StatementFacts,
  name: RelationName,
): CatalogRelation | undefined {
  const { catalog } = facts.context;
  const { location } = name;
  const relation = name.relname ?? '';
  if (name.catalogname !== undefined && name.catalogname !== catalog.database) {
    facts.refuse(`database ${name.catalogname} is not the current one`, { location });
    return undefined;
  }
  if (name.schemaname !== 'pg_catalog') refuseUnsettled(facts, relation, location);
  if (name.schemaname !== undefined) {
    const schema = schemaNamed(facts, name.schemaname);
    const found = schema === undefined ? undefined : catalog.relation(schema, relation);
    return found ?? missing(facts, `${name.schemaname}.${relation}`, location);
  }
  const path = searchPath(facts);
  if (!path) {
    refuseUnplaced(facts, name);
    return undefined;
  }
  for (const schema of path) {
    const found = catalog.relation(schema, relation);
    if (found) {
      return found;
    }
  }
  return missing(facts, relation, location);
}

function refuseUnplaced(facts: StatementFacts, { relname = '', location }: RelationName): void {
  const what = relname === '' ? 'what has no schema' : relname;
  facts.refuse(`search_path is not known here, so ${what} could be any relation`, {
    hint: 'Write the schema in front of the name.',
    location,
  });
}

/** A relation that a command drops, alters or uses: it need not exist. */
export function findTarget(facts: StatementFacts, name: RelationName): CatalogRelation | undefined {
  const { catalog } = facts.context;
  const relation = name.relname ?? '';
  refuseUnsettled(facts, relation, name.location);
  const schemas =
    name.schemaname === undefined ? searchPath(facts) : [schemaNamed(facts, name.schemaname)];
  // Rules name relations with their schema: one that denies it here must not miss it.
  if (!schemas) refuseUnplaced(facts, name);
  for (const schema of schemas ?? []) {
    const found = schema === undefined ? undefined : catalog.relation(schema, relation);
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** The schema that a new relation goes to; '' where it is not known. */
export function creationSchema(facts: StatementFacts, name: RelationName): string {
  if (name.relpersistence === 't') return 'pg_temp';
  if (name.schemaname !== undefined) return name.schemaname;
  const path = facts.context.searchPath;
  if (!path) refuseUnplaced(facts, name);
  // The first one that is not a system's.
  return (path ?? []).find((schema) => !schema.startsWith('pg_')) ?? '';
}

/** A relation that would be in the way of a new one, or that it replaces. */
export function findInTheWay(
  facts: StatementFacts,
  name: RelationName,
): CatalogRelation | undefined {
  const schema = schemaNamed(facts, creationSchema(facts, name));
  return schema === undefined
    ? undefined
    : facts.context.catalog.relation(schema, name.relname ?? '');
}

/** The schemas to search, the session's temporary one included; undefined = not known. */
export function searchPath(facts: StatementFacts): readonly string[] | undefined {
  return facts.view ? facts.viewPath : facts.context.searchPath;
}

/** `pg_temp` is an alias of the session's own temporary schema. */
function schemaNamed(facts: StatementFacts, schema: string): string | undefined {
  return schema === 'pg_temp'
    ? facts.context.searchPath?.find((name) => SESSION_TEMP.test(name))
    : schema;
}

function missing(facts: StatementFacts, name: string, location: number | undefined): undefined {
  facts.refuse(`${name} is not known`, { location, missing: name });
  return undefined;
}

/** After DDL that has not been read again, names outside pg_catalog may mean something else. */
function refuseUnsettled(facts: StatementFacts, name: string, location: number | undefined): void {
  if (facts.context.unsettled && !facts.view) {
    facts.refuse(`${name} may have changed since the catalog was read`, {
      hint: 'Send it separately, after the change is committed.',
      location,
      unsettled: true,
    });
  }
}

/** As above, for functions and operators, built-in ones too: one of its own can take precedence. */
export function refuseUnsettledCode(
  facts: StatementFacts,
  name: string,
  location: number | undefined,
): void {
  if (facts.context.unsettled === 'all') refuseUnsettled(facts, name, location);
}

export interface FunctionSearch {
  /** All functions that the call may mean, before looking at argument types. */
  readonly candidates: readonly CatalogFunction[];
  readonly name: string;
}

/** Functions, aggregates and procedures of that name which take so many arguments. */
export function findFunctions(
  facts: StatementFacts,
  qualified: readonly string[],
  argumentCount: number,
): FunctionSearch {
  const { catalog } = facts.context;
  const name = qualified.at(-1) ?? '';
  const schemas = functionSchemas(facts, qualified);
  const candidates = schemas
    .flatMap((schema) => catalog.functions(schema, name))
    .filter((candidate) => takes(candidate, argumentCount));
  return { candidates, name };
}

/** The schemas in which a function or operator name is looked up; temporary ones only by name. */
export function functionSchemas(
  facts: StatementFacts,
  qualified: readonly string[],
): readonly string[] {
  const schema = qualified.at(-2);
  if (schema !== undefined) {
    const resolved = schemaNamed(facts, schema);
    return resolved === undefined ? [] : [resolved];
  }
  // An unknown search_path can hold any schema.
  const path = searchPath(facts) ?? facts.context.catalog.schemas;
  return path.filter((name) => !name.startsWith('pg_temp'));
}

/** Whether it is known in which order schemas are searched for it. */
export function isPathKnown(facts: StatementFacts, qualified: readonly string[]): boolean {
  if (qualified.length > 1) return true;
  return searchPath(facts) !== undefined && !(facts.view && facts.viewPathIsOpen);
}

function takes(candidate: CatalogFunction, count: number): boolean {
  const parameters = candidate.argTypeOids.length;
  if (candidate.variadic) {
    return count >= parameters - 1 - (candidate.defaults ?? 0);
  }
  return count <= parameters && count >= parameters - (candidate.defaults ?? 0);
}

interface TypeNameFields {
  readonly names?: readonly Node[];
  readonly arrayBounds?: readonly Node[];
  readonly pct_type?: boolean;
  readonly location?: number;
}

/** @returns undefined after it has said why. */
export function findType(
  facts: StatementFacts,
  typeName: TypeNameFields | undefined,
): CatalogType | undefined {
  const names = namesOf(typeName?.names);
  const name = names?.at(-1);
  if (!typeName || !names || name === undefined || typeName.pct_type) {
    facts.unknown('this type name', typeName?.location);
    return undefined;
  }
  const base = typeNamed(facts, names, name);
  if (!base) {
    facts.refuse(`type ${names.join('.')} is not known`, {
      location: typeName.location,
      missing: names.join('.'),
    });
    return undefined;
  }
  // A row type of a table can take the place of a built-in type that is not looked up first.
  const isCertain = names.length > 1 || searchPath(facts)?.[0] === 'pg_catalog';
  if (!isBuiltIn(base) || !isCertain) {
    refuseUnsettled(facts, name, typeName.location);
  }
  if (base.runsUserCode) {
    facts.runsUserCode = true;
    facts.refuse(`type ${base.schema}.${base.name} runs code that is not built in`, {
      location: typeName.location,
    });
  }
  const isArray = (typeName.arrayBounds?.length ?? 0) > 0;
  return isArray ? facts.context.catalog.typeByOid(base.arrayOid ?? 0) : base;
}

/** A type that a command drops, alters or comments on: it need not exist. */
export function findTypeTarget(
  facts: StatementFacts,
  names: readonly string[],
): CatalogType | undefined {
  const name = names.at(-1) ?? '';
  refuseUnsettled(facts, name, undefined);
  return typeNamed(facts, names, name);
}

/** Without a word when it is not known. */
export function typeNamed(
  facts: StatementFacts,
  names: readonly string[],
  name: string,
): CatalogType | undefined {
  const { catalog } = facts.context;
  const schema = names.at(-2);
  if (schema !== undefined) {
    const resolved = schemaNamed(facts, schema);
    return resolved === undefined ? undefined : catalog.type(resolved, name);
  }
  const path = searchPath(facts);
  if (path) {
    return firstOf(path, (candidate) => catalog.type(candidate, name));
  }
  const everywhere = catalog.schemas.flatMap((candidate) => catalog.type(candidate, name) ?? []);
  return everywhere.length === 1 ? everywhere[0] : undefined;
}

function firstOf<T>(
  path: readonly string[],
  find: (schema: string) => T | undefined,
): T | undefined {
  for (const schema of path) {
    const found = find(schema);
    if (found) {
      return found;
    }
  }
  return undefined;
}
