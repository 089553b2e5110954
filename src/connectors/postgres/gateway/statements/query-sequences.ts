/**
 * A simple Query whose statements are decided one after the other, each by what the names mean when
 * those before it have run:
 *
 *   client        gateway                                     target
 *     Query ──▶     SHOW, so that there is an implicit block ──▶
 *                   decide the first; Parse, Bind, Describe, Execute, Flush ──▶
 *       ◀── its rows and CommandComplete ◀───────────────────
 *                   decide the second, …
 *       ◀── the last CommandComplete, ReadyForQuery ◀──────── Sync
 *
 * Without a Sync in between all of it is one implicit transaction, as a Query is one; BEGIN and
 * COMMIT in the text do in it what they do in a Query. What is refused is put in its place as an
 * Execute that fails, so the target itself rolls back and the rest never gets there.
 */
import { isAscii } from 'node:buffer';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { TextBytes } from '../../policy/parse/text-bytes.ts';
import { CountedQuery } from '../counted/counted-query.ts';
import { decideUncounted } from '../counted/row-budget.ts';
import { countSource, isLimited } from '../counted/row-counts.ts';
import { onlyAlone } from '../counted/row-refusals.ts';
import { type Denial, deniedExecute } from '../refusals/denial.ts';
import type { Refusals } from '../refusals/refusals.ts';
import { confirmCopies } from '../results/copy-confirmer.ts';
import { needsReading } from '../results/copy-out.ts';
import { askAside } from '../target/probe.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { type Decided, refusedVerdict } from './decide.ts';
import type { KnownStatement } from './known-statement.ts';
import type { QueryDecisions } from './query-decisions.ts';
import { startRun } from './run.ts';
import { openBlock, sendStatement } from './send-statement.ts';
import { checkText, knownStatements } from './statement-text.ts';
import type { StatementRange } from './statements-in-turn.ts';

export interface SequenceRequest {
  /** Byte offset of the message in the up stream. */
  readonly at: number;
  readonly text: string;
  readonly statements: readonly StatementRange[];
}

/** One that runs. */
interface Sequence extends SequenceRequest {
  readonly query: CountedQuery;
  readonly bytes: TextBytes;
  /** Of the statements. */
  next: number;
  /** As far as its characters have been counted. */
  counted: number;
}

/** Settings that say how text is read, as the target has them now. */
const READING = `SELECT pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('standard_conforming_strings')`;
const ENDS_TRANSACTION: ReadonlySet<string | undefined> = new Set([
  'commit',
  'rollback',
  'prepare',
]);

export class QuerySequences {
  readonly #state: StreamState;
  readonly #decisions: QueryDecisions;
  readonly #refusals: Refusals;

  constructor(
    state: StreamState,
    parts: { readonly decisions: QueryDecisions; readonly refusals: Refusals },
  ) {
    this.#state = state;
    this.#decisions = parts.decisions;
    this.#refusals = parts.refusals;
  }

