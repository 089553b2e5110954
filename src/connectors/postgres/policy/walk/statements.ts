/** One top-level statement: its verb, its result columns and its effect on the session. */

import { functionCall } from '../calls/function-call.ts';
import type { OutputColumn, ProtocolEffect, StatementAnalysis } from '../facts/analysis-types.ts';
import { constant, derive, type NamedLineage } from '../facts/lineage.ts';
import { NO_RESULT, type QueryResult, type Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { type FieldsOf, is, type Node, tagOf } from '../parse/tree.ts';
import { noteLoginCode } from '../verdict/login-code.ts';
import { insert, merge, remove, update } from '../writes/changes.ts';
import { copy } from '../writes/copy-statement.ts';
import { definition, noteNew } from '../writes/definitions.ts';
import { namedRelation } from './from-items.ts';
import { checkFields, isSessionStatement } from './grammar.ts';
import { select } from './queries.ts';
import { sessionStatement } from './session-statements.ts';
import { statementKind } from './statement-verbs.ts';
import { declare, execute, explain, fetch, prepare } from './wrapped-statements.ts';

export type Effect = Omit<
  ProtocolEffect,
  'settings' | 'runsUserCode' | 'codeIsRead' | 'changesCatalog'
>;

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
  facts.mayLookUp = CHANGES.has(tag);
  const change = changeStatement(facts, node, undefined);
  if (change) {
    facts.countIsInTag = true;
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
  if (is(node, 'DoStmt')) {
    noteLoginCode(facts, node.DoStmt.args, 'in any call');
    return userCode(facts, 'do', 'DO runs code that cannot be seen from here');
  }
  if (is(node, 'CallStmt')) return call(facts, node.CallStmt);
  const session = sessionStatement(facts, node);
  if (session) {
    return session;
  }
  return defining(facts, node, known);
}

export function result(
  verb: string,
  columns?: readonly NamedLineage[],
  protocol: Effect = {},
): StatementResult {
  return { verb, columns, protocol };
}

function selectStatement(facts: StatementFacts, fields: FieldsOf<'SelectStmt'>): StatementResult {
  const into = leftmost(fields).intoClause;
  facts.into = into;
  facts.mayLookUp = into === undefined;
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
    noteNew(facts, into.rel);
  }
}

const CHANGES: ReadonlySet<string> = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
]);

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
  if (is(node, 'InsertStmt')) {
    // DEFAULT VALUES.
    facts.usesDefaults ||= node.InsertStmt.selectStmt === undefined;
    return { verb: 'insert', result: insert(facts, node.InsertStmt, scope) };
  }
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
    noteNew(facts, fields.view);
  }
  return result('create view');
}

function userCode(facts: StatementFacts, verb: string, reason: string): StatementResult {
  facts.runsUserCode = true;
  facts.changesCatalog = true;
  facts.refuse(reason, {
    hint: 'Send the SQL that it runs as separate statements.',
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

/** AccessShareLock in src/include/storage/lockdefs.h. */
const ACCESS_SHARE = 1;

/** LOCK … IN ACCESS SHARE MODE takes the lock that reading takes; pg_dump begins with it. */
function lockLikeSelect(facts: StatementFacts, fields: FieldsOf<'LockStmt'>): StatementResult {
  for (const node of fields.relations ?? []) {
    const relation = is(node, 'RangeVar') ? namedRelation(facts, node.RangeVar) : undefined;
    if (!is(node, 'RangeVar')) facts.unknown(`${tagOf(node)} in LOCK`);
    else if (!relation) facts.refuse(`${node.RangeVar.relname} is not known`);
  }
  return result('select');
}

function defining(facts: StatementFacts, node: Node, known: KnownStatements): StatementResult {
  if (is(node, 'LockStmt') && node.LockStmt.mode === ACCESS_SHARE) {
    return lockLikeSelect(facts, node.LockStmt);
  }
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
