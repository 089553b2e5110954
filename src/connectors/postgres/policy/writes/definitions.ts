/** Statements that define, change or maintain objects: the relations they touch, the code they run. */

import type { ColumnFact } from '../facts/analysis-types.ts';
import type { CatalogRelation } from '../facts/catalog-types.ts';
import { creationSchema, findInTheWay, findTarget } from '../facts/names.ts';
import { descendants } from '../facts/relation-family.ts';
import { settingEffect } from '../facts/settings-table.ts';
import { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, literalText, type Node, namesOf, stringOf } from '../parse/tree.ts';
import { noteLoginChange } from '../verdict/login-changes.ts';
import { noteLoginsOfFunction } from '../verdict/login-code.ts';
import { namedRelation } from '../walk/from-items.ts';
import { outputOf } from '../walk/output-column.ts';
import type { StatementKind } from '../walk/statement-verbs.ts';
import { noteTypeTargets } from '../walk/type-targets.ts';
import { noteAltered } from './altered-columns.ts';
import { hasCodeOn, noteCode, noteDomain, noteLike } from './definition-code.ts';
import { noteBounds, noteClustered, noteIndexed, noteReferenced } from './definition-values.ts';
import { RENAMED, relationMoves } from './moved-relations.ts';
import { reachesBelow, schemasDropped } from './taken-along.ts';

type RangeVar = FieldsOf<'RangeVar'>;

/** Fields of a statement that hold the relations it is about; relations elsewhere are only used. */
const SUBJECTS: ReadonlySet<string> = new Set([
  'relation',
  'relations',
  'rels',
  'objects',
  'sequence',
  'base',
]);
/** The field with the relation that a statement makes. */
const MADE: ReadonlyMap<string, string> = new Map([
  ['CreateStmt', 'relation'],
  ['CreateSeqStmt', 'sequence'],
  ['CompositeTypeStmt', 'typevar'],
]);
/** Languages whose functions are server code, not SQL. */
const SERVER_LANGUAGES: ReadonlySet<string> = new Set(['c', 'internal']);
const RELATION_KINDS: ReadonlySet<string> = new Set([
  'OBJECT_COLUMN',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_POLICY',
  'OBJECT_RULE',
  'OBJECT_SEQUENCE',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TABLE',
  'OBJECT_TRIGGER',
  'OBJECT_VIEW',
]);
/** Objects that hang below a relation: `DROP TRIGGER t ON r` names them as [r, t]. */
const BELOW_RELATION: ReadonlySet<string> = new Set([
  'OBJECT_COLUMN',
  'OBJECT_POLICY',
  'OBJECT_RULE',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
]);

