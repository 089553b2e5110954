/**
 * Types and domains that a statement makes, changes or drops. They live in schemas and are no
 * relations, so a rule speaks of them as `schema.name`, like of any other object there.
 */
import { creationSchema, findTypeTarget } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, is, type Node, namesOf } from '../parse/tree.ts';

const KINDS: ReadonlySet<string> = new Set(['OBJECT_TYPE', 'OBJECT_DOMAIN']);

export function noteTypeTargets(facts: StatementFacts, node: Node): void {
  for (const names of madeTypes(node)) {
    const [name = '', schemaname] = names.toReversed();
    const schema = creationSchema(facts, schemaname === undefined ? {} : { schemaname });
    facts.noteWriteOf(schema, name);
  }
  for (const names of changedTypes(node)) {
    const found = findTypeTarget(facts, names);
    const [name = '', schema = ''] = names.toReversed();
    facts.noteWriteOf(found?.schema ?? schema, found?.name ?? name);
  }
}

function madeTypes(node: Node): readonly (readonly string[])[] {
  if (is(node, 'CreateEnumStmt')) return named(node.CreateEnumStmt.typeName);
  if (is(node, 'CreateRangeStmt')) return named(node.CreateRangeStmt.typeName);
  if (is(node, 'CreateDomainStmt')) return named(node.CreateDomainStmt.domainname);
  return [];
}

function changedTypes(node: Node): readonly (readonly string[])[] {
  if (is(node, 'AlterEnumStmt')) return named(node.AlterEnumStmt.typeName);
  if (is(node, 'AlterTypeStmt')) return named(node.AlterTypeStmt.typeName);
  if (is(node, 'AlterDomainStmt')) return named(node.AlterDomainStmt.typeName);
  if (is(node, 'CommentStmt')) return ofKind(node.CommentStmt.objtype, node.CommentStmt.object);
  if (is(node, 'RenameStmt')) return ofKind(node.RenameStmt.renameType, node.RenameStmt.object);
  if (is(node, 'AlterOwnerStmt')) {
    return ofKind(node.AlterOwnerStmt.objectType, node.AlterOwnerStmt.object);
  }
  if (is(node, 'DropStmt') && node.DropStmt.behavior !== 'DROP_CASCADE') {
    // With CASCADE columns of tables elsewhere go with it: that takes a rule for any relation.
    const { removeType, objects } = node.DropStmt;
    return (objects ?? []).flatMap((object) => ofKind(removeType, object));
  }
  return [];
}

function ofKind(
  kind: string | undefined,
  object: Node | undefined,
): readonly (readonly string[])[] {
  if (!KINDS.has(kind ?? '')) return [];
  return named(as(object, 'TypeName')?.names ?? as(object, 'List')?.items);
}

function named(words: readonly Node[] | undefined): readonly (readonly string[])[] {
  const names = namesOf(words);
  return names === undefined || names.length === 0 ? [] : [names];
}
