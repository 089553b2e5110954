/** One top-level statement: its verb, its result columns and its effect on the session. */
import { insert, merge, remove, update } from './changes.ts';
import { definition, noteTarget } from './definitions.ts';
import { expressions } from './expressions.ts';
import { namedRelation } from './from-items.ts';
import { functionCall } from './function-call.ts';
import { checkFields, isSessionStatement } from './grammar.ts';
import { constant, derive, type NamedLineage } from './lineage.ts';
import { findType } from './names.ts';
import { select } from './queries.ts';
import { NO_RESULT, type QueryResult, type Scope } from './scope.ts';
import { sessionStatement } from './session-statements.ts';
import type { StatementFacts } from './statement-facts.ts';
import { statementKind } from './statement-verbs.ts';
import { as, type FieldsOf, is, literalText, type Node, stringOf, tagOf } from './tree.ts';
import type { OutputColumn, ProtocolEffect, StatementAnalysis } from './types.ts';

export type Effect = Omit<ProtocolEffect, 'settings' | 'runsUserCode' | 'changesCatalog'>;

export interface StatementResult {
  readonly verb: string;
  /** undefined: returns no rows. */
  readonly columns: readonly NamedLineage[] | undefined;
  /** Set instead of `columns` where they were worked out before: EXECUTE, FETCH. */
  readonly outputs?: readonly OutputColumn[] | undefined;
  readonly protocol: Effect;
}

/** Statements of this text by the names that they defined, before the context's own. */
export interface KnownStatements {
  readonly prepared: (name: string) => StatementAnalysis | undefined;
  readonly cursor: (name: string) => StatementAnalysis | undefined;
}

export function statement(
  facts: StatementFacts,
  node: Node,
  known: KnownStatements,
): StatementResult {
  const [tag = '', fields] = Object.entries(node)[0] ?? [];
  if (isSessionStatement(tag)) {
    checkFields(facts, tag, fields ?? {});
  }
  if (is(node, 'SelectStmt')) return selectStatement(facts, node.SelectStmt);
  const change = changeStatement(facts, node, undefined);
  if (change) {
    const returns = returningOf(node);
    return result(change.verb, returns ? change.result.columns : undefined);
  }
  if (is(node, 'CopyStmt')) return copy(facts, node.CopyStmt);
  if (is(node, 'CreateTableAsStmt')) return createTableAs(facts, node.CreateTableAsStmt, known);
  if (is(node, 'ViewStmt')) return createView(facts, node.ViewStmt);
  if (is(node, 'ExplainStmt')) return explain(facts, node.ExplainStmt, known);
  if (is(node, 'PrepareStmt')) return prepare(facts, node.PrepareStmt, known);
  if (is(node, 'ExecuteStmt')) return execute(facts, node.ExecuteStmt, known);
  if (is(node, 'DeclareCursorStmt')) return declare(facts, node.DeclareCursorStmt, known);
  if (is(node, 'FetchStmt')) return fetch(facts, node.FetchStmt, known);
  if (is(node, 'DoStmt'))
    return userCode(facts, 'do', 'DO runs code that cannot be seen from here');
  if (is(node, 'CallStmt')) return call(facts, node.CallStmt);
  const session = sessionStatement(facts, node);
  if (session) {
    return session;
  }
  return defining(facts, node, known);
}

function result(
  verb: string,
  columns?: readonly NamedLineage[],
  protocol: Effect = {},
): StatementResult {
  return { verb, columns, protocol };
}

function selectStatement(facts: StatementFacts, fields: FieldsOf<'SelectStmt'>): StatementResult {
  const into = leftmost(fields).intoClause;
  facts.into = into;
  const { columns } = select(facts, fields, undefined);
  if (!into) {
    return result('select', columns);
  }
  intoRelation(facts, into, columns);
  return result('create table as');
}