  async run(request: SequenceRequest): Promise<void> {
    const { queue, trials } = this.#state;
    // After an error in a pipeline the server skips a Query, which a Sync of ours would not be.
    await this.#state.waitForTarget(() => queue.length === 0);
    if (this.#state.skipping) return;
    const query = new CountedQuery(this.#state, request.statements.length);
    trials.query = query;
    openBlock(this.#state);
    const bytes = new TextBytes(request.text);
    await this.#go({ ...request, query, bytes, next: 0, counted: 0 });
  }

  /** Runs what is left of it. */
  async #go(sequence: Sequence): Promise<void> {
    const { trials } = this.#state;
    const { query, statements } = sequence;
    while (query.isOpen && sequence.next < statements.length) {
      const sent = await this.#next(sequence);
      if (sent === undefined) break;
      this.#state.cancels.handedOn();
      if (await trials.readsCopy(() => this.#goOn(sequence, sent))) return;
      if (!(await this.#answered(sequence, sent))) break;
    }
    await trials.ended(query);
  }

  /** After the data of a COPY. */
  async #goOn(sequence: Sequence, sent: KnownStatement): Promise<void> {
    if (await this.#answered(sequence, sent)) await this.#go(sequence);
    else await this.#state.trials.ended(sequence.query);
  }

  /** @returns whether the next one may be decided. */
  async #answered({ query }: Sequence, { allowed }: KnownStatement): Promise<boolean> {
    const state = this.#state;
    await state.trials.answered(query);
    if (!query.isOpen) return false;
    // Its result was withheld, and the client has an error: the rest must not run behind that.
    if (state.skipping || state.withholding) {
      state.trials.abandon(query);
      return false;
    }
    if (ENDS_TRANSACTION.has(allowed?.analysis.protocol.transaction)) openBlock(state);
    return true;
  }

  /** @returns undefined: it did not run, and the client knows, or will. */
  async #next(sequence: Sequence): Promise<KnownStatement | undefined> {
    const state = this.#state;
    const { at, query } = sequence;
    const range = sequence.statements[sequence.next];
    if (range === undefined) return undefined;
    sequence.next += 1;
    // Counted are those of this statement.
    state.lookupsCountedAt = undefined;
    const text = sequence.bytes.slice(range);
    const passed = sequence.bytes.slice({ start: sequence.counted, end: range.start });
    sequence.counted = range.start;
    query.before += [...passed].length;
    const decided = await this.#decide(text, at);
    if (!query.isOpen || state.skipping || decided.type === 'skipped') return undefined;
    if (decided.type !== 'allowed' && decided.type !== 'opaque') {
      this.#deny(this.#refusals.denial(at, movedBy(query.before, decided), text));
      return undefined;
    }
    const [known] = knownStatements({ state, decided, text, at, parameterTypes: [] });
    if (known === undefined) return undefined;
    const isApproved = decided.type === 'allowed' && decided.isApproved === true;
    return this.#send(sequence, known, isApproved);
  }

  async #decide(text: string, at: number): Promise<Decided> {
    await this.#learnReading(text);
    const checked = await checkText(this.#state, Buffer.from(text), () => text);
    if (this.#state.skipping) return { type: 'skipped' };
    if (checked.type === 'refused') return checked;
    const decided = await this.#decisions.decide(checked.text, at);
    // A slice of a text is one statement.
    if (decided.type === 'in turn') throw new TypeError('one statement was taken for several');
    return decided;
  }

  /**
   * A statement before it may have changed how text is read, which the target reports only with
   * ReadyForQuery. What is not known afterwards makes the statement be refused.
   */
  async #learnReading(text: string): Promise<void> {
    const { settings } = this.#state;
    const isPlain = isAscii(Buffer.from(text)) && !text.includes('\\');
    if (isPlain || settings.parserDoubt === undefined) return;
    const [row] = (await askAside(this.#state, READING)) ?? [];
    const [encoding, strings] = row ?? [];
    if (typeof encoding !== 'string' || typeof strings !== 'string') return;
    settings.reported('client_encoding', encoding);
    settings.reported('standard_conforming_strings', strings);
    settings.parserDoubt = undefined;
  }

  async #send(
    { at, query }: Sequence,
    known: KnownStatement,
    isApproved: boolean,
  ): Promise<KnownStatement | undefined> {
    const state = this.#state;
    const { allowed } = known;
    if (allowed !== undefined && isLimited(allowed)) {
      const refusal = refuseUncounted(known, isApproved);
      if (refusal !== undefined) {
        const refused = { type: 'refused', verdict: refusedVerdict(refusal) } as const;
        this.#deny(this.#refusals.denial(at, refused, known.text));
        return undefined;
      }
    }
    const grant = state.options.grant();
    if (needsReading(known, grant)) {
      const run = startRun(known, at, grant);
      const confirmed = await confirmCopies(state, [run]);
      if (confirmed.type === 'refused') {
        this.#deny(this.#refusals.withheld(run, confirmed.refusal));
        return undefined;
      }
      if (confirmed.type !== 'ready' || !query.isOpen) return undefined;
      const sql = confirmed.text ?? known.text;
      sendStatement(state, { at, sql, statement: known, query, isApproved, approval: 'none', run });
      return known;
    }
    const sql = known.text;
    sendStatement(state, { at, sql, statement: known, query, isApproved, approval: 'none' });
    return known;
  }

  #deny(denial: Denial): void {
    const state = this.#state;
    const base = { origin: 'client', segment: state.segment, denial } as const;
    state.send(deniedExecute(denial), { ...base, kind: 'execute', run: undefined });
    state.skipping = true;
  }
}

/** @returns why what cannot be counted must not run. */
function refuseUncounted(known: KnownStatement, isApproved: boolean): SqlRefusal | undefined {
  const { allowed } = known;
  const source = countSource(known);
  if (allowed === undefined || source.from !== 'nowhere') return undefined;
  const changes = { counted: 'not counted', why: source.why } as const;
  const decision = decideUncounted(allowed, changes, isApproved);
  switch (decision.effect) {
    case 'allow':
      return undefined;
    case 'refuse':
      return decision.refusal;
    case 'hold':
      return onlyAlone(allowed, changes);
  }
}

type No = Extract<Decided, { type: 'refused' | 'aborted' | 'cancelled' }>;

/** @param before characters of the text that stand before the statement. */
function movedBy(before: number, decided: No): No {
  if (decided.type !== 'refused' || decided.verdict.refusal.position === undefined) return decided;
  const { verdict } = decided;
  const position =
    verdict.refusal.position === undefined ? undefined : before + verdict.refusal.position;
  return { ...decided, verdict: { ...verdict, refusal: { ...verdict.refusal, position } } };
}
