/** Which functions of a name the server could call with these arguments. */
import type { Catalog, CatalogFunction } from '../facts/catalog-types.ts';
import { inputOf } from '../facts/lineage.ts';
import { isPathKnown } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as } from '../parse/tree.ts';
import { variadicElement } from './coercions.ts';
import type { Call } from './functions.ts';
import { bestOverloads, fittingOverloads, type Overload, visible } from './overloads.ts';

export interface FunctionCandidate extends Overload {
  readonly called: CatalogFunction;
}

export interface Resolution {
  /** One, if it is known what the arguments are; none where nothing fits. */
  readonly possible: readonly FunctionCandidate[];
  /** It takes exactly these types. */
  readonly isExact: boolean;
}

/** @param all functions of that name, in the order in which they are looked up */
export function resolveFunction(
  facts: StatementFacts,
  call: Call,
  all: readonly CatalogFunction[],
): Resolution {
  const { catalog } = facts.context;
  const inputs = call.args.map(inputOf);
  // Of one schema, what takes a list hides nothing.
  const schemas = new Set(all.map(({ schema }) => schema));
  const ordered = [...schemas].flatMap((schema) =>
    all
      .filter((one) => one.schema === schema)
      .sort((left, right) => Number(left.variadic ?? false) - Number(right.variadic ?? false)),
  );
  const named = ordered.flatMap((called) => {
    const takes = parameterTypes(catalog, call, called);
    return takes ? [{ called, takes }] : [];
  });
  if (!isPathKnown(facts, call.names)) {
    return { possible: fittingOverloads(catalog, named, inputs), isExact: false };
  }
  const seen = visible(named);
  const exact = seen.find(({ takes }) => takes.every((type, index) => type === inputs[index]));
  return exact
    ? { possible: [exact], isExact: true }
    : { possible: bestOverloads(catalog, seen, inputs), isExact: false };
}

/** @returns undefined: it does not take as many, or has no parameter of a name that is written */
function parameterTypes(
  catalog: Catalog,
  { args, node }: Call,
  { argTypeOids, argNames, variadic, defaults = 0 }: CatalogFunction,
): readonly number[] | undefined {
  const count = args.length;
  const names = args.map((_, index) => as(node?.args?.[index], 'NamedArgExpr')?.name);
  const isExpanded = variadic === true && node?.func_variadic !== true;
  if (count < argTypeOids.length - defaults) return undefined;
  if (names.some((name) => name !== undefined)) {
    const places = names.map((name, index) =>
      name === undefined ? index : (argNames?.indexOf(name) ?? -1),
    );
    const types = places.flatMap((place) => argTypeOids[place] ?? []);
    return types.length === count && !isExpanded ? types : undefined;
  }
  if (count <= argTypeOids.length && !(isExpanded && count === argTypeOids.length)) {
    return argTypeOids.slice(0, count);
  }
  const [last] = argTypeOids.slice(-1);
  if (!isExpanded || last === undefined) return undefined;
  const element = variadicElement(catalog, last);
  const given = argTypeOids.slice(0, -1);
  return [...given, ...Array<number>(count - given.length).fill(element)];
}
