/** Which statements make or drop whole relations and change nothing else. */
import { is, type Node } from './tree.ts';

/** What RESTRICT lets go alone, with what belongs to it. */
const WHOLE_RELATIONS: ReadonlySet<string> = new Set([
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_TABLE',
  'OBJECT_VIEW',
]);

/**
 * Temporary relations are not among them: the first one makes a schema, which search_path looks
 * into. Nor is CASCADE, which takes columns and defaults of others with it.
 */
export function makesRelationsOnly(node: Node): boolean {
  if (is(node, 'CreateStmt')) return isPermanent(node.CreateStmt.relation);
  if (is(node, 'CreateTableAsStmt')) return isPermanent(node.CreateTableAsStmt.into?.rel);
  if (is(node, 'SelectStmt')) return isPermanent(node.SelectStmt.intoClause?.rel);
  if (is(node, 'ViewStmt')) return isPermanent(node.ViewStmt.view);
  if (is(node, 'CreateSeqStmt')) return isPermanent(node.CreateSeqStmt.sequence);
  if (is(node, 'IndexStmt') || is(node, 'CommentStmt')) return true;
  return (
    is(node, 'DropStmt') &&
    node.DropStmt.behavior !== 'DROP_CASCADE' &&
    WHOLE_RELATIONS.has(node.DropStmt.removeType ?? '')
  );
}

function isPermanent(
  name: { readonly relpersistence?: string; readonly schemaname?: string } | undefined,
): boolean {
  return (
    name !== undefined &&
    (name.relpersistence === 'p' || name.relpersistence === 'u') &&
    !(name.schemaname ?? '').startsWith('pg_')
  );
}
