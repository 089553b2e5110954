/** A statement while its bytes are still being read, and how it becomes an entry of the timeline. */

import type { Budget, ReplayLimits } from '../../../replay/replay-limits.ts';
import type {
  ApprovalStep,
  Decision,
  LookupCount,
  Outcome,
  Parameter,
  Result,
  ResultColumn,
  ResultFacts,
  ServerMessage,
  Statement,
} from '../../../replay/timeline.ts';
import type { DecodeText } from './client-encoding.ts';
import { showValue } from './show-value.ts';
import { isNumber, typeName } from './type-names.ts';

/** One column of a RowDescription, as far as showing needs it. */
export interface FieldShape {
  readonly name: string;
  readonly typeOid: number;
  readonly format: number;
}

/** A Parse message, shared by the runs of its statement. */
export interface Prepared {
  readonly name: string;
  readonly at: number;
  readonly startMs: number;
  readonly text: string;
  readonly textLength: number;
  /** In force when it came. */
  readonly prompt: string | undefined;
  parameterTypes: readonly number[];
  /** After Describe of the statement. */
  fields: readonly FieldShape[] | undefined;
  decisions: readonly Decision[];
  /** Entries that show it; 0 makes an entry of its own. */
  runs: number;
  error: ServerMessage | undefined;
}

/** A Bind message. */
export interface Portal {
  readonly prepared: Prepared | undefined;
  readonly at: number;
  readonly parameters: readonly Parameter[];
  readonly resultFormats: readonly number[];
  /** After Describe of the portal. */
  fields: readonly FieldShape[] | undefined;
}

/** No codes: all text. One code: for all. Else one for each. */
export function formatAt(formats: readonly number[], index: number): number {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 0;
}

/**
 * The columns that an Execute returns, if anyone has asked for them. Describe of a statement does
 * not know the formats; Bind says them.
 */
export function fieldsOf(portal: Portal | undefined): readonly FieldShape[] {
  const formats = portal?.resultFormats ?? [];
  const described = portal?.prepared?.fields?.map((field, index) => ({
    ...field,
    format: formatAt(formats, index),
  }));
  return portal?.fields ?? described ?? [];
}

export class OpenResult {
  copy: { direction: 'in' | 'out'; format: 'text' | 'binary'; bytes: number } | undefined;
  #fields: readonly FieldShape[];
  readonly #formats: readonly number[];
  readonly #rows: (string | null)[][] = [];
  #rowCount = 0;
  #state: 'open' | 'complete' | 'suspended' = 'open';
  #tag: string | undefined;
  /** Set when one row was not kept: the view shows the first rows without holes. */
  #full = false;

  /** @param formats as Bind asked for them; used when nobody asked for a description. */
  constructor(fields: readonly FieldShape[], formats: readonly number[] = []) {
    this.#fields = fields;
    this.#formats = formats;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Counts the row. @returns whether it is to be decoded and given to `row`. */
  wantsRow(limits: ReplayLimits, budget: Budget): boolean {
    this.#rowCount += 1;
    this.#full ||= this.#rows.length >= limits.rows || budget.left <= 0;
    return !this.#full;
  }

  row(
    values: readonly (Uint8Array | null)[],
    decode: DecodeText,
    limits: ReplayLimits,
    budget: Budget,
  ): void {
    if (this.#fields.length === 0) {
      this.#fields = values.map((_, index) => ({
        name: `column ${index + 1}`,
        typeOid: 0,
        format: formatAt(this.#formats, index),
      }));
    }
    const row = this.#fields.map(({ typeOid, format }, index) =>
      showValue(values[index] ?? null, { typeOid, format, decode, limit: limits.valueLength }),
    );
    budget.left -= row.reduce((sum, value) => sum + (value?.length ?? 0) + 1, 0);
    this.#rows.push(row);
  }

  /** @param tag undefined: the portal has more rows than Execute wanted. */
  end(tag: string | undefined): void {
    this.#tag = tag;
    this.#state = tag === undefined ? 'suspended' : 'complete';
  }

  finish(decision: Decision | undefined, facts: ResultFacts | undefined): Result {
    const columns = this.#fields.map(
      (field, index): ResultColumn => ({
        name: field.name,
        type: typeName(field.typeOid),
        numeric: isNumber(field.typeOid),
        masked: decision !== undefined && isMasked(decision, index, field.name),
      }),
    );
    return {
      columns,
      rows: this.#rows,
      rowCount: this.#rowCount,
      tag: this.#tag,
      suspended: this.#state === 'suspended',
      copy: this.copy,
      facts,
    };
  }
}

