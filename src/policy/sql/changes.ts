/** INSERT, UPDATE, DELETE and MERGE: what is written where, and what RETURNING shows. */
import { condition, expression } from './expressions.ts';
import { type FromItem, fromList, namedRelation } from './from-items.ts';
import { checkFields } from './grammar.ts';
import { derive, type Lineage, type NamedLineage, unite, withOrigins } from './lineage.ts';
import { isBuiltIn } from './names.ts';
import { isEffective, surroundings } from './qualified.ts';
import { targetColumns } from './queries.ts';
import { descendants } from './relation-family.ts';
import { NO_RESULT, type QueryResult, type Scope, type Table } from './scope.ts';
import type { StatementFacts } from './statement-facts.ts';
import { as, type FieldsOf, type Node, tagOf } from './tree.ts';
import type { CatalogRelation, RowChange } from './types.ts';
import { withQueries } from './with-queries.ts';

/** What flows into each column of the target, by name. */
type Flows = Map<string, Lineage>;

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
  for (const name of named) {
    noteWritten(facts, target, name);
  }
  // Without a column list the columns that the rows fill, without rows (DEFAULT VALUES) all.
  const filled = named.length > 0 ? 0 : rows.columns.length || names.length;
  for (const name of names.slice(0, filled)) {
    noteWritten(facts, target, name);
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
      facts.noteInferred(expression(facts, element?.expr, both));
    }
    condition(facts, clause.infer.whereClause, both);
  }
  if (clause.action === 'ONCONFLICT_UPDATE') {
    facts.verb('update');
    setColumns(facts, clause.targetList, target, flows, both);
    condition(facts, clause.whereClause, both);
  }
}

export function update(
  facts: StatementFacts,
  fields: FieldsOf<'UpdateStmt'>,
  outer: Scope | undefined,
): QueryResult {
  checkFields(facts, 'UpdateStmt', fields);
  facts.verb('update');
  const scope = withQueries(facts, fields.withClause, outer);
  const target = writeTarget(facts, fields.relation, ['update']);
  const from = fromList(facts, fields.fromClause, scope);
  const around = surroundings(fields.withClause, fields.fromClause);
  facts.noteQualified(isEffective(fields.whereClause, around));
  if (!target) {
    return NO_RESULT;
  }
  const inside = targetScope(target, from, scope);
  condition(facts, fields.whereClause, inside);
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
  facts.verb('delete');
  const scope = withQueries(facts, fields.withClause, outer);
  const target = writeTarget(facts, fields.relation, ['delete']);
  const from = fromList(facts, fields.usingClause, scope);
  const around = surroundings(fields.withClause, fields.usingClause);
  facts.noteQualified(isEffective(fields.whereClause, around));
  if (!target) {
    return NO_RESULT;
  }
  condition(facts, fields.whereClause, targetScope(target, from, scope));
  return returning(facts, fields.returningClause, target, new Map(), from, scope);
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
  const around = surroundings(fields.withClause, sources);
  const joined = isEffective(fields.joinCondition, around);
  const flows: Flows = new Map();
  for (const node of fields.mergeWhenClauses ?? []) {
    const clause = as(node, 'MergeWhenClause');
    if (!clause) {
      facts.unknown(`${tagOf(node)} in MERGE`);
      continue;
    }
    const narrowed = isEffective(clause.condition, around);
    const bySource = clause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
    mergeAction(facts, clause, target, flows, inside, narrowed || (joined && !bySource));
  }
  return returning(facts, fields.returningClause, target, flows, from, scope);
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
      (clause.values ?? []).forEach((node, index) => {
        flow(facts, target, flows, names[index], expression(facts, node, scope));
        noteWritten(facts, target, names[index]);
      });
      return;
    }
    default:
      facts.unknown(`MERGE … ${clause.commandType}`);
  }
}

function insertChanges(fields: FieldsOf<'InsertStmt'>): readonly RowChange[] {
  return fields.onConflictClause?.action === 'ONCONFLICT_UPDATE'
    ? ['insert', 'update']
    : ['insert'];
}

function mergeChanges(fields: FieldsOf<'MergeStmt'>): readonly RowChange[] {
  const changes: Readonly<Record<string, RowChange>> = {
    CMD_INSERT: 'insert',
    CMD_UPDATE: 'update',
    CMD_DELETE: 'delete',
  };
  return (fields.mergeWhenClauses ?? []).flatMap(
    (node) => changes[as(node, 'MergeWhenClause')?.commandType ?? ''] ?? [],
  );
}

interface WriteTarget extends Table {
  /** Code that is not built in can change rows before RETURNING shows them. */
  readonly altersRow: boolean;
}

/** The relation that is written, with the tables behind it when it is a view. */
function writeTarget(
  facts: StatementFacts,
  fields: FieldsOf<'RangeVar'> | undefined,
  changes: readonly RowChange[],
): WriteTarget | undefined {
  const before = new Set(facts.reads.keys());
  const table = fields && namedRelation(facts, fields);
  const relation = table?.relation;
  const written: CatalogRelation[] = [];
  // The target is not read by being named; the tables behind a view are written with it.
  for (const [key, fact] of [...facts.reads]) {
    if (!before.has(key)) {
      facts.reads.delete(key);
      facts.writes.set(key, fact);
      const behind = facts.context.catalog.relationByOid(fact.oid);
      written.push(...(behind ? [behind] : []));
    }
  }
  if (!table || !relation) {
    return undefined;
  }
  facts.noteWrite(relation);
  for (const column of table.columns) {
    for (const origin of column.lineage.origins) {
      facts.targets.add(origin);
    }
  }
  if (isBuiltIn(relation)) {
    noteSystemWrite(facts, relation);
  }
  // Triggers, rules and constraints of the target, of what is behind it, and of its partitions.
  const members = [relation, ...written].flatMap((one) => [
    one,
    ...descendants(facts.context.catalog, one),
  ]);
  const code = members.map((member) => codeOn(member, changes));
  facts.runsUserCode ||= code.some((one) => one.runs);
  return { ...table, altersRow: code.some((one) => one.altersRow) };
}

