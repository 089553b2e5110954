/**
 * `query <> '<insufficient privilege>'`, `query NOT ILIKE '%pg_stat_activity%'`: tools sort statements
 * of other sessions out by words of the server's and of SQL's own. No value of anybody stands in these,
 * so whether one stands in a statement tells of no value.
 */

import type { Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { isStatementText } from '../facts/system-relations.ts';
import { as, type FieldsOf, type Node, namesOf } from '../parse/tree.ts';
import { columnRef } from './column-references.ts';

/** Lower case, without the `%` around it. */
const WORDS: ReadonlySet<string> = new Set([
  '',
  '<backend information not available>',
  '<command string not enabled>',
  '<idle>',
  '<idle> in transaction',
  '<idle> in transaction (aborted)',
  '<insufficient privilege>',
  'autovacuum',
  'autovacuum:',
  'autovacuum: ',
  'from pg_stat_activity',
  'pg_locks',
  'pg_stat',
  'pg_stat_activity',
  'pg_stat_statements',
  'pg_stat_statements_reset',
  ...`alter analyze begin call cluster commit copy create deallocate delete discard drop end execute explain
    fetch grant insert merge prepare refresh reindex revoke rollback select set show truncate update
    vacuum`.split(/\s+/),
  ...['create index', 'create materialized view', 'discard all', 'refresh materialized view'],
  ...['select 1', 'select 1;', 'start transaction', 'vacuum analyze', 'vacuum full'],
]);
const OPERATORS: ReadonlySet<string> = new Set(['=', '<>', '!=', '~~', '!~~', '~~*', '!~~*']);
const KINDS: ReadonlySet<string> = new Set(
  ['OP', 'LIKE', 'ILIKE', 'IN', 'DISTINCT', 'NOT_DISTINCT'].map((kind) => `AEXPR_${kind}`),
);
/** What is around the column changes none of it but blanks and case. */
const WRAPPING: ReadonlySet<string> = new Set(['btrim', 'ltrim', 'rtrim', 'lower', 'upper']);

/** Whether it asks a statement of another session for such words, and for nothing else. */
export function asksForWords(
  facts: StatementFacts,
  { kind, name, lexpr, rexpr }: FieldsOf<'A_Expr'>,
  scope: Scope | undefined,
): boolean {
  if (!KINDS.has(kind ?? '') || !OPERATORS.has(namesOf(name)?.at(-1) ?? '')) return false;
  const words = as(rexpr, 'List')?.items ?? [rexpr];
  const column = as(unwrapped(lexpr), 'ColumnRef');
  if (facts.view || column === undefined || !words.every(isWord)) return false;
  const { identity } = columnRef(facts, column, scope);
  return identity !== undefined && isStatementText(identity.fact);
}

function isWord(node: Node | undefined): boolean {
  const cast = as(node, 'TypeCast');
  // 'update'::varchar(2) is another word.
  const isCut = (cast?.typeName?.typmods ?? []).length > 0;
  const text = isCut ? undefined : as(cast?.arg ?? node, 'A_Const')?.sval;
  return text !== undefined && WORDS.has((text.sval ?? '').replace(/^%+|%+$/g, '').toLowerCase());
}

function unwrapped(node: Node | undefined): Node | undefined {
  const [value, fallback, ...more] = as(node, 'CoalesceExpr')?.args ?? [];
  const call = as(node, 'FuncCall');
  const isWrapping = call?.args?.length === 1 && WRAPPING.has(namesOf(call.funcname)?.at(-1) ?? '');
  if (isWord(fallback) && more.length === 0) return unwrapped(value);
  return isWrapping ? unwrapped(call.args?.[0]) : node;
}
