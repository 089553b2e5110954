/** What is told of a statement: as what it was decided, what was withheld of it, and how it ended. */
import {
  type Operation,
  type Outcome,
  rulesOf,
  type StreamAudit,
} from '../../../gateway/sessions/audit.ts';
import type { RuleRef } from '../../../policy/types.ts';
import { builtin } from '../policy/guards.ts';
import { isMistake } from '../policy/is-mistake.ts';
import { TextBytes } from '../policy/text-bytes.ts';
import type { AllowedStatement, SqlRefusal, StatementAnalysis, Verdict } from '../policy/types.ts';
import { commentTags } from './comment-tags.ts';
import type { Run } from './run.ts';

/** A verdict is kept and used again for each statement of its shape. */
const OPERATIONS = new WeakMap<AllowedStatement, Operation>();
const EMPTY = operationOf({ rules: [] });
const OPAQUE = operationOf({ rules: [builtin('passthrough')] });

/** One decision per statement of the text. @returns the number of the first. */
export function tellAllowed(
  audit: StreamAudit,
  at: number,
  statements: readonly AllowedStatement[],
  text: string,
): number {
  const [statement] = statements;
  const operation = statement === undefined ? EMPTY : allowedOperation(statement);
  if (statements.length <= 1) return audit.allowed(at, operation, commentTags(text));
  const bytes = new TextBytes(text);
  const [first = 0] = statements.map((one) =>
    audit.allowed(at, allowedOperation(one), commentTags(bytes.slice(one.analysis))),
  );
  return first;
}

/** Let through without a look, by a passthrough grant. @returns its number. */
export function tellOpaque(audit: StreamAudit, at: number, text = ''): number {
  return audit.allowed(at, OPAQUE, commentTags(text));
}

export function tellRefused(
  audit: StreamAudit,
  at: number,
  verdict: Verdict & { effect: 'refuse' },
  text: string,
): void {
  const { refusal } = verdict;
  const operation = refusedOperation(verdict.analysis[verdict.statement], refusal);
  const comments = commentTags(text);
  if (isMistake(refusal)) audit.failed(at, operation, refusal, comments);
  else audit.refused(at, operation, refusal, comments);
}

/** A result that is withheld though its statement was allowed. */
export function tellWithheld(audit: StreamAudit, run: Run, refusal: SqlRefusal): void {
  const { allowed, text } = run.statement;
  const operation = refusedOperation(allowed?.analysis, refusal);
  audit.refused(run.at, operation, refusal, commentTags(text));
}

export function tellEnded(
  audit: StreamAudit,
  run: Run,
  end: Pick<Outcome, 'tag' | 'sqlState'>,
): void {
  const masker = run.masker ?? run.copy;
  const detected = masker?.detected;
  audit.ended(run.at, run.statement.number, {
    detected: detected && Object.fromEntries(detected),
    maskedValues: masker?.maskedValues,
    rows: run.rows,
    sqlState: end.sqlState,
    tag: end.tag,
  });
}

function allowedOperation(statement: AllowedStatement): Operation {
  let operation = OPERATIONS.get(statement);
  if (operation === undefined) {
    operation = operationOf(statement);
    OPERATIONS.set(statement, operation);
  }
  return operation;
}

function refusedOperation(
  analysis: StatementAnalysis | undefined,
  { rule }: SqlRefusal,
): Operation {
  return operationOf({ analysis, rules: rule === undefined ? [] : [rule] });
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

function columnName(column: { schema: string; name: string; column: string }): string {
  return `${column.schema}.${column.name}.${column.column}`;
}
