/** A function that a statement calls, as the rules and the verdict hear of it. */
import type { Catalog, CatalogFunction, CatalogRelation } from './catalog-types.ts';
import type { StatementFacts } from './statement-facts.ts';
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
