/** Statements in the index: decisions and results, written in batches. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { RecordingEvent, StatementFacts } from '../../recording/formats/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
import type { Store } from '../store/store.ts';
import { isStoreFault } from '../store/store-watch.ts';
import {
  type Decision,
  type Held,
  type Pending,
  placeOf,
  type Result,
} from './pending-statement.ts';
import { RefusalLimit } from './refusal-events.ts';
import { StatementRows } from './statement-rows.ts';
import { factCount, MAX_FACTS } from './touched-lists.ts';

/** Rows wait at most this long, or until there are this many. */
const FLUSH_AFTER_MS = 100;
const FLUSH_AT_EVENTS = 500;
/** While the store is away. */
const RETRY_AFTER_MS = 1000;
/** So many wait for it, be it away or slow, some 1 KiB each. */
const MAX_WAITING = 20_000;

export class StatementIndex {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  #pending: Pending[] = [];
  #added = 0;
  /** Of the pending ones, by session, stream and number. */
  #undone = new Map<string, Pending>();
  readonly #streams = new StreamFacts();
  readonly #rows: StatementRows;
  readonly #refusals: RefusalLimit;
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Immediate | undefined;
  /** The lots that are being written; one after the other. */
  #writing: Promise<void> = Promise.resolve();

  /** @param doesActs whether what is done on targets of a kind are acts, and no statements. */
  constructor(
    store: Store,
    clock: () => number,
    onFault: (error: unknown) => void,
    doesActs: (kind: string) => boolean,
    events: EventSteps,
  ) {
    this.#store = store;
    this.#refusals = new RefusalLimit(clock);
    this.#rows = new StatementRows({ store, events, doesActs });
    this.#clock = clock;
    this.#onFault = onFault;
  }

