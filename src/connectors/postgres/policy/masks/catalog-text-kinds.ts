/**
 * Finds where a statement reads expressions and definitions that their owner wrote. In some databases they
 * hold a value of a masked column: its default, or a value that an index or a view compares it with.
 *
 * The type tells them: an expression is a pg_node_tree, and built-in functions that take an object and
 * return text write it out. The tables below only say which kind a place shows, so that one kind that tells
 * a value does not close the others: a place that they do not name counts as every kind.
 */
import type { ColumnFact, FunctionFact, StatementAnalysis } from '../facts/analysis-types.ts';
import type { Catalog, CatalogFunction, CatalogTextKind } from '../facts/catalog-types.ts';
import { columnByName } from '../facts/relation-attributes.ts';

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
  'function',
  'parameter',
];

const NODE_TREE = 194;
const OID = 26;
/** text and text[]. */
const TEXTS: ReadonlySet<number> = new Set([25, 1009]);

/** Kinds of the expressions in a table of the catalog. */
const EXPRESSIONS: Readonly<Record<string, CatalogTextKind>> = {
  pg_attrdef: 'default',
  pg_type: 'default',
  pg_index: 'index',
  pg_constraint: 'constraint',
  pg_class: 'partition',
  pg_partitioned_table: 'partition',
  pg_statistic_ext: 'statistics',
  pg_policy: 'policy',
  pg_publication_rel: 'publication',
  pg_trigger: 'trigger',
  pg_rewrite: 'view',
  'pg_proc.prosqlbody': 'function',
  'pg_proc.proargdefaults': 'parameter',
};

/** Columns that show an expression as text: of views over one, and what is stored as text. */
const COLUMNS: Readonly<Record<string, CatalogTextKind>> = {
  'columns.column_default': 'default',
  'columns.generation_expression': 'default',
  'attributes.attribute_default': 'default',
  'domains.domain_default': 'default',
  'pg_type.typdefault': 'default',
  'pg_attribute.attmissingval': 'missing',
  'pg_indexes.indexdef': 'index',
  'check_constraints.check_clause': 'constraint',
  'pg_stats_ext.exprs': 'statistics',
  'pg_stats_ext_exprs.expr': 'statistics',
  'pg_policies.qual': 'policy',
  'pg_policies.with_check': 'policy',
  'pg_publication_tables.rowfilter': 'publication',
  'triggers.action_condition': 'trigger',
  'pg_rules.definition': 'view',
  'pg_views.definition': 'view',
  'pg_matviews.definition': 'view',
  'views.view_definition': 'view',
  'pg_proc.prosrc': 'function',
  'routines.routine_definition': 'function',
  'parameters.parameter_default': 'parameter',
  'pg_seclabels.objname': 'parameter',
};

const FUNCTIONS: Readonly<Record<string, CatalogTextKind>> = {
  pg_get_indexdef: 'index',
  pg_get_constraintdef: 'constraint',
  pg_get_partkeydef: 'partition',
  pg_get_partition_constraintdef: 'partition',
  pg_get_statisticsobjdef: 'statistics',
  pg_get_statisticsobjdef_columns: 'statistics',
  pg_get_statisticsobjdef_expressions: 'statistics',
  pg_get_publication_tables: 'publication',
  pg_get_triggerdef: 'trigger',
  pg_get_ruledef: 'view',
  pg_get_viewdef: 'view',
  pg_get_functiondef: 'function',
  pg_get_function_sqlbody: 'function',
  pg_get_function_arguments: 'parameter',
  pg_get_function_arg_default: 'parameter',
};

/** They write names and types. */
const NAMING: ReadonlySet<string> = new Set([
  'pg_get_function_identity_arguments',
  'pg_get_function_result',
]);

export interface CatalogTextRead {
  /** undefined: it can be any. */
  readonly kind: CatalogTextKind | undefined;
  /** Where: `pg_attrdef.adbin`, `pg_get_indexdef()`. */
  readonly place: string;
}

/** pg_get_expr() opens an expression that it is given, which is then found where it comes from. */
export function catalogTextsRead(
  analysis: StatementAnalysis,
  catalog: Catalog,
): readonly CatalogTextRead[] {
  const columns = [...analysis.columnsRead, ...(analysis.columnsEvaluated ?? [])];
  const found = [
    ...columns.flatMap((column) => textOfColumn(column, catalog) ?? []),
    ...analysis.functions.flatMap((called) => textOfFunction(called, catalog) ?? []),
  ];
  return [...new Map(found.map((one) => [one.place, one])).values()];
}

function textOfColumn(fact: ColumnFact, catalog: Catalog): CatalogTextRead | undefined {
  const { schema, name, column, oid } = fact;
  if (schema !== 'pg_catalog' && schema !== 'information_schema') return undefined;
  const place = `${name}.${column}`;
  const shown = known(COLUMNS, place);
  if (shown !== undefined) return { kind: shown, place };
  const relation = catalog.relationByOid(oid);
  const type = relation && columnByName(relation, column)?.typeOid;
  if (type !== NODE_TREE) return undefined;
  return { kind: known(EXPRESSIONS, place) ?? known(EXPRESSIONS, name), place };
}

function textOfFunction(
  { schema, name, builtIn }: FunctionFact,
  catalog: Catalog,
): CatalogTextRead | undefined {
  if (!builtIn) return undefined;
  const kind = known(FUNCTIONS, name);
  const all = catalog.functions(schema ?? 'pg_catalog', name);
  if (kind === undefined && !all.some(givesExpression)) return undefined;
  return { kind, place: `${name}()` };
}

function givesExpression(called: CatalogFunction): boolean {
  const { name, argTypeOids, returnTypeOid, outputs = [] } = called;
  if ([returnTypeOid, ...outputs.map(({ typeOid }) => typeOid)].includes(NODE_TREE)) return true;
  const writes = TEXTS.has(returnTypeOid) && argTypeOids[0] === OID && name.startsWith('pg_get_');
  return writes && !NAMING.has(name);
}

function known(
  kinds: Readonly<Record<string, CatalogTextKind>>,
  place: string,
): CatalogTextKind | undefined {
  return Object.hasOwn(kinds, place) ? kinds[place] : undefined;
}
