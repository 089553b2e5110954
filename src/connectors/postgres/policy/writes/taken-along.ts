/** What a definition changes or drops besides what it names. */
import { as, is, type Node, namesOf, stringOf } from '../parse/tree.ts';

/** With CASCADE, relations anywhere can go with these. */
const HOLD_RELATIONS: ReadonlySet<string | undefined> = new Set([
  'OBJECT_ACCESS_METHOD',
  'OBJECT_EXTENSION',
  'OBJECT_FDW',
  'OBJECT_FOREIGN_SERVER',
]);
const RENAMED_BELOW: ReadonlySet<string | undefined> = new Set([
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
]);

/** Of ALTER TABLE: about the table and the one that it names, never about those below. */
const ALONE: ReadonlySet<string | undefined> = new Set([
  'AT_AddInherit',
  'AT_AttachPartition',
  'AT_ChangeOwner',
  'AT_ClusterOn',
  'AT_DetachPartition',
  'AT_DetachPartitionFinalize',
  'AT_DisableRowSecurity',
  'AT_DropCluster',
  'AT_DropInherit',
  'AT_EnableRowSecurity',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_ReplicaIdentity',
  'AT_ResetRelOptions',
  'AT_SetLogged',
  'AT_SetRelOptions',
  'AT_SetUnLogged',
]);

/** @returns the schemas whose relations go with what is dropped; `anywhere`: no one can say which. */
export function schemasDropped(node: Node): readonly string[] | 'anywhere' | undefined {
  if (is(node, 'DropOwnedStmt')) return 'anywhere';
  if (!is(node, 'DropStmt') || node.DropStmt.behavior !== 'DROP_CASCADE') return undefined;
  const { removeType, objects } = node.DropStmt;
  if (HOLD_RELATIONS.has(removeType)) return 'anywhere';
  return removeType === 'OBJECT_SCHEMA' ? (objects ?? []).map(nameOf) : undefined;
}

/** Whether partitions and children are changed, emptied or dropped with a table. */
export function reachesBelow(node: Node): boolean {
  if (is(node, 'DropStmt')) return true;
  if (is(node, 'RenameStmt')) {
    const { renameType, relation } = node.RenameStmt;
    return RENAMED_BELOW.has(renameType) && relation?.inh === true;
  }
  if (is(node, 'AlterTableStmt')) {
    const { cmds, relation } = node.AlterTableStmt;
    const subtypes = (cmds ?? []).map((cmd) => as(cmd, 'AlterTableCmd')?.subtype);
    return relation?.inh === true && subtypes.some((subtype) => !ALONE.has(subtype));
  }
  const { relations = [] } = is(node, 'TruncateStmt') ? node.TruncateStmt : {};
  return relations.some((relation) => as(relation, 'RangeVar')?.inh === true);
}

function nameOf(object: Node): string {
  return stringOf(object) ?? namesOf(as(object, 'List')?.items)?.at(-1) ?? '';
}
