/**
 * A stream whose bytes nobody here can read, from what its connector has told of each operation: so
 * one that says what it does needs no replay of its own, and whoever lacks a connector sees as much.
 */
import { codeOf, View } from '../api/view.ts';
import type { EventOfStream, StreamContext, StreamDecoder } from './connector.ts';
import { decisionOf, operationEntry } from './operation-entry.ts';
import { MAX_HELD } from './replay-limits.ts';
import type { ApprovalStep, Outcome, Statement, TimelineEntry } from './timeline.ts';

type Of<Type extends EventOfStream['type']> = Extract<EventOfStream, { type: Type }>;

export class EventDecoder implements StreamDecoder {
  readonly #context: StreamContext;
  readonly #unreadable: TimelineEntry;
  /** The oldest first. */
  #open: Statement[] = [];
  /** Whether all that was asked for is shown; undefined: nothing was. */
  #isWhole: boolean | undefined;

  /** @param unreadable what is shown where not every operation said what it was */
  constructor(context: StreamContext, unreadable: TimelineEntry) {
    this.#context = context;
    this.#unreadable = unreadable;
  }

  up(): void {
    // What was asked for is in the events.
  }

  down(): void {
    // And so is what came of it.
  }

  event(event: EventOfStream, timeMs: number): void {
    if (event.type === 'approval.held') this.#begin(event, timeMs);
    if (event.type === 'decision') this.#decided(event, timeMs);
    if (event.type === 'result') this.#answered(event, timeMs);
  }

  approval(at: number, step: ApprovalStep): number | undefined {
    const held = this.#open.find((entry) => entry.at === at);
    return held && this.#change(held, { approvals: [...held.approvals, step] }).number;
  }

  end(): void {
    for (const entry of this.#open) this.#end(entry, outcomeOf(entry), undefined);
    if (this.#isWhole !== true) this.#context.emit(this.#unreadable);
    this.#isWhole = true;
  }

  /** @returns undefined: nothing says what it is */
  #begin(event: Of<'approval.held' | 'decision'>, startMs: number): Statement | undefined {
    // Nobody has looked at what stands in an event before.
    const view = View.safeParse(event.view).data;
    if (view === undefined) {
      this.#isWhole = false;
      return undefined;
    }
    this.#isWhole ??= true;
    const { stream, limits, nextNumber, prompt } = this.#context;
    const whole = codeOf(view) ?? '';
    const text = whole.slice(0, limits.statementLength).toWellFormed();
    const start = { stream, at: event.at, number: nextNumber(), text, prompt: prompt(), startMs };
    const textLength = Buffer.byteLength(whole);
    const entry: Statement = { ...operationEntry(start), textLength, view };
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.length >= MAX_HELD) {
      this.#end(oldest, outcomeOf(oldest), undefined);
    }
    this.#open.push(entry);
    return entry;
  }

  /** Before it is held, or when that is over. */
  #decided(event: Of<'decision'>, timeMs: number): void {
    const held = this.#open.find(({ at, decisions }) => at === event.at && decisions.length === 0);
    const entry = held ?? this.#begin(event, timeMs);
    if (entry === undefined) return;
    const decided = this.#change(entry, { decisions: [decisionOf(event)] });
    if (event.effect === 'refuse') this.#end(decided, 'denied', timeMs);
    if (event.effect === 'fail') this.#end(decided, 'failed', timeMs);
  }

  #answered({ statement, rows, tag, sqlState }: Of<'result'>, endMs: number): void {
    const entry = this.#open.find(({ decisions: [first] }) => first?.statement === statement);
    if (entry === undefined) return;
    const result = { columns: [], rows: [], rowCount: rows, tag, suspended: false };
    const answered = { ...entry, results: [{ ...result, copy: undefined, facts: undefined }] };
    this.#end(this.#change(entry, answered), sqlState === undefined ? 'ok' : 'failed', endMs);
  }

  #change(entry: Statement, to: Partial<Statement>): Statement {
    const changed = { ...entry, ...to };
    this.#open = this.#open.map((one) => (one === entry ? changed : one));
    return changed;
  }

  #end(entry: Statement, outcome: Outcome, endMs: number | undefined): void {
    this.#open = this.#open.filter((one) => one !== entry);
    this.#context.emit({ ...entry, outcome, endMs });
  }
}

/** Of what has no answer. */
function outcomeOf({ approvals }: Statement): Outcome {
  const last = approvals.at(-1);
  const mayRun = last?.type !== 'decided' || ['released', 'kept'].includes(last.outcome);
  return mayRun ? 'unanswered' : 'denied';
}
