/** What is told of a statement: as what it was decided, what was withheld of it, and how it ended. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StreamAudit } from '../../../../gateway/audit/stream-audit.ts';
import { type Operation, type Outcome, rulesOf } from '../../../../gateway/audit/stream-audit.ts';
import type { RuleRef } from '../../../../policy/types.ts';
import type { StatementAnalysis } from '../../policy/facts/analysis-types.ts';
import { isMistake } from '../../policy/facts/is-mistake.ts';
import type { AllowedStatement, SqlRefusal, Verdict } from '../../policy/facts/types.ts';
import { statementLots } from '../../policy/parse/statement-lots.ts';
import { TextBytes } from '../../policy/parse/text-bytes.ts';
import { builtin } from '../../policy/verdict/guards.ts';
import { observes } from '../results/results.ts';
import {
  columnName,
  columnsAsked,
  columnsOf,
  NOTHING_KNOWN,
} from '../results/statement-columns.ts';
import { AlikeFacts } from '../statements/alike-facts.ts';
import { commentTags } from '../statements/comment-tags.ts';
import { withoutPlace } from '../statements/hidden-passwords.ts';
import type { Run } from '../statements/run.ts';
import type { PostgresStreamOptions } from '../types.ts';

type Telling = Pick<PostgresStreamOptions, 'audit' | 'maskKey'>;

/** A verdict is kept and used again for each statement of its shape. */
const OPERATIONS = new WeakMap<AllowedStatement, Operation>();
const EMPTY = operationOf({ rules: [] });
const OPAQUE = { ...operationOf({ rules: [builtin('passthrough')] }), facts: NOTHING_KNOWN };
const ALIKE = new AlikeFacts();

/** One decision per statement of the text. @returns their numbers. */
export function tellAllowed(
  telling: Telling,
  at: number,
  statements: readonly AllowedStatement[],
  text: string,
): readonly number[] {
  const { audit } = telling;
  const [statement] = statements;
  const operation = statement === undefined ? EMPTY : allowedOperation(telling, statement);
  if (statements.length <= 1) return [audit.allowed(at, operation, commentTags(text))];
  const bytes = new TextBytes(text);
  return statements.map((one) => tellOne(telling, at, one, bytes));
}

/** As `tellAllowed`, with others between. @returns undefined: the stream has ended. */
export async function tellInTurns(
  telling: Telling,
  at: number,
  statements: readonly AllowedStatement[],
  text: string,
  ended: AbortSignal,
): Promise<readonly number[] | undefined> {
  const bytes = new TextBytes(text);
  const numbers: number[] = [];
  for (const lot of lotsOf(statements)) {
    if (numbers.length > 0) await nextTurn();
    if (ended.aborted) return undefined;
    numbers.push(...lot.map((one) => tellOne(telling, at, one, bytes)));
  }
  return numbers;
}

/** Whether their decisions are too many, or too large, to be told in one turn. */
export function mustTellInTurns(statements: readonly AllowedStatement[]): boolean {
  return statements.length > 1 && lotsOf(statements).length > 1;
}

function lotsOf(statements: readonly AllowedStatement[]): readonly (readonly AllowedStatement[])[] {
  return statementLots(statements, ({ analysis }) => analysis);
}

function tellOne(
  telling: Telling,
  at: number,
  statement: AllowedStatement,
  bytes: TextBytes,
): number {
  const comments = commentTags(bytes.slice(statement.analysis));
  return telling.audit.allowed(at, allowedOperation(telling, statement), comments);
}

/** Let through without a look, by a passthrough grant. @returns its number. */
export function tellOpaque({ audit }: Telling, at: number, text = ''): number {
  return audit.allowed(at, OPAQUE, commentTags(text));
}

export function tellRefused(
  telling: Telling,
  at: number,
  verdict: Verdict & { effect: 'refuse' },
  text: string,
): void {
  const { audit } = telling;
  const refusal = { ...verdict.refusal, message: withoutPlace(verdict.refusal.message, text) };
  const operation = refusedOperation(telling, verdict.analysis[verdict.statement], refusal);
  const comments = commentTags(text);
  if (isMistake(refusal)) audit.failed(at, operation, refusal, comments);
  else audit.refused(at, operation, refusal, comments);
}

/** A result that is withheld though its statement was allowed. */
export function tellWithheld(telling: Telling, run: Run, refusal: SqlRefusal): void {
  const { allowed, text } = run.statement;
  const operation = refusedOperation(telling, allowed?.analysis, refusal);
  telling.audit.refused(run.at, operation, refusal, commentTags(text));
}

export function tellEnded(
  audit: StreamAudit,
  run: Run,
  end: Pick<Outcome, 'tag' | 'sqlState'>,
): void {
  // What was counted and then refused or rolled back has never been handed out.
  const isReturned = run.trial === undefined || run.bytes > 0;
  const masker = isReturned ? (run.masker ?? run.copy) : undefined;
  const detected = masker?.detected;
  audit.ended(run.at, run.statement.number, {
    bytes: run.bytes,
    detected: detected && Object.fromEntries(detected),
    maskedValues: masker?.maskedValues,
    rows: isReturned ? run.rows : 0,
    seen: observes(run.statement.allowed) ? Object.fromEntries(run.masker?.seen ?? []) : undefined,
    sqlState: end.sqlState,
    tag: end.tag,
    us: Math.round((performance.now() - run.startedAt) * 1000),
  });
}

function allowedOperation({ maskKey }: Telling, statement: AllowedStatement): Operation {
  let operation = OPERATIONS.get(statement);
  if (operation === undefined) {
    operation = { ...operationOf(statement), facts: ALIKE.of(columnsOf(statement, maskKey)) };
    OPERATIONS.set(statement, operation);
  }
  return operation;
}

function refusedOperation(
  { maskKey }: Telling,
  analysis: StatementAnalysis | undefined,
  { rule }: SqlRefusal,
): Operation {
  const facts = analysis && ALIKE.of(columnsAsked(analysis, maskKey));
  return { ...operationOf({ analysis, rules: rule === undefined ? [] : [rule] }), facts };
}

function operationOf(decided: {
  readonly analysis?: StatementAnalysis | undefined;
  readonly rules: readonly RuleRef[];
  readonly masks?: AllowedStatement['masks'];
  readonly approvals?: AllowedStatement['approvals'];
  readonly computed?: AllowedStatement['computed'];
}): Operation {
  const { analysis, masks = [], rules, approvals = [], computed } = decided;
  const columns = masks.flatMap((mask) => mask?.columns ?? []);
  const relations = [...(analysis?.reads ?? []), ...(analysis?.writes ?? [])];
  return {
    columnsComputed: computed && [...new Set(computed.map(columnName))],
    columnsMasked: [...new Set(columns.map(columnName))],
    needsApproval: approvals.length > 0,
    outputsMasked: masks.flatMap((mask, index) => (mask ? [index] : [])),
    resources: [...new Set(relations.map(({ schema, name }) => `${schema}.${name}`))],
    rules: rulesOf(rules, approvals),
    verbs: analysis?.verbs ?? [],
  };
}