/** Without indexes in the decision only columns under their own name can be told. */
function isMasked(decision: Decision, index: number, name: string): boolean {
  return decision.outputsMasked
    ? decision.outputsMasked.includes(index)
    : decision.columnsMasked.some((column) => column.split('.').at(-1) === name);
}

/** Notices kept of one statement; `RAISE NOTICE` in a loop makes millions. */
const MAX_NOTICES = 100;
/** Steps kept of its approval; there are two. */
const MAX_APPROVALS = 100;
/** Results kept of one Query of many statements. */
const MAX_RESULTS = 1000;

export interface NewStatement {
  readonly number: number;
  readonly stream: number;
  readonly at: number;
  readonly protocol: Statement['protocol'];
  readonly text: string;
  readonly textLength: number;
  readonly prompt: string | undefined;
  readonly startMs: number;
}

export class OpenStatement {
  readonly prepared: Prepared | undefined;
  /** Offsets of messages that decisions and counts may name: Query, or Parse, Bind and Execute. */
  readonly offsets: readonly number[];
  readonly #results: OpenResult[] = [];
  #last: OpenResult | undefined;
  readonly facts: ResultFacts[] = [];
  lookups: LookupCount | undefined;
  error: ServerMessage | undefined;
  readonly #new: NewStatement;
  readonly #parameters: readonly Parameter[];
  readonly #notices: ServerMessage[] = [];
  readonly #approvals: ApprovalStep[] = [];
  #outcome: Outcome | undefined;
  #endMs: number | undefined;

  constructor(
    start: NewStatement,
    origin: {
      readonly prepared?: Prepared | undefined;
      readonly parameters?: readonly Parameter[];
      readonly offsets?: readonly number[];
    },
  ) {
    this.#new = start;
    this.prepared = origin.prepared;
    this.#parameters = origin.parameters ?? [];
    this.offsets = origin.offsets ?? [start.at];
  }

  get number(): number {
    return this.#new.number;
  }

  /** The newest result. */
  get result(): OpenResult | undefined {
    return this.#last;
  }

  addResult(result: OpenResult): void {
    this.#last = result;
    if (this.#results.length < MAX_RESULTS) {
      this.#results.push(result);
    }
  }

  /** An error and a statement that was not run have no count to wait for. */
  get needsNoCount(): boolean {
    return this.error !== undefined || this.#results.length === 0;
  }

  note(message: ServerMessage): void {
    if (this.#notices.length < MAX_NOTICES) {
      this.#notices.push(message);
    }
  }

  /** @returns whether it is kept. */
  approval(step: ApprovalStep): boolean {
    return this.#approvals.length < MAX_APPROVALS && this.#approvals.push(step) > 0;
  }

  end(outcome: Outcome, timeMs: number | undefined): void {
    this.#outcome ??= outcome;
    this.#endMs ??= timeMs;
  }

  /** Whether the gateway's count is there for every result. */
  get isCounted(): boolean {
    return this.#results.length > 0 && this.facts.length >= this.#results.length;
  }

  /** A run of a prepared statement has one result; a Query has one for each of its statements. */
  get takesCount(): boolean {
    return this.facts.length < (this.#new.protocol === 'extended' ? 1 : MAX_RESULTS);
  }

  /** @param own decisions about this run; without any, those about the prepared statement count. */
  finish(own: readonly Decision[]): Statement {
    const decisions = own.length > 0 ? own : (this.prepared?.decisions ?? []);
    const refused = decisions.some(({ effect }) => effect === 'refuse');
    const outcome = this.#outcome ?? 'unanswered';
    return {
      type: 'statement',
      ...this.#new,
      // The gateway's own word where it has decided about this very run.
      prompt: own[0] === undefined ? this.#new.prompt : own[0].prompt,
      name: this.prepared?.name ?? '',
      parameters: this.#parameters,
      decisions,
      approvals: this.#approvals,
      lookups: this.lookups,
      results: this.#results.map((result, index) =>
        result.finish(decisions[index] ?? decisions.at(-1), this.facts[index]),
      ),
      error: this.error,
      notices: this.#notices,
      outcome: refused && outcome !== 'skipped' ? 'denied' : outcome,
      endMs: this.#endMs,
    };
  }
}
