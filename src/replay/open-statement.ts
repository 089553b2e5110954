/** A statement while its bytes are still being read, and how it becomes an entry of the timeline. */
import type { DecodeText } from './client-encoding.ts';
import type { ReplayLimits } from './replay-limits.ts';
import { showValue } from './show-value.ts';
import type {
  Decision,
  Outcome,
  Parameter,
  Result,
  ResultColumn,
  ResultFacts,
  ServerMessage,
  Statement,
} from './timeline.ts';
import { isNumber, typeName } from './type-names.ts';

/** One column of a RowDescription, as far as showing needs it. */
export interface FieldShape {
  readonly name: string;
  readonly typeOid: number;
  readonly format: number;
}

/** Counts down what may still be kept of the whole session. */
export interface Budget {
  left: number;
}

/** Text of a prepared statement, shared by the runs of it. */
export interface Prepared {
  readonly name: string;
  readonly at: number;
  readonly startMs: number;
  readonly text: string;
  readonly textLength: number;
  parameterTypes: readonly number[];
  fields: readonly FieldShape[] | undefined;
  decisions: readonly Decision[];
  /** Runs that were asked for; 0 makes an entry of its own. */
  runs: number;
  error: ServerMessage | undefined;
}

export class OpenResult {
  fields: readonly FieldShape[];
  readonly rows: (string | null)[][] = [];
  rowCount = 0;
  tag: string | undefined;
  suspended = false;
  copy: { direction: 'in' | 'out'; format: 'text' | 'binary'; bytes: number } | undefined;
  facts: ResultFacts | undefined;
  /** Set when one row was not kept: the view shows the first rows without holes. */
  #full = false;
  readonly #formats: readonly number[];

  /** @param formats as Bind asked for them; used when nobody asked for a description. */
  constructor(fields: readonly FieldShape[], formats: readonly number[] = []) {
    this.fields = fields;
    this.#formats = formats;
  }

  /** @returns whether the next row, of this many bytes, is to be decoded. */
  wantsRow(
    bodyLength: number,
    maxRowLength: number,
    limits: ReplayLimits,
    budget: Budget,
  ): boolean {
    this.rowCount += 1;
    this.#full ||= this.rows.length >= limits.rows || bodyLength > maxRowLength || budget.left <= 0;
    return !this.#full;
  }

  row(
    values: readonly (Uint8Array | null)[],
    decode: DecodeText,
    limits: ReplayLimits,
    budget: Budget,
  ): void {
    if (this.fields.length === 0) {
      this.fields = values.map((_, index) => ({
        name: `column ${index + 1}`,
        typeOid: 0,
        format: (this.#formats.length === 1 ? this.#formats[0] : this.#formats[index]) ?? 0,
      }));
    }
    const row = this.fields.map(({ typeOid, format }, index) =>
      showValue(values[index] ?? null, { typeOid, format, decode, limit: limits.valueLength }),
    );
    budget.left -= row.reduce((sum, value) => sum + (value?.length ?? 0) + 1, 0);
    this.rows.push(row);
  }

  finish(decision: Decision | undefined): Result {
    const columns = this.fields.map(
      (field, index): ResultColumn => ({
        name: field.name,
        type: typeName(field.typeOid),
        numeric: isNumber(field.typeOid),
        masked: decision !== undefined && isMasked(decision, index, field.name),
      }),
    );
    const { rows, rowCount, tag, suspended, copy, facts } = this;
    return { columns, rows, rowCount, tag, suspended, copy, facts };
  }
}

/** Without indexes in the decision only columns under their own name can be told. */
function isMasked(decision: Decision, index: number, name: string): boolean {
  return decision.outputsMasked
    ? decision.outputsMasked.includes(index)
    : decision.columnsMasked.some((column) => column.split('.').at(-1) === name);
}

export interface NewStatement {
  readonly number: number;
  readonly stream: number;
  readonly at: number;
  readonly protocol: Statement['protocol'];
  readonly text: string;
  readonly textLength: number;
  readonly startMs: number;
}

export class OpenStatement {
  readonly #new: NewStatement;
  readonly prepared: Prepared | undefined;
  readonly parameters: readonly Parameter[];
  /** Offsets of messages that decisions and results may name: Query, or Parse, Bind and Execute. */
  readonly offsets: readonly number[];
  readonly results: OpenResult[] = [];
  readonly notices: ServerMessage[] = [];
  readonly facts: ResultFacts[] = [];
  error: ServerMessage | undefined;
  outcome: Outcome | undefined;
  endMs: number | undefined;

  constructor(
    start: NewStatement,
    origin: {
      readonly prepared?: Prepared | undefined;
      readonly parameters?: readonly Parameter[];
      readonly offsets?: readonly number[];
    } = {},
  ) {
    this.#new = start;
    this.prepared = origin.prepared;
    this.parameters = origin.parameters ?? [];
    this.offsets = origin.offsets ?? [start.at];
  }

  get result(): OpenResult | undefined {
    return this.results.at(-1);
  }

  end(outcome: Outcome, timeMs: number | undefined): void {
    this.outcome ??= outcome;
    this.endMs ??= timeMs;
  }

  /** Whether the gateway's count is there for every result. */
  get isCounted(): boolean {
    return this.results.length > 0 && this.facts.length >= this.results.length;
  }

  /** A run of a prepared statement has one result; a Query has one for each of its statements. */
  get takesCount(): boolean {
    return this.#new.protocol === 'extended' ? this.facts.length === 0 : true;
  }

  /** @param own decisions about this run; without any, those about the prepared statement count. */
  finish(own: readonly Decision[]): Statement {
    const { number, stream, at, protocol, text, textLength, startMs } = this.#new;
    const decisions = own.length > 0 ? own : (this.prepared?.decisions ?? []);
    const refused = decisions.some(({ effect }) => effect === 'refuse');
    const results = this.results.map((result, index) => {
      result.facts ??= this.facts[index];
      return result.finish(decisions[index] ?? (decisions.length === 1 ? decisions[0] : undefined));
    });
    return {
      type: 'statement',
      number,
      stream,
      at,
      protocol,
      text,
      textLength,
      name: this.prepared?.name ?? '',
      parameters: this.parameters,
      decisions,
      results,
      error: this.error,
      notices: this.notices,
      outcome: refused && this.outcome !== 'skipped' ? 'denied' : (this.outcome ?? 'unanswered'),
      startMs,
      endMs: this.endMs,
    };
  }
}
