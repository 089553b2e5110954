/**
 * Where the system catalogs show expressions and definitions that their owner wrote. In some databases
 * they hold a value of a masked column: its default, or what an index or a view compares it with.
 */
import type { StatementAnalysis } from './analysis-types.ts';
import type { CatalogTextKind } from './catalog-types.ts';

export const CATALOG_TEXT_KINDS: readonly CatalogTextKind[] = [
  'default',
  'missing',
  'index',
  'constraint',
  'partition',
  'statistics',
  'policy',
  'publication',
  'trigger',
  'view',
];

const COLUMNS: Readonly<Record<string, CatalogTextKind>> = {
  'pg_attrdef.adbin': 'default',
  'columns.column_default': 'default',
  'columns.generation_expression': 'default',
  'attributes.attribute_default': 'default',
  'domains.domain_default': 'default',
  'pg_type.typdefault': 'default',
  'pg_type.typdefaultbin': 'default',
  'pg_attribute.attmissingval': 'missing',
  'pg_index.indpred': 'index',
  'pg_index.indexprs': 'index',
  'pg_indexes.indexdef': 'index',
  'pg_constraint.conbin': 'constraint',
  'check_constraints.check_clause': 'constraint',
  'pg_class.relpartbound': 'partition',
  'pg_partitioned_table.partexprs': 'partition',
  'pg_statistic_ext.stxexprs': 'statistics',
  'pg_stats_ext.exprs': 'statistics',
  'pg_stats_ext_exprs.expr': 'statistics',
  'pg_policy.polqual': 'policy',
  'pg_policy.polwithcheck': 'policy',
  'pg_policies.qual': 'policy',
  'pg_policies.with_check': 'policy',
  'pg_publication_rel.prqual': 'publication',
  'pg_publication_tables.rowfilter': 'publication',
  'pg_trigger.tgqual': 'trigger',
  'triggers.action_condition': 'trigger',
  'pg_rewrite.ev_qual': 'view',
  'pg_rewrite.ev_action': 'view',
  'pg_rules.definition': 'view',
  'pg_views.definition': 'view',
  'pg_matviews.definition': 'view',
  'views.view_definition': 'view',
};

const FUNCTIONS: Readonly<Record<string, CatalogTextKind>> = {
  pg_get_indexdef: 'index',
  pg_get_constraintdef: 'constraint',
  pg_get_partkeydef: 'partition',
  pg_get_partition_constraintdef: 'partition',
  pg_get_statisticsobjdef: 'statistics',
  pg_get_statisticsobjdef_columns: 'statistics',
  pg_get_statisticsobjdef_expressions: 'statistics',
  pg_get_triggerdef: 'trigger',
  pg_get_ruledef: 'view',
  pg_get_viewdef: 'view',
};

export interface CatalogTextRead {
  readonly kind: CatalogTextKind;
  /** Where: `pg_attrdef.adbin`, `pg_get_indexdef()`. */
  readonly place: string;
}

/** Names of expressions are opened by pg_get_expr(), which takes nothing but such a column. */
export function catalogTextsRead(analysis: StatementAnalysis): readonly CatalogTextRead[] {
  const columns = [...analysis.columnsRead, ...(analysis.columnsEvaluated ?? [])]
    .filter(({ schema }) => schema === 'pg_catalog' || schema === 'information_schema')
    .map(({ name, column }) => `${name}.${column}`);
  const found = new Map<string, CatalogTextRead>();
  for (const place of columns) {
    const kind = Object.hasOwn(COLUMNS, place) ? COLUMNS[place] : undefined;
    if (kind !== undefined) found.set(place, { kind, place });
  }
  for (const { name, builtIn } of analysis.functions) {
    const kind = builtIn && Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (kind !== undefined) found.set(name, { kind, place: `${name}()` });
  }
  return [...found.values()];
}
