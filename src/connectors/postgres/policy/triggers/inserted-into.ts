/** The tables that an INSERT of a trigger function may go to, where nothing else runs with it. */
import type { CatalogRelation } from '../facts/catalog-types.ts';
import { isBuiltIn } from '../facts/names.ts';
import { descendants } from '../facts/relation-family.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import type { TriggerInsert } from './trigger-insert.ts';

/** Others have a server of their own, or are what rules make of them. */
const TABLES: ReadonlySet<string> = new Set(['r', 'p']);

/**
 * A name without a schema is looked up where the function happens to run: in any of them.
 * @returns undefined: it may be another kind of relation, or code that is not built in runs with it
 */
export function insertedInto(
  facts: StatementFacts,
  { schema, table }: TriggerInsert,
): readonly CatalogRelation[] | undefined {
  const { catalog } = facts.context;
  // It stands for another schema in each session.
  if (schema === 'pg_temp') return undefined;
  const schemas = schema === undefined ? catalog.schemas : [schema];
  facts.spendOn(schemas);
  const found = schemas.flatMap((one) => catalog.relation(one, table) ?? []);
  const members = found.flatMap((one) =>
    one.kind === 'p' ? [one, ...descendants(catalog, one)] : [one],
  );
  facts.spendOn(members);
  return found.length > 0 && members.every(isPlain) ? found : undefined;
}

function isPlain(relation: CatalogRelation): boolean {
  const { kind, codeOn, hasTriggersOrRules, rowSecurity, rowSecurityRunsUserCode } = relation;
  const runsCode = codeOn?.runs.has('insert') ?? hasTriggersOrRules;
  const isChecked = rowSecurity && rowSecurityRunsUserCode !== false;
  return TABLES.has(kind) && !isBuiltIn(relation) && !runsCode && !isChecked;
}
