/**
 * ALTER TABLE and CREATE STATISTICS that cannot move a column away from its mask: a closed list of what
 * they do, each with the columns that it changes or looks at. The rows that are there are checked or
 * written anew, so a column that a constraint compares with another one counts as written.
 */
import type { CatalogRelation } from '../facts/catalog-types.ts';
import { unite } from '../facts/lineage.ts';
import { findTarget } from '../facts/names.ts';
import { storedColumns } from '../facts/relation-columns.ts';
import { descendants } from '../facts/relation-family.ts';
import { visibleColumns } from '../facts/row-types.ts';
import { columnFacts, type StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node } from '../parse/tree.ts';
import { collectNames } from './definition-values.ts';
import { noteComparisons } from './write-comparisons.ts';

type Command = FieldsOf<'AlterTableCmd'>;

/** They change the column of that name, or how it is stored. */
const OF_COLUMN: ReadonlySet<string | undefined> = new Set([
  'AT_AlterColumnType',
  'AT_ColumnDefault',
  'AT_DropColumn',
  'AT_DropNotNull',
  'AT_SetCompression',
  'AT_SetNotNull',
  'AT_SetStatistics',
  'AT_SetStorage',
]);
/** They name columns in their definitions alone. */
const OF_TABLE: ReadonlySet<string | undefined> = new Set([
  'AT_AddColumn',
  'AT_AddConstraint',
  'AT_ResetRelOptions',
  'AT_SetRelOptions',
]);
const CONSTRAINTS: ReadonlySet<string | undefined> = new Set([
  'CONSTR_CHECK',
  'CONSTR_FOREIGN',
  'CONSTR_NOTNULL',
  'CONSTR_PRIMARY',
  'CONSTR_UNIQUE',
]);

export function noteAltered(facts: StatementFacts, node: Node): void {
  const alter = as(node, 'AlterTableStmt');
  if (alter?.objtype === 'OBJECT_TABLE' && alter.relation) {
    const relation = findTarget(facts, alter.relation);
    if (relation) noteCommands(facts, relation, alter.cmds ?? []);
  }
  const statistics = as(node, 'CreateStatsStmt');
  const [from, ...others] = statistics?.relations ?? [];
  const named = as(from, 'RangeVar');
  const relation = named && others.length === 0 ? findTarget(facts, named) : undefined;
  if (relation) noteNamed(facts, relation, namesIn(statistics?.exprs));
}

function noteCommands(
  facts: StatementFacts,
  relation: CatalogRelation,
  nodes: readonly Node[],
): void {
  const commands = nodes.map((node) => as(node, 'AlterTableCmd'));
  if (!commands.every((command) => command !== undefined && isKnown(relation, command))) return;
  const names = new Set<string>();
  for (const command of commands) {
    for (const name of namesIn(command?.def)) names.add(name);
    const { name = '', subtype } = command ?? {};
    if (OF_COLUMN.has(subtype)) names.add(name);
    if (subtype === 'AT_AlterColumnType') noteWrittenAnew(facts, relation, name);
  }
  noteNamed(facts, relation, names);
}

function isKnown(relation: CatalogRelation, { subtype, name, def, behavior }: Command): boolean {
  if (subtype === 'AT_AddConstraint') {
    const { contype, indexname } = as(def, 'Constraint') ?? {};
    return CONSTRAINTS.has(contype) && indexname === undefined;
  }
  if (subtype === 'AT_DropColumn') {
    // With a foreign key the mask goes that a column has by way of it.
    const column = visibleColumns(relation).find((one) => one.name === name);
    const isKey = relation.foreignKeys?.some(({ columns }) =>
      columns.includes(column?.attnum ?? 0),
    );
    return behavior !== 'DROP_CASCADE' && isKey !== true;
  }
  return OF_COLUMN.has(subtype) || OF_TABLE.has(subtype);
}

/** USING can give the column any value, which constraints then compare with others of the row. */
function noteWrittenAnew(facts: StatementFacts, relation: CatalogRelation, name: string): void {
  for (const member of [relation, ...descendants(facts.context.catalog, relation)]) {
    const column = visibleColumns(member).find((one) => one.name === name);
    const written = new Set(column ? [column.attnum] : []);
    const { schema } = relation;
    const via = { schema, name: relation.name };
    noteComparisons(facts, {
      relation: member,
      change: 'update',
      columns: written,
      valued: written,
      via,
    });
  }
}

function noteNamed(
  facts: StatementFacts,
  relation: CatalogRelation,
  names: ReadonlySet<string>,
): void {
  // The name of the table stands for all of the row.
  const isWhole = names.has(relation.name);
  const columns = storedColumns(facts, relation, false).filter(
    ({ name }) => isWhole || names.has(name),
  );
  const lineages = columns.map(({ lineage }) => lineage);
  for (const lineage of lineages) facts.noteComputed(lineage, 'ALTER TABLE');
  facts.altered = [...(facts.altered ?? []), ...columnFacts(unite(lineages))];
}

/** Names of columns in a definition; those of the objects that it makes are among them. */
function namesIn(definition: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  collectNames(definition, names);
  return names;
}
