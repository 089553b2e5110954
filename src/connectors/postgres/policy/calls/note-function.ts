/** A function that a statement calls, as the rules and the verdict hear of it. */

import type { FunctionFact } from '../facts/analysis-types.ts';
import type { Catalog, CatalogFunction, CatalogRelation } from '../facts/catalog-types.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { isPlainFunction } from './trusted-extensions.ts';

const READING: ReadonlySet<string> = new Set(['pg_stat_statements', 'pg_stat_statements_info']);

export function noteFunction(facts: StatementFacts, used: CatalogFunction, builtIn: boolean): void {
  facts.functions.set(`${used.schema}.${used.name}`, {
    schema: used.schema,
    name: used.name,
    builtIn,
    ...(used.mayChangeLogins ? { mayChangeLogins: true } : {}),
    ...(isHarmless(facts, used) ? { harmless: true } : {}),
  });
}

/** One that only computes: rules that deny are asked about it, and about what it calls. */
export function noteComputation(
  facts: StatementFacts,
  { schema, name, calls = [] }: CatalogFunction,
  via?: FunctionFact['via'],
): void {
  for (const one of [{ schema, name, builtIn: false }, ...calls]) {
    const key = `${one.schema}.${one.name}`;
    if (facts.functions.has(key)) continue;
    facts.functions.set(key, {
      ...one,
      ...(one.builtIn ? {} : { harmless: true }),
      ...(via ? { via } : {}),
    });
  }
}

export function isHarmless({ context }: StatementFacts, called: CatalogFunction): boolean {
  return isPlainFunction(called) || statisticsViewOf(called, context.catalog) !== undefined;
}

/** @returns the view over this function, which has the same name and columns; undefined: another function. */
export function statisticsViewOf(
  called: CatalogFunction,
  catalog: Catalog,
): CatalogRelation | undefined {
  const isReading = called.extension === 'pg_stat_statements' && READING.has(called.name);
  return isReading ? catalog.relation(called.schema, called.name) : undefined;
}