function codeOn(relation: CatalogRelation, changes: readonly RowChange[]) {
  const known = relation.codeOn;
  if (!known) {
    return { runs: relation.hasTriggersOrRules, altersRow: relation.hasTriggersOrRules };
  }
  return {
    runs: changes.some((change) => known.runs.has(change)),
    altersRow: changes.some((change) => known.altersRow.has(change)),
  };
}

function noteSystemWrite(facts: StatementFacts, relation: CatalogRelation): void {
  if (relation.name === 'pg_settings') {
    // A rule on the view turns UPDATE into set_config().
    facts.settings.push({ name: '*', value: undefined, local: false });
  }
  facts.changesCatalog = true;
  facts.refuse(
    `${relation.schema}.${relation.name} belongs to the system and must not be changed directly`,
    {
      hint: relation.name === 'pg_settings' ? 'Use SET.' : undefined,
    },
  );
}

function targetScope(target: Table, from: FromItem, outer: Scope | undefined): Scope {
  return {
    tables: [target, ...from.tables],
    columns: [...target.columns, ...from.columns],
    outer,
  };
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
        flow(facts, target, flows, set.name, expression(facts, index, scope));
      }
    }
    flow(facts, target, flows, set.name, assignedValue(facts, set.val, scope));
    noteWritten(facts, target, set.name);
  }
}

/** Of `(a, b) = (SELECT x, y)` the part for this column, where the parts can be told apart. */
function assignedValue(facts: StatementFacts, node: Node | undefined, scope: Scope): Lineage {
  const value = expression(facts, node, scope);
  const part = as(node, 'MultiAssignRef');
  return part ? (value.fields?.[(part.colno ?? 0) - 1]?.lineage ?? value) : value;
}

function flow(
  facts: StatementFacts,
  target: Table,
  flows: Flows,
  name: string | undefined,
  value: Lineage,
): void {
  facts.noteStored(value);
  const written = target.columns.find((column) => column.name === name);
  if (name === undefined || !written) {
    facts.refuse(`column ${name} of the target is not known`, { missing: name ?? '' });
    return;
  }
  const before = flows.get(name);
  flows.set(name, before ? derive([before, value]) : value);
}

function noteWritten(facts: StatementFacts, target: Table, name: string | undefined): void {
  const { relation } = target;
  const own = relation?.columns.find((column) => column.name === name);
  if (relation && own) {
    facts.noteColumnWritten(facts.column(relation, own.attnum, own.name).fact);
  }
  // Through a view: the base column that is written in truth.
  const behind = target.columns.find((column) => column.name === name)?.lineage.identity;
  if (behind) {
    facts.noteColumnWritten(behind.fact);
  }
}

/** The target after the change: what was written is part of what its columns show. */
function withFlows(target: Table, flows: Flows): Table {
  const changed = target.columns.map((column): NamedLineage => {
    const written = flows.get(column.name);
    if (!written || written.origins.size === 0) {
      return column;
    }
    const lineage = withOrigins(column.lineage, written.origins);
    return { name: column.name, lineage: { ...lineage, identity: undefined } };
  });
  // A generated column, or a view's column, may depend on any column that was written.
  const all = unite([...flows.values()]);
  const columns = changed.map((column): NamedLineage => {
    const computed = column.lineage.identity === undefined && !flows.has(column.name);
    return computed ? { name: column.name, lineage: withOrigins(column.lineage, all) } : column;
  });
  return { ...target, columns };
}

function returning(
  facts: StatementFacts,
  clause: FieldsOf<'ReturningClause'> | undefined,
  target: WriteTarget,
  flows: Flows,
  from: FromItem | undefined,
  outer: Scope | undefined,
): QueryResult {
  if (!clause) {
    return NO_RESULT;
  }
  checkFields(facts, 'ReturningClause', clause);
  if (target.altersRow) {
    facts.refuse(
      'RETURNING shows what triggers, rules or functions of the target made of the row',
      {
        hint: 'Leave RETURNING out, and select the row afterwards.',
      },
    );
  }
  const after = withFlows(target, flows);
  const names = new Map([
    ['RETURNING_OPTION_OLD', 'old'],
    ['RETURNING_OPTION_NEW', 'new'],
  ]);
  for (const node of clause.options ?? []) {
    const option = as(node, 'ReturningOption');
    checkFields(facts, 'ReturningOption', option ?? { unknown: node });
    names.set(option?.option ?? '', option?.value ?? '');
  }
  const old = { ...target, name: names.get('RETURNING_OPTION_OLD'), schema: undefined };
  const fresh = { ...after, name: names.get('RETURNING_OPTION_NEW'), schema: undefined };
  const scope: Scope = {
    tables: [after, old, fresh, ...(from?.tables ?? [])],
    columns: [...after.columns, ...(from?.columns ?? [])],
    outer,
  };
  const columns = targetColumns(facts, clause.exprs, scope);
  for (const column of columns) {
    facts.noteRead(column.lineage);
  }
  return { columns, conditions: new Set() };
}