/** In a UNION the INTO stands in its first SELECT. */
function leftmost(fields: FieldsOf<'SelectStmt'>): FieldsOf<'SelectStmt'> {
  let first = fields;
  while (first.larg) {
    first = first.larg;
  }
  return first;
}

function intoRelation(
  facts: StatementFacts,
  into: FieldsOf<'IntoClause'>,
  columns: readonly NamedLineage[],
): void {
  checkFields(facts, 'IntoClause', into);
  facts.changesCatalog = true;
  facts.noteStored(derive(columns.map((column) => column.lineage)));
  if (into.rel) {
    noteTarget(facts, into.rel);
  }
}

interface Change {
  readonly verb: string;
  readonly result: QueryResult;
}

/** INSERT, UPDATE, DELETE, MERGE; undefined for anything else. */
function changeStatement(
  facts: StatementFacts,
  node: Node,
  scope: Scope | undefined,
): Change | undefined {
  if (is(node, 'InsertStmt'))
    return { verb: 'insert', result: insert(facts, node.InsertStmt, scope) };
  if (is(node, 'UpdateStmt'))
    return { verb: 'update', result: update(facts, node.UpdateStmt, scope) };
  if (is(node, 'DeleteStmt'))
    return { verb: 'delete', result: remove(facts, node.DeleteStmt, scope) };
  if (is(node, 'MergeStmt')) return { verb: 'merge', result: merge(facts, node.MergeStmt, scope) };
  return undefined;
}

/** A query inside another statement: in FROM, in WITH, in an expression. */
export function innerQuery(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): QueryResult {
  if (is(node, 'SelectStmt')) {
    return select(facts, node.SelectStmt, scope);
  }
  const change = node && changeStatement(facts, node, scope);
  if (!change) {
    facts.unknown(`${node ? tagOf(node) : 'nothing'} as a query`);
  }
  return change?.result ?? NO_RESULT;
}

function returningOf(node: Node): boolean {
  const [fields] = Object.values(node);
  return typeof fields === 'object' && fields !== null && 'returningClause' in fields;
}

function copy(facts: StatementFacts, fields: FieldsOf<'CopyStmt'>): StatementResult {
  const direction = fields.is_from ? 'in' : 'out';
  facts.verb(fields.is_from ? 'insert' : 'select');
  if (fields.filename !== undefined || fields.is_program) {
    const way = fields.is_from ? 'FROM' : 'TO';
    facts.serverAccess.add(`COPY … ${way} ${fields.is_program ? 'PROGRAM' : 'a server file'}`);
  }
  const protocol: Effect = { copy: { direction, format: copyFormat(fields.options) } };
  if (fields.query) {
    return result('copy', innerQuery(facts, fields.query, undefined).columns, protocol);
  }
  const names = (fields.attlist ?? []).flatMap((node) => stringOf(node) ?? []);
  if (fields.is_from) {
    copyIn(facts, fields, names);
    return result('copy', undefined, protocol);
  }
  const table = fields.relation && namedRelation(facts, fields.relation);
  const columns = table && copiedColumns(facts, table.columns, names);
  for (const column of columns ?? []) {
    facts.noteRead(column.lineage);
  }
  return result('copy', columns ?? [], protocol);
}

function copiedColumns(
  facts: StatementFacts,
  all: readonly NamedLineage[],
  names: readonly string[],
): readonly NamedLineage[] {
  if (names.length === 0) {
    return all;
  }
  return names.map((name) => {
    const found = all.find((column) => column.name === name);
    if (!found) {
      facts.refuse(`column ${name} is not known`, { missing: name });
    }
    return found ?? { name, lineage: constant() };
  });
}