  /** Decisions and results of statements, with what they name; other events are not indexed. */
  event(session: string, event: RecordingEvent): void {
    switch (event.type) {
      case 'decision':
        this.#addDecision(session, event);
        break;
      case 'result':
        this.#addResult(session, event);
        break;
      case 'approval.held': {
        const { stream, at, request } = event;
        this.#streams.hold(session, { stream, at, request });
        this.#push(session, { held: { stream, at, request } });
        break;
      }
      case 'ssh.file':
        this.#push(session, { file: event });
        break;
      case 'facts':
        this.#streams.learn(session, event);
        return;
      default:
        return;
    }
    this.#dropOldest();
    if (this.#isFailing) {
      // It is tried again each second, and not with each statement.
      this.#timer ??= setTimeout(() => this.#flushGuarded(), RETRY_AFTER_MS).unref();
    } else if (this.#pending.length >= FLUSH_AT_EVENTS) {
      this.#nextTurn ??= setImmediate(() => this.#flushGuarded());
    } else {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), FLUSH_AFTER_MS);
    }
  }

  /** A session is over. @returns what of its refusals was counted and not told yet */
  countedOf(session: string): readonly Counted<Decision>[] {
    return this.#refusals.rest(session);
  }

  /** What `countedOf` gave and could not be told. */
  putBackCounted(counted: readonly Counted<Decision>[]): void {
    this.#refusals.putBack(counted);
  }

  /** Writes what is pending. @throws what the store says. */
  async flush(): Promise<void> {
    this.#stopTimers();
    const upTo = this.#added;
    const written = this.#writing.then(() => this.#writeUpTo(upTo));
    // Whoever comes later waits for it, and is not told of its fault.
    this.#writing = written.catch(() => undefined);
    await written;
  }

  /** Nothing more comes of it. */
  streamEnded(session: string, stream: number): void {
    this.#streams.streamEnded(session, stream);
  }

  sessionEnded(session: string): void {
    this.#streams.sessionEnded(session);
  }

  #stopTimers(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    this.#timer = undefined;
    this.#nextTurn = undefined;
  }

  /** Others have their turn between two lots. @param upTo of all that were ever added */
  async #writeUpTo(upTo: number): Promise<void> {
    while (this.#added - this.#pending.length < upTo) {
      await this.#writeLot();
      if (this.#pending.length > 0) await nextTurn();
    }
    await this.#writeCounted();
  }

  /** Refusals that came too often to tell each. */
  async #writeCounted(): Promise<void> {
    const due = this.#refusals.due();
    if (due.length > 0) {
      await this.#store
        .transaction(() => this.#rows.tellCounted(due))
        .catch((error: unknown) => {
          if (isStoreFault(error)) this.#refusals.putBack(due);
          throw error;
        });
    } else if (this.#refusals.isCounting) {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), this.#refusals.everyMs);
    }
  }

  /** As much as others can wait for: some statements, or a part of what a large one touches. */
  async #writeLot(): Promise<void> {
    const [first] = this.#pending;
    try {
      if (first?.decision !== undefined && !(await this.#rows.isReady(first))) return;
    } catch (error) {
      // What fails each time would hold up all behind it.
      if (!isStoreFault(error)) this.#takeLot();
      throw error;
    }
    const lot = this.#takeLot();
    await this.#rows.write(lot).catch((error: unknown) => {
      if (isStoreFault(error)) this.#putBack(lot);
      throw error;
    });
  }

  /** The store is away. A result that comes behind one of them is in the same entry, or follows it. */
  #putBack(lot: readonly Pending[]): void {
    this.#pending = [...lot, ...this.#pending];
    for (const entry of lot) {
      const { session, decision, result } = entry;
      if (decision !== undefined && result === undefined) {
        this.#undone.set(placeOf(session, decision), entry);
      }
    }
    this.#dropOldest();
  }

  /** Rather some rows, of which the recordings have all, than the memory of the gateway. */
  #dropOldest(): void {
    let lost = 0;
    while (this.#pending.length > MAX_WAITING) lost += this.#takeLot().length;
    if (lost === 0) return;
    this.#onFault(
      new HoopError('HOOP_STORE_UNAVAILABLE', `the index has lost ${lost} rows of statements`, {
        detail: `The store did not accept them, and ${MAX_WAITING} others are waiting. The recordings have them.`,
      }),
    );
  }

  /** The first ones; one that is large by itself. */
  #takeLot(): readonly Pending[] {
    let facts = 0;
    let count = 0;
    for (const entry of this.#pending) {
      facts += factCount(entry);
      if (count > 0 && (facts > MAX_FACTS || count >= FLUSH_AT_EVENTS)) break;
      count += 1;
    }
    const lot = this.#pending.splice(0, count);
    for (const { session, decision } of lot) {
      if (decision !== undefined) this.#undone.delete(placeOf(session, decision));
    }
    return lot;
  }

  #addDecision(session: string, decision: Decision): void {
    // Now: by the time of the flush a result that came behind it is in the same entry.
    const before = { stream: decision.stream, statement: decision.statement - 1 };
    const last = this.#undone.get(placeOf(session, before))?.decision;
    const facts = this.#streams.of(session, decision);
    const isTold = decision.effect === 'refuse' && this.#refusals.take(session, decision);
    const entry = this.#push(session, { decision, facts, last, isTold });
    this.#undone.set(placeOf(session, decision), entry);
  }

  #addResult(session: string, result: Result): void {
    const key = placeOf(session, result);
    const before = this.#undone.get(key);
    if (before === undefined) {
      this.#push(session, { result });
      return;
    }
    // Mostly both come in one batch, and are one row then.
    before.result = result;
    before.resultMs = this.#clock();
    before.approval ??= this.#streams.requestAt(session, result);
    this.#undone.delete(key);
  }

  #push(
    session: string,
    {
      decision,
      facts,
      last,
      isTold = false,
      result,
      held,
      file,
    }: Partial<Omit<Pending, 'session' | 'timeMs'>>,
  ): Pending {
    const timeMs = this.#clock();
    const event = decision ?? result ?? held;
    const approval = event && this.#streams.requestAt(session, event);
    const entry = { session, timeMs, decision, facts, last, isTold, result, held, file, approval };
    const pending: Pending = { ...entry, resultMs: timeMs };
    this.#pending.push(pending);
    this.#added += 1;
    return pending;
  }

  #flushGuarded(): void {
    this.flush().then(
      () => {
        this.#isFailing = false;
      },
      (error: unknown) => {
        // The recordings hold the same; readiness tells the operator that the index cannot write.
        if (!this.#isFailing) this.#onFault(error);
        this.#isFailing = isStoreFault(error);
        if (this.#pending.length === 0 && !this.#refusals.isCounting) return;
        this.#timer ??= setTimeout(() => this.#flushGuarded(), RETRY_AFTER_MS).unref();
      },
    );
  }
}

/** What the streams of live sessions have said last: facts that decisions name, and what is held. */
interface StreamState {
  /** By their place. */
  readonly facts: (StatementFacts | undefined)[];
  /** Of the message that was held last: one at a time waits on a stream. */
  held: Held | undefined;
}

class StreamFacts {
  readonly #sessions = new Map<string, Map<number, StreamState>>();

  learn(session: string, event: Extract<RecordingEvent, { type: 'facts' }>): void {
    this.#of(session, event.stream).facts[event.facts] = event;
  }

  hold(session: string, held: Held): void {
    this.#of(session, held.stream).held = held;
  }

  of(session: string, { stream, facts }: Decision): StatementFacts | undefined {
    return facts === undefined ? undefined : this.#sessions.get(session)?.get(stream)?.facts[facts];
  }

  /** @returns the request that the message waited for which ran, or was decided about, there */
  requestAt(session: string, { stream, at }: { readonly stream: number; readonly at: number }) {
    const held = this.#sessions.get(session)?.get(stream)?.held;
    return held?.at === at ? held.request : undefined;
  }

  streamEnded(session: string, stream: number): void {
    this.#sessions.get(session)?.delete(stream);
  }

  sessionEnded(session: string): void {
    this.#sessions.delete(session);
  }

  #of(session: string, stream: number): StreamState {
    let streams = this.#sessions.get(session);
    if (streams === undefined) {
      streams = new Map();
      this.#sessions.set(session, streams);
    }
    let state = streams.get(stream);
    if (state === undefined) {
      state = { facts: [], held: undefined };
      streams.set(stream, state);
    }
    return state;
  }
}
