/** What one stream leaves in the record besides its bytes: decisions, results, denials, totals. */

import { deniedLine, rulesOf } from '../../../gateway/sessions/operation-record.ts';
import {
  type HeldEnd,
  type HeldRequest,
  StreamRecord,
} from '../../../gateway/sessions/stream-record.ts';
import type { HitCounts } from '../../../masking/detect-text.ts';
import type { RuleRef } from '../../../policy/types.ts';
import type { RecordingEvent } from '../../../recording/types.ts';
import { builtin } from '../policy/guards.ts';
import { isMistake } from '../policy/is-mistake.ts';
import { TextBytes } from '../policy/text-bytes.ts';
import type { AllowedStatement, SqlRefusal, StatementAnalysis, Verdict } from '../policy/types.ts';
import { commentTags } from './comment-tags.ts';
import type { Run } from './run.ts';
import type { PostgresStreamOptions, PostgresStreamSummary } from './types.ts';

type Decision = Extract<RecordingEvent, { type: 'decision' }>;

/** What of a decision is the same each time the statement runs. */
interface DecisionFacts
  extends Pick<Decision, 'columnsComputed' | 'columnsMasked' | 'relations' | 'rules' | 'verbs'> {
  readonly outputsMasked: readonly number[];
  readonly needsApproval: boolean;
}

/** A verdict is kept and used again for each statement of its shape. */
const FACTS = new WeakMap<AllowedStatement, DecisionFacts>();

export class StreamStory {
  readonly #options: PostgresStreamOptions;
  readonly #record: StreamRecord;
  #numbers = 0;
  #statements = 0;
  #denied = 0;
  #maskedValues = 0;

  constructor(options: PostgresStreamOptions) {
    this.#options = options;
    this.#record = new StreamRecord(options);
  }

  /** One event per statement of the text. @returns the number of the first. */
  allowed(at: number, statements: readonly AllowedStatement[], text: string): number {
    const first = this.#numbers + 1;
    if (statements.length === 0) this.#decision(at, factsOf({ rules: [] }), text);
    const bytes = statements.length > 1 ? new TextBytes(text) : undefined;
    for (const statement of statements) {
      const own = bytes === undefined ? text : bytes.slice(statement.analysis);
      this.#decision(at, knownFacts(statement), own);
    }
    return first;
  }

  held(held: HeldRequest): void {
    this.#record.held(held);
  }

  decided(at: number, request: string, end: HeldEnd): void {
    this.#record.decided(at, request, end);
  }

  /** Values of masked columns that a statement is about to look up. */
  lookedUp(at: number, statement: number | undefined, candidates: number, left: number): void {
    const { stream } = this.#options;
    this.#record.write({ type: 'lookups', stream, at, statement, candidates, left });
  }

  /** Let through without a look, by a passthrough grant. @returns its number. */
  opaque(at: number, text = ''): number {
    const first = this.#numbers + 1;
    this.#decision(at, factsOf({ rules: [builtin('passthrough')] }), text);
    return first;
  }

  refused(at: number, verdict: Verdict & { effect: 'refuse' }, text: string): void {
    const { refusal } = verdict;
    const rules = refusal.rule === undefined ? [] : [refusal.rule];
    const analysis = verdict.analysis[verdict.statement];
    this.#decision(at, factsOf({ analysis, rules }), text, refusal);
    if (isMistake(refusal)) return;
    this.#denied += 1;
    this.#record.say(deniedLine(this.#options.stream, at, refusal));
  }

  /** A result that is withheld though its statement was allowed. */
  withheld(run: Run, refusal: SqlRefusal): void {
    const rules = refusal.rule === undefined ? [] : [refusal.rule];
    const analysis = run.statement.allowed?.analysis;
    this.#decision(run.at, factsOf({ analysis, rules }), run.statement.text, refusal);
    this.#denied += 1;
    this.#record.say(deniedLine(this.#options.stream, run.at, refusal));
  }

  finished(run: Run, end: { tag?: string; sqlState?: string }): void {
    this.#statements += 1;
    const masker = run.masker ?? run.copy;
    this.#maskedValues += masker?.maskedValues ?? 0;
    this.#record.write({
      at: run.at,
      detected: counts(masker?.detected),
      maskedValues: masker?.maskedValues ?? 0,
      rows: run.rows,
      sqlState: end.sqlState,
      statement: run.statement.number,
      stream: this.#options.stream,
      tag: end.tag,
      type: 'result',
    });
  }

  target(server: string, tls: boolean): void {
    this.#record.write({ type: 'target', stream: this.#options.stream, server, tls });
  }

  cancelled(forStream: number | undefined): void {
    this.#record.write({ type: 'cancel', stream: this.#options.stream, forStream });
  }

  /** Before anything goes to the target. @throws RecordingFailed */
  written(): void {
    this.#record.written();
  }

  summary(reason: string): PostgresStreamSummary {
    return {
      statements: this.#statements,
      denied: this.#denied,
      maskedValues: this.#maskedValues,
      reason,
    };
  }

  #decision(at: number, facts: DecisionFacts, text: string, refusal?: SqlRefusal): void {
    const {
      columnsComputed,
      columnsMasked,
      outputsMasked,
      relations,
      rules,
      verbs,
      needsApproval,
    } = facts;
    const unrefused = needsApproval ? 'approve' : 'allow';
    const comments = commentTags(text);
    this.#numbers += 1;
    this.#record.write({
      // In this order their canonical form is written fastest.
      at,
      code: refusal?.code,
      columnsComputed,
      columnsMasked,
      comments,
      effect: refusal === undefined ? unrefused : isMistake(refusal) ? 'fail' : 'refuse',
      message: refusal?.message,
      outputsMasked,
      policyCommit: this.#options.grant().commit,
      relations,
      rules,
      statement: this.#numbers,
      stream: this.#options.stream,
      type: 'decision',
      verbs,
    });
  }
}

function knownFacts(statement: AllowedStatement): DecisionFacts {
  let facts = FACTS.get(statement);
  if (facts === undefined) {
    facts = factsOf(statement);
    FACTS.set(statement, facts);
  }
  return facts;
}

function factsOf(decided: {
  readonly analysis?: StatementAnalysis | undefined;
  readonly rules: readonly RuleRef[];
  readonly masks?: AllowedStatement['masks'];
  readonly approvals?: AllowedStatement['approvals'];
  readonly computed?: AllowedStatement['computed'];
}): DecisionFacts {
  const { analysis, masks = [], rules, approvals = [], computed } = decided;
  const columns = masks.flatMap((mask) => mask?.columns ?? []);
  const relations = [...(analysis?.reads ?? []), ...(analysis?.writes ?? [])];
  return {
    columnsComputed: computed && [...new Set(computed.map(columnName))],
    columnsMasked: [...new Set(columns.map(columnName))],
    needsApproval: approvals.length > 0,
    outputsMasked: masks.flatMap((mask, index) => (mask ? [index] : [])),
    relations: [...new Set(relations.map(({ schema, name }) => `${schema}.${name}`))],
    rules: rulesOf(rules, approvals),
    verbs: analysis?.verbs ?? [],
  };
}

function columnName(column: { schema: string; name: string; column: string }): string {
  return `${column.schema}.${column.name}.${column.column}`;
}

function counts(detected: HitCounts | undefined): Readonly<Record<string, number>> {
  return detected === undefined ? {} : Object.fromEntries(detected);
}
