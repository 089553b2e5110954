/**
 * Statements that give a relation another name, or let its rows be read under that of another one
 * (INHERIT, ATTACH PARTITION). Rules know relations by their names: what a rule denies of one must
 * not be open as soon as it is called something else.
 */
import { findTarget } from './names.ts';
import type { StatementFacts } from './statement-facts.ts';
import { as, type FieldsOf, is, type Node } from './tree.ts';
import type { RelationMove } from './types.ts';

type Name = RelationMove['from'];
type RangeVar = FieldsOf<'RangeVar'>;

const RELATIONS: ReadonlySet<string | undefined> = new Set([
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_MATVIEW',
  'OBJECT_TABLE',
  'OBJECT_VIEW',
]);

export function relationMoves(facts: StatementFacts, node: Node): readonly RelationMove[] {
  if (is(node, 'RenameStmt')) {
    const { renameType, relation, subname, newname = '' } = node.RenameStmt;
    if (renameType === 'OBJECT_SCHEMA') {
      return [{ from: { schema: subname ?? '' }, to: { schema: newname } }];
    }
    const from = RELATIONS.has(renameType) ? nameOf(facts, relation) : undefined;
    return from ? [{ from, to: { schema: from.schema, name: newname } }] : [];
  }
  if (is(node, 'AlterObjectSchemaStmt')) {
    const { objectType, relation, newschema = '' } = node.AlterObjectSchemaStmt;
    const from = RELATIONS.has(objectType) ? nameOf(facts, relation) : undefined;
    return from ? [{ from, to: { ...from, schema: newschema } }] : [];
  }
  return is(node, 'AlterTableStmt') ? joined(facts, node.AlterTableStmt) : [];
}

/** A child is read with its parent, and only rules about the parent are asked then. */
function joined(
  facts: StatementFacts,
  { relation, cmds }: FieldsOf<'AlterTableStmt'>,
): RelationMove[] {
  return (cmds ?? []).flatMap((cmd) => {
    const { subtype, def } = as(cmd, 'AlterTableCmd') ?? {};
    const isAttached = subtype === 'AT_AttachPartition';
    if (!isAttached && subtype !== 'AT_AddInherit') return [];
    const other = isAttached ? as(def, 'PartitionCmd')?.name : as(def, 'RangeVar');
    const [child, parent] = isAttached ? [other, relation] : [relation, other];
    const from = nameOf(facts, child);
    const to = nameOf(facts, parent);
    return from && to ? [{ from, to }] : [];
  });
}

function nameOf(facts: StatementFacts, name: RangeVar | undefined): Required<Name> | undefined {
  const found = name && findTarget(facts, name);
  return found && { schema: found.schema, name: found.name };
}