/** COPY … FROM as the INSERT that it is: same target rules, same triggers. */
function copyIn(
  facts: StatementFacts,
  fields: FieldsOf<'CopyStmt'>,
  names: readonly string[],
): void {
  insert(
    facts,
    {
      ...(fields.relation ? { relation: fields.relation } : {}),
      cols: names.map((name) => ({ ResTarget: { name } })),
    },
    undefined,
  );
  if (fields.whereClause && fields.relation) {
    const table = namedRelation(facts, fields.relation);
    const scope: Scope = {
      tables: table ? [table] : [],
      columns: table?.columns ?? [],
      outer: undefined,
    };
    facts.noteInferred(derive(expressions(facts, [fields.whereClause], scope)));
  }
}

function copyFormat(options: readonly Node[] | undefined): 'text' | 'csv' | 'binary' {
  const formats = (options ?? []).flatMap((option) => {
    const element = as(option, 'DefElem');
    return element?.defname === 'format' ? (stringOf(element.arg) ?? '') : [];
  });
  const format = formats.at(-1)?.toLowerCase();
  return format === 'csv' || format === 'binary' ? format : 'text';
}

function createTableAs(
  facts: StatementFacts,
  fields: FieldsOf<'CreateTableAsStmt'>,
  known: KnownStatements,
): StatementResult {
  const verb = fields.objtype === 'OBJECT_MATVIEW' ? 'create materialized view' : 'create table as';
  const into = fields.into ?? {};
  if (is(fields.query, 'ExecuteStmt')) {
    const inner = execute(facts, fields.query.ExecuteStmt, known);
    intoRelation(facts, into, []);
    storeOutputs(facts, inner.outputs);
    return result(verb);
  }
  intoRelation(facts, into, innerQuery(facts, fields.query, undefined).columns);
  return result(verb);
}

/** Values of a statement that was judged before, now stored. */
function storeOutputs(facts: StatementFacts, outputs: readonly OutputColumn[] | undefined): void {
  for (const fact of (outputs ?? []).flatMap((output) => [
    ...output.sources,
    ...(output.tied ?? []),
  ])) {
    const relation = facts.context.catalog.relationByOid(fact.oid);
    if (relation) {
      const origin = facts.column(relation, fact.attnum, fact.column);
      facts.noteStored({ ...constant(), origins: new Set([origin]) });
    } else {
      facts.refuse(`the column ${fact.name}.${fact.column} is no longer known`);
    }
  }
}

function createView(facts: StatementFacts, fields: FieldsOf<'ViewStmt'>): StatementResult {
  facts.changesCatalog = true;
  // What the view shows is traced through its definition whenever it is read.
  innerQuery(facts, fields.query, undefined);
  if (fields.view) {
    noteTarget(facts, fields.view);
  }
  return result('create view');
}

function explain(
  facts: StatementFacts,
  fields: FieldsOf<'ExplainStmt'>,
  known: KnownStatements,
): StatementResult {
  const runs = (fields.options ?? []).some((option) => {
    const element = as(option, 'DefElem');
    return element?.defname?.toLowerCase() === 'analyze' && !isOff(element.arg);
  });
  if (fields.query) {
    const inner = statement(facts, fields.query, known);
    if (runs) {
      facts.verb(inner.verb);
    } else {
      // Planning alone writes nothing, but it can run functions to fold them into constants.
      facts.forgetWrites();
    }
  } else {
    facts.unknown('EXPLAIN of nothing');
  }
  return result('explain', [{ name: 'QUERY PLAN', lineage: constant() }]);
}

/** An option that PostgreSQL reads as false (defGetBoolean). */
function isOff(node: Node | undefined): boolean {
  if (node === undefined) {
    return false;
  }
  const integer = as(node, 'Integer');
  const text = stringOf(node) ?? literalText(node) ?? as(node, 'Boolean')?.boolval;
  if (integer) {
    return (integer.ival ?? 0) === 0;
  }
  return ['false', 'off'].includes(String(text).toLowerCase());
}

