/**
 * Statements that give a relation, type or function another name, or let the rows of a table be read
 * under that of another one (INHERIT, ATTACH PARTITION). Rules know these things by name: what a rule
 * denies of one must not be open as soon as it is called something else.
 */

import type { RelationMove } from '../facts/analysis-types.ts';
import type { CatalogFunction } from '../facts/catalog-types.ts';
import { findTarget, findTypeTarget, functionSchemas } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf } from '../parse/tree.ts';

type Name = RelationMove['from'];
type RangeVar = FieldsOf<'RangeVar'>;

/** The server takes ALTER INDEX for a table or view, too, when it renames it. */
export const RENAMED: ReadonlySet<string | undefined> = new Set([
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_TABLE',
  'OBJECT_VIEW',
]);
const FUNCTIONS: ReadonlySet<string | undefined> = new Set([
  'OBJECT_AGGREGATE',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
]);
/** Rules name them like relations. */
const TYPES: ReadonlySet<string | undefined> = new Set(['OBJECT_DOMAIN', 'OBJECT_TYPE']);

export function relationMoves(facts: StatementFacts, node: Node): readonly RelationMove[] {
  if (is(node, 'RenameStmt')) {
    const { renameType, relation, subname, newname = '' } = node.RenameStmt;
    if (renameType === 'OBJECT_SCHEMA') {
      return [{ from: { schema: subname ?? '' }, to: { schema: newname } }];
    }
    const { object } = node.RenameStmt;
    const functions = renamedFunctions(facts, renameType, object);
    if (functions !== undefined) {
      return functions.map(({ schema, name }) =>
        movedFunction({ schema, name }, { schema, name: newname }),
      );
    }
    const from = renamed(facts, renameType, relation, object);
    return from ? [{ from, to: { schema: from.schema, name: newname } }] : [];
  }
  if (is(node, 'AlterObjectSchemaStmt')) {
    const { objectType, relation, object, newschema = '' } = node.AlterObjectSchemaStmt;
    const functions = renamedFunctions(facts, objectType, object);
    if (functions !== undefined) {
      return functions.map(({ schema, name }) =>
        movedFunction({ schema, name }, { schema: newschema, name }),
      );
    }
    const from = renamed(facts, objectType, relation, object);
    return from ? [{ from, to: { ...from, schema: newschema } }] : [];
  }
  return is(node, 'AlterTableStmt') ? joined(facts, node.AlterTableStmt) : [];
}

function movedFunction(from: Required<Name>, to: Required<Name>): RelationMove {
  return { from, to, isFunction: true };
}

/** All that have the name: which one it is, only its arguments would tell. */
function renamedFunctions(
  facts: StatementFacts,
  kind: string | undefined,
  object: Node | undefined,
): readonly CatalogFunction[] | undefined {
  if (!FUNCTIONS.has(kind)) return undefined;
  const names = namesOf(as(object, 'ObjectWithArgs')?.objname) ?? [];
  const name = names.at(-1) ?? '';
  return functionSchemas(facts, names).flatMap((schema) =>
    facts.context.catalog.functions(schema, name),
  );
}

function renamed(
  facts: StatementFacts,
  kind: string | undefined,
  relation: RangeVar | undefined,
  object: Node | undefined,
): Required<Name> | undefined {
  if (RENAMED.has(kind)) return nameOf(facts, relation);
  const names = TYPES.has(kind) ? namesOf(as(object, 'List')?.items) : undefined;
  const found = names && findTypeTarget(facts, names);
  return found && { schema: found.schema, name: found.name };
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