export function definition(facts: StatementFacts, node: Node, kind: StatementKind): void {
  if (kind.server !== undefined) {
    facts.serverAccess.add(kind.server);
  }
  facts.changesCatalog ||= kind.changesCatalog;
  facts.runsUserCode ||= kind.changesCatalog && (facts.context.catalog.eventTriggers ?? false);
  // Deferred triggers run now.
  facts.runsUserCode ||= is(node, 'ConstraintsSetStmt');
  const [tag = '', fields] = Object.entries(node)[0] ?? [];
  // ALTER TABLE … ATTACH PARTITION and INHERIT change the other relation as well.
  const all = tag === 'AlterTableStmt' || tag === 'AlterPublicationStmt';
  const made = MADE.get(tag);
  for (const [name, value] of Object.entries(fields ?? {})) {
    const relation = name === made && rangeVarOf(Object(value));
    if (relation) noteNew(facts, relation);
    else collect(facts, value, all || SUBJECTS.has(name) ? 'write' : 'read');
  }
  facts.moves = relationMoves(facts, node);
  facts.dropsIn = schemasDropped(node);
  noteAltered(facts, node);
  noteTypeTargets(facts, node);
  noteLoginChange(facts, node);
  if (is(node, 'DropStmt')) {
    for (const object of node.DropStmt.objects ?? []) {
      namedObject(facts, object, node.DropStmt.removeType);
    }
  }
  if (is(node, 'TruncateStmt') && node.TruncateStmt.behavior === 'DROP_CASCADE') {
    noteReferencing(facts);
  }
  if (is(node, 'CommentStmt')) {
    namedObject(facts, node.CommentStmt.object, node.CommentStmt.objtype);
  }
  if (is(node, 'SecLabelStmt')) {
    namedObject(facts, node.SecLabelStmt.object, node.SecLabelStmt.objtype);
  }
  if (is(node, 'RenameStmt') && RENAMED.has(node.RenameStmt.renameType)) {
    noteRenamed(facts);
  }
  if (is(node, 'RefreshMatViewStmt') && node.RefreshMatViewStmt.relation) {
    // It runs the view's query, with the functions in it.
    namedRelation(facts, node.RefreshMatViewStmt.relation);
  }
  if (is(node, 'AlterRoleSetStmt')) {
    noteDefaultSetting(facts, node.AlterRoleSetStmt.setstmt);
  }
  if (is(node, 'AlterDatabaseSetStmt')) {
    noteDefaultSetting(facts, node.AlterDatabaseSetStmt.setstmt);
  }
  if (is(node, 'AlterDomainStmt')) {
    noteDomain(facts, node.AlterDomainStmt);
  }
  if (is(node, 'CreateStmt')) {
    noteLike(facts, node.CreateStmt.tableElts);
    noteBounds(facts, node.CreateStmt);
  }
  if (is(node, 'IndexStmt')) {
    noteIndexed(facts, node.IndexStmt);
  }
  if (is(node, 'ClusterStmt')) {
    noteClustered(facts, node.ClusterStmt);
  }
  if (is(node, 'CreateFunctionStmt')) {
    noteLanguage(facts, node.CreateFunctionStmt.options);
    noteLoginsOfFunction(facts, node.CreateFunctionStmt);
  }
  // Of all that it names.
  if (reachesBelow(node)) noteBelow(facts);
}

function noteRenamed(facts: StatementFacts): void {
  for (const { oid } of facts.writes.values()) {
    const view = facts.context.catalog.relationByOid(oid);
    const columns = view?.kind === 'v' ? columnsBehind(facts, view) : undefined;
    if (columns !== undefined) facts.viewsRenamed.push({ oid, columns });
  }
}

/** Partitions and children: as behind a view, rules that deny are asked about them as well. */
function noteBelow(facts: StatementFacts): void {
  const { catalog } = facts.context;
  for (const { oid, schema, name } of [...facts.writes.values()]) {
    const relation = catalog.relationByOid(oid);
    for (const below of relation ? descendants(catalog, relation) : []) {
      facts.noteWriteBehind(below, { schema, name });
    }
  }
}

/** What the next session of a role or database begins with is guarded like SET. */
function noteDefaultSetting(
  facts: StatementFacts,
  setting: FieldsOf<'VariableSetStmt'> | undefined,
): void {
  const name = (setting?.name ?? '').toLowerCase();
  const effect = settingEffect(name);
  const isReset = setting?.kind === 'VAR_RESET' || setting?.kind === 'VAR_RESET_ALL';
  if (effect === undefined || effect === 'names' || isReset) {
    return;
  }
  const values = (setting?.args ?? []).map(literalText);
  const isPlain = setting?.kind === 'VAR_SET_VALUE' && values.every((value) => value !== undefined);
  facts.settings.push({ name, value: isPlain ? values.join(', ') : undefined, local: false });
}

/** TRUNCATE … CASCADE empties every table with a foreign key to one that is emptied. */
function noteReferencing(facts: StatementFacts): void {
  const { catalog } = facts.context;
  const open = [...facts.writes.values()].flatMap((fact) => catalog.relationByOid(fact.oid) ?? []);
  const seen = new Set<number>();
  for (let relation = open.pop(); relation; relation = open.pop()) {
    if (!seen.has(relation.oid)) {
      seen.add(relation.oid);
      facts.noteWrite(relation);
      open.push(
        ...(relation.referencedBy ?? []).flatMap((oid) => catalog.relationByOid(oid) ?? []),
      );
    }
  }
}

function noteLanguage(facts: StatementFacts, options: readonly Node[] | undefined): void {
  for (const option of options ?? []) {
    const element = as(option, 'DefElem');
    const language = element?.defname === 'language' ? (stringOf(element.arg) ?? '') : '';
    if (SERVER_LANGUAGES.has(language.toLowerCase()) || /u$/i.test(language)) {
      facts.serverAccess.add(`CREATE FUNCTION … LANGUAGE ${language}`);
    }
  }
}