function prepare(
  facts: StatementFacts,
  fields: FieldsOf<'PrepareStmt'>,
  known: KnownStatements,
): StatementResult {
  const types = (fields.argtypes ?? []).map((type) => {
    const typeName = as(type, 'TypeName');
    return findType(facts, typeName)?.oid ?? 0;
  });
  facts.parameterTypes = types;
  const inner = fields.query && statement(facts, fields.query, known);
  if (!inner) {
    facts.unknown('PREPARE of nothing');
  }
  facts.verb(inner?.verb ?? 'prepare');
  return { ...result('prepare', inner?.columns), protocol: { prepare: fields.name ?? '' } };
}

function execute(
  facts: StatementFacts,
  fields: FieldsOf<'ExecuteStmt'>,
  known: KnownStatements,
): StatementResult {
  const name = fields.name ?? '';
  const args = expressions(facts, fields.params, undefined);
  for (const argument of args) {
    facts.noteRead(argument);
  }
  const before = known.prepared(name);
  if (!before) {
    facts.refuse(`the prepared statement ${name} is not known here`, {
      hint: 'Prepare it again on this connection.',
    });
  } else {
    facts.include(before);
  }
  return {
    verb: 'execute',
    columns: undefined,
    outputs: before?.outputs,
    protocol: { execute: name },
  };
}

function declare(
  facts: StatementFacts,
  fields: FieldsOf<'DeclareCursorStmt'>,
  known: KnownStatements,
): StatementResult {
  const inner = fields.query && statement(facts, fields.query, known);
  if (!inner) {
    facts.unknown('DECLARE of nothing');
  }
  facts.verb(inner?.verb ?? 'declare');
  return {
    ...result('declare', inner?.columns),
    protocol: { declareCursor: fields.portalname ?? '' },
  };
}

function fetch(
  facts: StatementFacts,
  fields: FieldsOf<'FetchStmt'>,
  known: KnownStatements,
): StatementResult {
  const name = fields.portalname ?? '';
  const cursor = known.cursor(name);
  if (!cursor) {
    facts.refuse(`the cursor ${name} is not known here`, {
      hint: 'Declare it again on this connection.',
    });
  } else {
    facts.include(cursor);
  }
  const verb = fields.ismove ? 'move' : 'fetch';
  const outputs = fields.ismove ? undefined : (cursor?.outputs ?? []);
  return { verb, columns: undefined, outputs, protocol: { fetch: name } };
}

function userCode(facts: StatementFacts, verb: string, reason: string): StatementResult {
  facts.runsUserCode = true;
  facts.changesCatalog = true;
  facts.refuse(reason, {
    hint: 'Send the SQL that it runs as statements of their own.',
    because: { verb },
  });
  return result(verb);
}

function call(facts: StatementFacts, fields: FieldsOf<'CallStmt'>): StatementResult {
  if (fields.funccall) {
    functionCall(facts, fields.funccall, undefined);
  }
  return {
    ...userCode(facts, 'call', 'CALL runs code that cannot be seen from here'),
    // INOUT parameters come back as a row.
    columns: [],
  };
}

function defining(facts: StatementFacts, node: Node, known: KnownStatements): StatementResult {
  const kind = statementKind(node);
  if (!kind) {
    const name = tagOf(node) ?? 'this statement';
    facts.unknown(name);
    facts.runsUserCode = true;
    facts.changesCatalog = true;
    return result(wordsOf(name));
  }
  if (is(node, 'CreateSchemaStmt')) {
    facts.changesCatalog = true;
    facts.noteWriteOf(node.CreateSchemaStmt.schemaname ?? '', '*');
    for (const element of node.CreateSchemaStmt.schemaElts ?? []) {
      facts.verb(statement(facts, element, known).verb);
    }
    return result(kind.verb);
  }
  definition(facts, node, kind);
  return result(kind.verb);
}

/** `CreateFooStmt` → `create foo`, for a statement that is refused anyway. */
function wordsOf(tag: string): string {
  return tag
    .replace(/Stmt$/, '')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
}
