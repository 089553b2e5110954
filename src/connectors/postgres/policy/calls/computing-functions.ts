/**
 * Functions in SQL that only compute from their arguments: then a call is what the same expression of
 * built-in functions would be.
 *
 * The server looks up names in a body when it runs, in the search_path of then, which is the caller's.
 * So a name counts as everything in any schema that it could mean.
 */

import type { CalledFunction, Catalog, CatalogFunction } from '../facts/catalog-types.ts';
import { constant, type Lineage } from '../facts/lineage.ts';
import { isBuiltIn, typeNamed } from '../facts/names.ts';
import type { Scope } from '../facts/scope.ts';
import { StatementFacts, TooComplex, type Walks } from '../facts/statement-facts.ts';
import { type Node, namesOf } from '../parse/tree.ts';
import { OverBudget, WorkBudget } from '../parse/work-budget.ts';
import { noteAssigned } from './applied-casts.ts';
import { type FunctionBody, parameterName } from './function-body.ts';

/** A body of the largest size (catalog-queries.ts) takes a tenth of it. */
const MAX_STEPS = 20_000;
/** Names in the body times schemas: each is looked up in each. */
const MAX_LOOKUPS = 100_000;
/** Base, domain, enum, range, multirange: types of one value. */
const ONE_VALUE: ReadonlySet<string> = new Set(['b', 'd', 'e', 'r', 'm']);

/** @returns the functions that it calls; undefined: it could do anything. */
export function callsOfComputation(
  catalog: Catalog,
  called: CatalogFunction,
  body: FunctionBody,
  walks: Walks,
): readonly CalledFunction[] | undefined {
  const { kind, returnsSet, securityDefiner, variadic, outputs, argTypeOids, returnTypeOid } =
    called;
  const isScalar = kind === 'f' && !returnsSet && !variadic && outputs === undefined;
  const types = [...argTypeOids, returnTypeOid];
  if (!isScalar || securityDefiner || !types.every((oid) => isOneValue(catalog, oid))) {
    return undefined;
  }
  if (namesIn(body.selects) * catalog.schemas.length > MAX_LOOKUPS) return undefined;
  try {
    const probe = probed(catalog, called, body, walks);
    return isPure(probe) ? callsOf(probe, body) : undefined;
  } catch (error) {
    if (error instanceof TooComplex || error instanceof OverBudget) return undefined;
    throw error;
  }
}

/** Neither a row, whose columns have masks of their own, nor of a type that is known in the call only. */
function isOneValue(catalog: Catalog, oid: number): boolean {
  const type = catalog.typeByOid(oid);
  if (type === undefined || !ONE_VALUE.has(type.kind) || type.runsUserCode) return false;
  return [type.elementOid, type.baseOid].every((part) => part === 0 || isOneValue(catalog, part));
}

function probed(
  catalog: Catalog,
  called: CatalogFunction,
  { selects, parameters }: FunctionBody,
  walks: Walks,
): StatementFacts {
  const context = {
    catalog,
    searchPath: undefined,
    role: undefined,
    parameterTypes: [],
    cursor: () => undefined,
    prepared: () => undefined,
  };
  const probe = new StatementFacts(context, walks, new WorkBudget(MAX_STEPS));
  // It stands for whatever the caller passes: wherever a masked value must not get, it is found.
  const passed = new Set([probe.rows(called, false)]);
  const columns = called.argTypeOids.flatMap((type, index) => {
    const lineage: Lineage = { ...constant(type), origins: passed };
    const names = [parameterName(index + 1), parameters[index] ?? ''];
    return names.filter((name) => name !== '').map((name) => ({ name, lineage }));
  });
  const table = { name: called.name, schema: undefined, relation: undefined, columns };
  const scope: Scope = { tables: [table], columns, outer: undefined };
  const [result] = selects.map((select) => walks.query(probe, select, scope));
  const [value] = result?.columns ?? [];
  noteAssigned(probe, value?.lineage ?? constant(), called.returnTypeOid);
  return probe;
}

function isPure(probe: StatementFacts): boolean {
  const { opaque, settings, verbs } = probe;
  const { reads, writes, sequences, serverAccess, shaping, stored } = probe;
  const sets = [reads, writes, sequences, serverAccess, shaping, stored];
  const isQuiet = !probe.runsUserCode && !probe.changesCatalog && probe.loginChange === undefined;
  return (
    isQuiet &&
    opaque.length + settings.length === 0 &&
    verbs.every((verb) => verb === 'select') &&
    sets.every(({ size }) => size === 0)
  );
}

function callsOf(
  probe: StatementFacts,
  { selects, isBound }: FunctionBody,
): readonly CalledFunction[] | undefined {
  const calls: CalledFunction[] = [];
  for (const { schema = '', name, builtIn } of probe.functions.values()) {
    calls.push({ schema, name, builtIn });
  }
  // What a bound body calls can get another name, and something else its old one.
  const isFixed = calls.every(({ builtIn }) => builtIn) && typesAreBuiltIn(probe, selects);
  return isBound && !isFixed ? undefined : calls;
}

function typesAreBuiltIn(probe: StatementFacts, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  const names = 'typeName' in value ? typeNames(value.typeName) : undefined;
  const type = names && typeNamed(probe, names, names.at(-1) ?? '');
  if (names !== undefined && !(type && isBuiltIn(type))) return false;
  return Object.values(value).every((inner) => typesAreBuiltIn(probe, inner));
}

function typeNames(type: unknown): readonly string[] {
  if (typeof type !== 'object' || type === null || !('names' in type)) return [];
  // Whatever stands there otherwise is no name that is known.
  return (Array.isArray(type.names) ? namesOf(type.names as readonly Node[]) : undefined) ?? [];
}

/** Keys of nodes under which there is a name to look up. */
const NAMED: ReadonlySet<string> = new Set(['funcname', 'name', 'names', 'fields']);

function namesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce(
    (count, [key, inner]) => count + (NAMED.has(key) ? 1 : 0) + namesIn(inner),
    0,
  );
}