/** An object that is named by a list of words instead of a RangeVar. */
function namedObject(
  facts: StatementFacts,
  object: Node | undefined,
  kind: string | undefined,
): void {
  if (kind === undefined || !RELATION_KINDS.has(kind)) {
    return;
  }
  const words = namesOf(as(object, 'List')?.items) ?? [];
  const names = BELOW_RELATION.has(kind) ? words.slice(0, -1) : words;
  const schema = names.at(-2);
  noteTarget(facts, {
    relname: names.at(-1) ?? '',
    ...(schema === undefined ? {} : { schemaname: schema }),
  });
}

/** A relation that the statement makes: one of that name elsewhere in the search_path is not meant. */
export function noteNew(facts: StatementFacts, name: RangeVar): void {
  const found = findInTheWay(facts, name);
  if (found) facts.noteWrite(found);
  else facts.noteWriteOf(creationSchema(facts, name), name.relname ?? '');
}

/** A relation that the statement changes or drops; it need not exist. */
function noteTarget(facts: StatementFacts, name: RangeVar): void {
  const found = findTarget(facts, name);
  if (!found) {
    facts.noteWriteOf(creationSchema(facts, name), name.relname ?? '');
    return;
  }
  facts.noteWrite(found);
  facts.runsUserCode ||= [found, ...descendants(facts.context.catalog, found)].some(hasCodeOn);
}

/**
 * Everything below a definition: relations, and the code in defaults, constraints, index expressions
 * and bodies.
 */
function collect(facts: StatementFacts, value: unknown, use: 'read' | 'write'): void {
  if (typeof value !== 'object' || value === null) {
    return;
  }
  facts.nested(() => {
    if (Array.isArray(value)) {
      for (const item of value) {
        collect(facts, item, use);
      }
      return;
    }
    const relation = rangeVarOf(value);
    if (relation) {
      if (use === 'write') {
        noteTarget(facts, relation);
      } else {
        noteUse(facts, relation);
      }
      return;
    }
    noteCode(facts, value);
    const constraint: FieldsOf<'Constraint'> = value;
    if (constraint.pktable) noteReferenced(facts, constraint);
    for (const inner of Object.values(value)) {
      // Whether rows can be written tells what is in the table that they refer to.
      collect(facts, inner, inner === constraint.pktable ? 'read' : use);
    }
  });
}

/** RangeVar nodes come with their tag in lists and without it in fields. */
function rangeVarOf(value: object): RangeVar | undefined {
  const inner = 'RangeVar' in value ? value.RangeVar : value;
  if (typeof inner !== 'object' || inner === null || !('relname' in inner)) {
    return undefined;
  }
  const text = (field: string): string | undefined => {
    const found: unknown = Reflect.get(inner, field);
    return typeof found === 'string' ? found : undefined;
  };
  const schema = text('schemaname');
  const persistence = text('relpersistence');
  return {
    relname: text('relname') ?? '',
    ...(schema === undefined ? {} : { schemaname: schema }),
    ...(persistence === undefined ? {} : { relpersistence: persistence }),
  };
}

function noteUse(facts: StatementFacts, relation: RangeVar): void {
  const found = findTarget(facts, relation);
  if (found) {
    facts.noteRelation(found);
    // A new partition looks for its rows in the default one, with the code of the key.
    facts.runsUserCode ||= hasCodeOn(found);
  }
}

// A view that gets another name: everything that its definition reads, conditions included.

/** @returns undefined: it cannot be followed. */
function columnsBehind(
  facts: StatementFacts,
  view: CatalogRelation,
): readonly ColumnFact[] | undefined {
  // For itself: the statement reads nothing of it, and needs no rule that allows it to.
  const apart = new StatementFacts(facts.context, facts.walks, facts.budget);
  const columns = apart.walks.view(apart, view);
  const outputs = columns?.map((column) => outputOf(apart, column));
  if (outputs === undefined || apart.opaque.length > 0) return undefined;
  const { columnsRead, columnsEvaluated = [] } = apart.result(
    'select',
    outputs,
    {},
    { start: 0, end: 0 },
  );
  const shown = outputs.flatMap(({ sources, tied = [] }) => [...sources, ...tied]);
  return [...columnsRead, ...columnsEvaluated, ...shown];
}
