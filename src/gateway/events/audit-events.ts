/**
 * The gateway's events: added in the transaction that they tell of, or, where there is none, within
 * 100 ms; read by a cursor that misses none and gives none twice (event-sql.ts).
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEvent, EventParty, EventType } from '../../api/events.ts';
import { API_VERSION } from '../../api/http.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { NodeOwner } from '../nodes/node-owner.ts';
import {
  addAll,
  all,
  change,
  get,
  integer,
  type SqlValue,
  type Store,
  type Work,
} from '../store/store.ts';
import { type Counted, EventLimit } from './event-limit.ts';
import {
  ADD,
  CREATE_STATE,
  CUT,
  FORGET,
  LAST_NUMBER,
  LOCK_STATE,
  OLDEST,
  REBASE,
} from './event-sql.ts';

type Stamp = 'v' | 'cursor' | 'time' | 'gateway' | 'node' | 'term';
/** What happened; the rest is said of each. */
export type NewEvent = {
  [T in EventType]: Omit<Extract<AuditEvent, { type: T }>, Stamp>;
}[EventType];

/** For those who write something down: the event is there if it is, and only then. */
export interface EventSteps {
  add(...events: readonly NewEvent[]): Work<void>;
}

export interface AuditEventsOptions {
  readonly store: Store;
  readonly gateway: string;
  /** Which of several processes this is. */
  readonly owner: NodeOwner;
  readonly keep: { readonly days: number; readonly events: number };
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
  /** Hears of each event as it is written; a transaction that fails afterwards takes nothing back. */
  readonly onWritten?: (event: NewEvent) => void;
}

interface Waiting {
  readonly event: NewEvent;
  readonly timeMs: number;
}

const FLUSH_AFTER_MS = 100;
/** Of what the store did not take. */
const RETRY_AFTER_MS = 1000;
/** That could not be written yet. What comes beyond that is counted. */
const MAX_WAITING = 2000;
const DAY_MS = 86_400_000;
/** So many at once are removed before others have their turn. */
const FORGET_AT_ONCE = 5000;
/** Of names in the rows; in events longer ones are nobody's. */
const MAX_NAME = 320;

export class AuditEvents implements EventSteps, AsyncDisposable {
  readonly #options: AuditEventsOptions;
  readonly #limit: EventLimit<NewEvent>;
  readonly #listeners = new Set<() => void>();
  #waiting: Waiting[] = [];
  /** The last that was written was not. */
  #isFailing = false;
  #isStarted = false;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #hint: NodeJS.Timeout | undefined;

  private constructor(options: AuditEventsOptions) {
    this.#options = options;
    this.#limit = new EventLimit(options.clock);
  }

  static async open(options: AuditEventsOptions): Promise<AuditEvents> {
    await options.store.transaction(function* () {
      const id = randomBytes(4).toString('hex');
      yield* change(CREATE_STATE, { id });
      yield* change(REBASE, { id });
    });
    return new AuditEvents(options);
  }

  get store(): Store {
    return this.#options.store;
  }

  /** A step of the transaction that it tells of. */
  *add(...events: readonly NewEvent[]): Work<void> {
    const timeMs = this.#options.clock();
    yield* this.#add(events.map((event) => ({ event, timeMs })));
  }

  *#add(events: readonly Waiting[]): Work<void> {
    yield* addAll(
      ADD,
      events.map((event) => this.#row(event)),
    );
    for (const { event } of events) this.#options.onWritten?.(event);
    if (events.length > 0) this.#hinted();
  }

  /** Of what has no transaction: it is in the store when this resolves. @throws what the store says */
  async write(event: NewEvent): Promise<void> {
    await this.flush();
    await this.#options.store.transaction(() => this.add(event));
  }

  /** Of what has no transaction, and waits for none. */
  tell(event: NewEvent): void {
    this.#waiting.push({ event, timeMs: this.#options.clock() });
    this.#flushSoon();
  }

