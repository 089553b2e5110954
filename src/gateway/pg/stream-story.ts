/** What one stream leaves in the record besides its bytes: decisions, results, denials, totals. */
import type { HitCounts } from '../../masking/detect-text.ts';
import { isMistake } from '../../policy/is-mistake.ts';
import type { AllowedStatement, StatementAnalysis, Verdict } from '../../policy/sql/types.ts';
import type { Refusal, RuleRef } from '../../policy/types.ts';
import type { RecordingEvent } from '../../recording/types.ts';
import type { Run } from './run.ts';
import type { PostgresStreamOptions, PostgresStreamSummary } from './types.ts';

/** The record could not be written: nothing more may be forwarded. Wraps what the recorder threw. */
export class RecordingFailed extends Error {
  constructor(cause: unknown) {
    super('the recording cannot be written', { cause });
    this.name = 'RecordingFailed';
  }
}

export class StreamStory {
  readonly #options: PostgresStreamOptions;
  #numbers = 0;
  #statements = 0;
  #denied = 0;
  #maskedValues = 0;

  constructor(options: PostgresStreamOptions) {
    this.#options = options;
  }

  /** One event per statement of the text. @returns the number of the first. */
  allowed(at: number, statements: readonly AllowedStatement[]): number {
    const first = this.#numbers + 1;
    if (statements.length === 0) this.#decision({ at, rules: [] });
    for (const { analysis, masks, rules } of statements) {
      const columns = (masks ?? []).flatMap((mask) => mask?.columns ?? []);
      const columnsMasked = [...new Set(columns.map(columnName))];
      const outputsMasked = (masks ?? []).flatMap((mask, index) => (mask ? [index] : []));
      this.#decision({ at, analysis, rules, columnsMasked, outputsMasked });
    }
    return first;
  }

  refused(at: number, verdict: Verdict & { effect: 'refuse' }): void {
    const { refusal } = verdict;
    const rules = refusal.rule === undefined ? [] : [refusal.rule];
    this.#decision({ at, analysis: verdict.analysis[verdict.statement], refusal, rules });
    if (isMistake(refusal)) return;
    this.#denied += 1;
    this.#evidence(at, refusal);
  }

  /** A result that is withheld though its statement was allowed. */
  withheld(run: Run, refusal: Refusal): void {
    const rules = refusal.rule === undefined ? [] : [refusal.rule];
    this.#decision({ at: run.at, analysis: run.statement.allowed?.analysis, refusal, rules });
    this.#denied += 1;
    this.#evidence(run.at, refusal);
  }

  finished(run: Run, end: { tag?: string; sqlState?: string }): void {
    this.#statements += 1;
    this.#maskedValues += run.masker?.maskedValues ?? 0;
    this.#write({
      at: run.at,
      detected: counts(run.masker?.detected),
      maskedValues: run.masker?.maskedValues ?? 0,
      rows: run.rows,
      sqlState: end.sqlState,
      statement: run.statement.number,
      stream: this.#options.stream,
      tag: end.tag,
      type: 'result',
    });
  }

  target(server: string, tls: boolean): void {
    this.#write({ type: 'target', stream: this.#options.stream, server, tls });
  }

  cancelled(forStream: number | undefined): void {
    this.#write({ type: 'cancel', stream: this.#options.stream, forStream });
  }

  /** Before anything goes to the target. @throws RecordingFailed */
  written(): void {
    try {
      this.#options.recorded();
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  summary(reason: string): PostgresStreamSummary {
    return {
      statements: this.#statements,
      denied: this.#denied,
      maskedValues: this.#maskedValues,
      reason,
    };
  }

  #decision(decision: {
    readonly at: number;
    readonly analysis?: StatementAnalysis | undefined;
    readonly refusal?: Refusal;
    readonly rules: readonly RuleRef[];
    readonly columnsMasked?: readonly string[];
    readonly outputsMasked?: readonly number[];
  }): void {
    const { at, analysis, refusal, rules, columnsMasked = [], outputsMasked = [] } = decision;
    this.#numbers += 1;
    const relations = [...(analysis?.reads ?? []), ...(analysis?.writes ?? [])];
    this.#write({
      // In this order their canonical form is written fastest.
      at,
      code: refusal?.code,
      columnsMasked,
      effect: refusal === undefined ? 'allow' : isMistake(refusal) ? 'fail' : 'refuse',
      message: refusal?.message,
      outputsMasked,
      policyCommit: this.#options.grant().commit,
      relations: [...new Set(relations.map(({ schema, name }) => `${schema}.${name}`))],
      rules: rules.map(({ id, file, line, grant }) =>
        grant === undefined ? { file, id, line } : { file, grant, id, line },
      ),
      statement: this.#numbers,
      stream: this.#options.stream,
      type: 'decision',
      verbs: analysis?.verbs ?? [],
    });
  }

  #evidence(at: number, refusal: Refusal): void {
    const { code, message, detail, hint } = refusal;
    try {
      this.#options.evidence({
        type: 'denied',
        stream: this.#options.stream,
        at,
        code,
        message,
        detail,
        hint,
        rule: refusal.rule?.id,
      });
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  #write(event: RecordingEvent): void {
    try {
      this.#options.event(event);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }
}

function columnName(column: { schema: string; name: string; column: string }): string {
  return `${column.schema}.${column.name}.${column.column}`;
}

function counts(detected: HitCounts | undefined): Readonly<Record<string, number>> {
  return detected === undefined ? {} : Object.fromEntries(detected);
}
