/** INSERT, UPDATE, DELETE and MERGE: what is written where, and what RETURNING shows. */

import type { Lineage } from '../facts/lineage.ts';
import { NO_RESULT, type QueryResult, type Scope, type Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { whereClause } from '../lookups/lookups.ts';
import { as, type FieldsOf, type Node, tagOf } from '../parse/tree.ts';
import { condition } from '../walk/conditions.ts';
import { emptyColumns, emptyIn } from '../walk/empty-values.ts';
import { expression, listed } from '../walk/expressions.ts';
import { fromList } from '../walk/from-items.ts';
import { checkFields } from '../walk/grammar.ts';
import { withQueries } from '../walk/with-queries.ts';
import {
  type Flows,
  flow,
  insertChanges,
  mergeChanges,
  noteWritten,
  returning,
  targetScope,
  withFlows,
  writeTarget,
} from './write-targets.ts';

export function insert(
  facts: StatementFacts,
  fields: FieldsOf<'InsertStmt'>,
  outer: Scope | undefined,
): QueryResult {
  checkFields(facts, 'InsertStmt', fields);
  facts.verb('insert');
  const scope = withQueries(facts, fields.withClause, outer);
  const target = writeTarget(facts, fields.relation, insertChanges(fields));
  const rows = fields.selectStmt ? facts.walks.query(facts, fields.selectStmt, scope) : NO_RESULT;
  if (!target) {
    return NO_RESULT;
  }
  const named = (fields.cols ?? []).map((node) => as(node, 'ResTarget')?.name ?? '');
  const names = named.length > 0 ? named : target.columns.map((column) => column.name);
  const flows: Flows = new Map();
  rows.columns.forEach((column, index) => {
    flow(facts, target, flows, names[index], column.lineage);
  });
  const isEmpty = emptyColumns(fields);
  for (const [index, name] of named.entries()) {
    noteWritten(facts, target, name, 'insert', isEmpty(index));
  }
  // Without a column list the columns that the rows fill, without rows (DEFAULT VALUES) all.
  const filled = named.length > 0 ? 0 : rows.columns.length || names.length;
  for (const [index, name] of names.slice(0, filled).entries()) {
    noteWritten(facts, target, name, 'insert', isEmpty(index));
  }
  if (fields.onConflictClause?.action === 'ONCONFLICT_UPDATE') {
    facts.noteQualified(true);
  }
  if (fields.onConflictClause) {
    onConflict(facts, fields.onConflictClause, target, flows, scope);
  }
  return returning(facts, fields.returningClause, target, flows, undefined, scope);
}

function onConflict(
  facts: StatementFacts,
  clause: FieldsOf<'OnConflictClause'>,
  target: Table,
  flows: Flows,
  outer: Scope | undefined,
): void {
  checkFields(facts, 'OnConflictClause', clause);
  const excluded = { ...withFlows(target, flows), name: 'excluded', schema: undefined };
  const both: Scope = {
    tables: [target, excluded],
    columns: target.columns,
    outer,
  };
  if (clause.infer) {
    checkFields(facts, 'InferClause', clause.infer);
    for (const node of clause.infer.indexElems ?? []) {
      const element = as(node, 'IndexElem');
      checkFields(facts, 'IndexElem', element ?? {});
      facts.noteComputed(expression(facts, element?.expr, both), 'ON CONFLICT');
      // A conflict tells that the value is there already.
      const named = target.columns.find((column) => column.name === element?.name);
      if (named) facts.noteComputed(named.lineage, 'ON CONFLICT');
    }
    condition(facts, clause.infer.whereClause, both);
  }
  if (clause.action === 'ONCONFLICT_UPDATE') {
    facts.verb('update');
    for (const node of clause.targetList ?? []) {
      const name = takenOver(facts, node);
      if (name !== undefined && target.columns.some((column) => column.name === name)) {
        noteWritten(facts, target, name, 'update');
      } else {
        setColumns(facts, [node], target, flows, both);
      }
    }
    condition(facts, clause.whereClause, both);
  }
}

/** The column of `SET c = EXCLUDED.c`: it gets what the INSERT has for this column, which is noted there. */
function takenOver(facts: StatementFacts, node: Node): string | undefined {
  const set = as(node, 'ResTarget');
  const names = as(set?.val, 'ColumnRef')?.fields?.map((field) => as(field, 'String')?.sval) ?? [];
  const isSame = names.length === 2 && names[0] === 'excluded' && names[1] === set?.name;
  if (!isSame || set?.indirection?.length) return undefined;
  checkFields(facts, 'ResTarget', set ?? {});
  checkFields(facts, 'ColumnRef', as(set?.val, 'ColumnRef') ?? {});
  return set?.name;
}

export function update(
  facts: StatementFacts,
  fields: FieldsOf<'UpdateStmt'>,
  outer: Scope | undefined,
): QueryResult {
  checkFields(facts, 'UpdateStmt', fields);
  const found = rowsToChange(facts, 'update', fields, fields.fromClause, outer);
  if (!found) {
    return NO_RESULT;
  }
  const { scope, target, from, inside } = found;
  const flows: Flows = new Map();
  setColumns(facts, fields.targetList, target, flows, inside);
  return returning(facts, fields.returningClause, target, flows, from, scope);
}

export function remove(
  facts: StatementFacts,
  fields: FieldsOf<'DeleteStmt'>,
  outer: Scope | undefined,
): QueryResult {
  checkFields(facts, 'DeleteStmt', fields);
  const found = rowsToChange(facts, 'delete', fields, fields.usingClause, outer);
  if (!found) {
    return NO_RESULT;
  }
  const { scope, target, from } = found;
  return returning(facts, fields.returningClause, target, new Map(), from, scope);
}

/** What UPDATE and DELETE say before they differ: WITH, the table, the other tables, WHERE. */
function rowsToChange(
  facts: StatementFacts,
  verb: 'update' | 'delete',
  fields: Pick<FieldsOf<'UpdateStmt'>, 'withClause' | 'relation' | 'whereClause'>,
  others: FieldsOf<'UpdateStmt'>['fromClause'],
  outer: Scope | undefined,
) {
  facts.verb(verb);
  const scope = withQueries(facts, fields.withClause, outer);
  const target = writeTarget(facts, fields.relation, [verb]);
  const from = fromList(facts, others, scope);
  facts.noteQualified(isQualified(fields.whereClause));
  if (!target) {
    return undefined;
  }
  const inside = targetScope(target, from, scope);
  whereClause(facts, fields.whereClause, inside);
  return { scope, target, from, inside };
}

export function merge(
  facts: StatementFacts,
  fields: FieldsOf<'MergeStmt'>,
  outer: Scope | undefined,
): QueryResult {
  checkFields(facts, 'MergeStmt', fields);
  facts.verb('merge');
  const scope = withQueries(facts, fields.withClause, outer);
  const target = writeTarget(facts, fields.relation, mergeChanges(fields));
  const sources = fields.sourceRelation ? [fields.sourceRelation] : [];
  const from = fromList(facts, sources, scope);
  if (!target) {
    return NO_RESULT;
  }
  const inside = targetScope(target, from, scope);
  condition(facts, fields.joinCondition, inside);
  const flows: Flows = new Map();
  for (const node of fields.mergeWhenClauses ?? []) {
    const clause = as(node, 'MergeWhenClause');
    if (!clause) {
      facts.unknown(`${tagOf(node)} in MERGE`);
      continue;
    }
    const bySource = clause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
    const parts = bySource ? [clause.condition] : [fields.joinCondition, clause.condition];
    const qualified = isQualified(...parts);
    mergeAction(facts, clause, target, flows, inside, qualified);
  }
  const source = { ...from, isFirst: true } as const;
  return returning(facts, fields.returningClause, target, flows, source, scope);
}

function mergeAction(
  facts: StatementFacts,
  clause: FieldsOf<'MergeWhenClause'>,
  target: Table,
  flows: Flows,
  scope: Scope,
  qualified: boolean,
): void {
  checkFields(facts, 'MergeWhenClause', clause);
  condition(facts, clause.condition, scope);
  switch (clause.commandType) {
    case 'CMD_NOTHING':
      return;
    case 'CMD_DELETE':
      facts.verb('delete');
      facts.noteQualified(qualified);
      return;
    case 'CMD_UPDATE':
      facts.verb('update');
      facts.noteQualified(qualified);
      setColumns(facts, clause.targetList, target, flows, scope);
      return;
    case 'CMD_INSERT': {
      facts.verb('insert');
      const named = (clause.targetList ?? []).map((node) => as(node, 'ResTarget')?.name ?? '');
      const names = named.length > 0 ? named : target.columns.map((column) => column.name);
      const isEmpty = emptyIn([clause.values ?? []]);
      listed(facts, clause.values, scope).forEach((value, index) => {
        flow(facts, target, flows, names[index], value);
        noteWritten(facts, target, names[index], 'insert', isEmpty(index));
      });
      return;
    }
    default:
      facts.unknown(`MERGE … ${clause.commandType}`);
  }
}

/** SET a = …, (b, c) = (…), d[1] = …, e.f = … */
function setColumns(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  target: Table,
  flows: Flows,
  scope: Scope,
): void {
  for (const node of nodes ?? []) {
    const set = as(node, 'ResTarget');
    if (!set) {
      facts.unknown(`${tagOf(node)} in SET`);
      continue;
    }
    checkFields(facts, 'ResTarget', set);
    for (const step of set.indirection ?? []) {
      const indices = as(step, 'A_Indices');
      for (const index of [indices?.lidx, indices?.uidx]) {
        if (index) flow(facts, target, flows, set.name, expression(facts, index, scope));
      }
    }
    const value = assignedValue(facts, set.val, scope);
    // A rule that updates a view writes all columns again, with what was in them.
    if (facts.view && isUnchanged(target, set.name, value)) continue;
    flow(facts, target, flows, set.name, value);
    noteWritten(facts, target, set.name, 'update');
  }
}

function isUnchanged(target: Table, name: string | undefined, value: Lineage): boolean {
  const own = target.columns.find((column) => column.name === name)?.lineage.identity;
  return own !== undefined && own === value.identity;
}

/** Of `(a, b) = (SELECT x, y)` the part for this column, where the parts can be told apart. */
function assignedValue(facts: StatementFacts, node: Node | undefined, scope: Scope): Lineage {
  const value = expression(facts, node, scope);
  const part = as(node, 'MultiAssignRef');
  return part ? (value.fields?.[(part.colno ?? 0) - 1]?.lineage ?? value) : value;
}

// `qualified`: an UPDATE or DELETE has a WHERE, and it is no constant. It names a column; `WHERE true`,
// `WHERE 1 = 1`, `WHERE $1` and `WHERE random() < 2` do not. How many rows it leaves out nobody can
// tell from its text: `id > 0`, `id = id` and `id IN (SELECT id FROM t)` are qualified, and change all
// rows. Rules with `rows` are for that.
//
// INSERT … ON CONFLICT DO UPDATE always is: each row that it changes is named by its key. MERGE is when
// each action that updates or deletes is: by ON together with its AND, and by its AND alone where it
// is for rows that ON has not matched (NOT MATCHED BY SOURCE).

/** The condition of an UPDATE or DELETE, or those parts of it that decide about the rows changed. */
function isQualified(...conditions: readonly (Node | undefined)[]): boolean {
  const open: unknown[] = [...conditions];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    if ('CurrentOfExpr' in node || namesColumn(node)) return true;
    // The value of a constant is not looked at: a verdict is kept for all of them (constant-shapes.ts).
    if ('A_Const' in node) continue;
    open.push(...Object.values(node));
  }
  return false;
}

/** `*` alone is in the list of a subquery and tests nothing. */
function namesColumn(node: object): boolean {
  if (!('ColumnRef' in node)) return false;
  const { ColumnRef: reference } = node;
  const fields: unknown =
    typeof reference === 'object' && reference !== null && 'fields' in reference
      ? reference.fields
      : [];
  const [first, ...more] = Array.isArray(fields) ? fields : [];
  return more.length > 0 || as(first, 'A_Star') === undefined;
}