  /**
   * Of what somebody can make happen as often as they like: beyond a limit one event stands for many.
   * @param scope who that is
   * @param kind what is counted together
   */
  tellLimited(scope: string, kind: string, event: NewEvent): void {
    if (this.#waiting.length >= MAX_WAITING) this.#limit.count(scope, kind, event);
    else if (this.#limit.take(scope, kind, event)) this.tell(event);
    this.#flushSoon();
  }

  /** Writes what waits, and what was counted if its time has come. @throws what the store says */
  async flush(): Promise<void> {
    const mine = this.#writing.then(() => this.#writeWaiting());
    this.#writing = mine.catch(() => undefined);
    await mine;
  }

  /** There may be something new. @returns ends that */
  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Forgets what is too old or too much; where it stopped is kept for readers. Never throws. */
  async prune(): Promise<void> {
    try {
      while ((await this.#options.store.transaction(() => this.#forget())) === FORGET_AT_ONCE) {
        await nextTurn();
      }
    } catch (error) {
      this.#options.log.error('events.prune_failed', errorFields(error));
    }
  }

  /** The gateway serves from now on; that it stops is told at the end. @throws what the store says */
  async started(version: string): Promise<void> {
    await this.write({ type: 'gateway.started', version });
    this.#isStarted = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#hint);
    for (const counted of this.#limit.rest()) this.#tellCounted(counted);
    if (this.#isStarted) this.tell({ type: 'gateway.stopped' });
    await this.flush().catch((error: unknown) => this.#failed(error));
    clearTimeout(this.#timer);
  }

  *#forget(): Work<number> {
    const { keep, clock } = this.#options;
    // Others that forget wait.
    yield* get(LOCK_STATE);
    const oldest = yield* all(OLDEST, { limit: FORGET_AT_ONCE });
    const beforeMs = clock() - keep.days * DAY_MS;
    const fromNumber = integer((yield* get(LAST_NUMBER))?.['number']) - keep.events;
    const isKept = oldest.findIndex(
      (row) => integer(row['time_ms']) >= beforeMs && integer(row['number']) > fromNumber,
    );
    const count = isKept === -1 ? oldest.length : isKept;
    const last = oldest[count - 1];
    if (last === undefined) return 0;
    const place = { position: integer(last['position']), number: integer(last['number']) };
    yield* change(FORGET, place);
    yield* change(CUT, { ...place, ms: integer(last['time_ms']) });
    return count;
  }

  #row({ event: said, timeMs }: Waiting): SqlValue[] {
    const { gateway, owner } = this.#options;
    const { id: node, term } = owner;
    const whole = {
      v: API_VERSION,
      time: new Date(timeMs).toISOString(),
      gateway,
      ...{ node, term },
      ...said,
    };
    const { type, session = null } = said;
    return [timeMs, type, session, namesOf(said.who, said.by), JSON.stringify(whole)];
  }

  async #writeWaiting(): Promise<void> {
    // What was counted waits as a count for a store that is away.
    if (!this.#isFailing) for (const counted of this.#limit.due()) this.#tellCounted(counted);
    const events = [...this.#waiting];
    if (events.length === 0) return;
    await this.#options.store.transaction(() => this.#add(events));
    // If that failed, the next flush tries again; what came meanwhile is behind it.
    this.#waiting = this.#waiting.slice(events.length);
    this.#isFailing = false;
  }

  #tellCounted(counted: Counted<NewEvent>): void {
    this.tell(oneForMany(counted));
  }

  #flushSoon(): void {
    if (this.#timer !== undefined) return;
    const inMs =
      this.#waiting.length === 0
        ? this.#limit.everyMs
        : this.#isFailing
          ? RETRY_AFTER_MS
          : FLUSH_AFTER_MS;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flushGuarded();
    }, inMs);
    this.#timer.unref();
  }

  async #flushGuarded(): Promise<void> {
    await this.flush().catch((error: unknown) => this.#failed(error));
    if (this.#waiting.length > 0 || this.#limit.isCounting) this.#flushSoon();
  }

  /** Once until they can be written again: a store that is away would fill the log. */
  #failed(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.log.error('events.write_failed', {
      ...errorFields(error),
      waiting: this.#waiting.length,
    });
  }

  /** Later: the transaction is not over yet. Who looks in between looks again a second later. */
  #hinted(): void {
    if (this.#hint !== undefined || this.#listeners.size === 0) return;
    this.#hint = setTimeout(() => {
      this.#hint = undefined;
      for (const listener of this.#listeners) listener();
    }, FLUSH_AFTER_MS);
    this.#hint.unref();
  }
}

/** What differs between them is left out. */
export function oneForMany<E extends NewEvent>({ event, count, sinceMs, isMixed }: Counted<E>): E {
  const one = { stream: undefined, statement: undefined };
  const mixed = isMixed
    ? { code: undefined, rules: undefined, from: undefined, commit: undefined }
    : {};
  // A session has one target and one run.
  const apart =
    isMixed && event.session === undefined
      ? { target: undefined, run: undefined, who: withoutAgent(event.who) }
      : {};
  return { ...event, ...one, ...mixed, ...apart, count, since: new Date(sinceMs).toISOString() };
}

function withoutAgent(who: EventParty | undefined): EventParty | undefined {
  return who && { ...who, agent: undefined, agentItself: undefined };
}

/** To look for a whole name: each between line feeds. */
function namesOf(...parties: readonly (EventParty | undefined)[]): string {
  const names = parties.flatMap((party) =>
    party === undefined
      ? []
      : [party.name, party.sub, party.agent ?? [], party.requester ?? []].flat(),
  );
  return names.length === 0 ? '' : `\n${[...new Set(names.map(comparable))].join('\n')}\n`;
}

/** PostgreSQL holds no U+0000, and no half of a surrogate pair. */
export function comparable(name: string): string {
  return name
    .toLowerCase()
    .toWellFormed()
    .replace(/[\0\n]/g, '\ufffd')
    .slice(0, MAX_NAME)
    .toWellFormed();
}
