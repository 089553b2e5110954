/**
 * Keeps what somebody makes happen again and again from filling the store: so many events of each of
 * them are told one by one, then they are counted, and the count is told.
 */

/** Of one, at once; and how fast they get more. */
const BURST = 20;
const REFILL_MS = 3000;
/** Counts are told as often. */
const EVERY_MS = 5000;
/** Of one; beyond it all others are counted as one more. */
const MAX_KINDS = 8;
/** Beyond it all others are one. */
const MAX_SCOPES = 5000;
const OTHERS = '';

/** One event for many. */
export interface Counted<E> {
  readonly scope: string;
  readonly kind: string;
  /** The first of them. */
  readonly event: E;
  readonly count: number;
  readonly sinceMs: number;
  /** They were of several kinds. */
  readonly isMixed: boolean;
}

interface Scope<E> {
  tokens: number;
  refilledMs: number;
  readonly counts: Map<string, Sum<E>>;
}

type Sum<E> = Pick<Counted<E>, 'event' | 'count' | 'sinceMs'>;

export class EventLimit<E> {
  readonly everyMs = EVERY_MS;
  readonly #clock: () => number;
  readonly #scopes = new Map<string, Scope<E>>();
  #toldMs = 0;
  #forgotMs = 0;

  /** @param clock wall clock, ms */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get isCounting(): boolean {
    return [...this.#scopes.values()].some(({ counts }) => counts.size > 0);
  }

  /** @returns false: it was counted */
  take(scope: string, kind: string, event: E): boolean {
    const nowMs = this.#clock();
    const one = this.#scope(scope, nowMs);
    this.#refill(one, nowMs);
    if (one.counts.size === 0 && one.tokens >= 1) {
      one.tokens -= 1;
      return true;
    }
    add(one, kind, { event, count: 1, sinceMs: nowMs });
    return false;
  }

  /** One that is told with others, however few they are. */
  count(scope: string, kind: string, event: E): void {
    const nowMs = this.#clock();
    add(this.#scope(scope, nowMs), kind, { event, count: 1, sinceMs: nowMs });
  }

  /** What `due` or `rest` gave and could not be told. */
  putBack(counted: readonly Counted<E>[]): void {
    for (const { scope, kind, event, count, sinceMs } of counted) {
      add(this.#scope(scope, this.#clock()), kind, { event, count, sinceMs });
    }
  }

  /** What was counted, if it is time to tell it. */
  due(): readonly Counted<E>[] {
    const nowMs = this.#clock();
    // Also when the clock was set back.
    if (Math.abs(nowMs - this.#toldMs) < EVERY_MS) return [];
    this.#toldMs = nowMs;
    return this.rest();
  }

  /** All that was counted, or that of one scope. */
  rest(scope?: string): readonly Counted<E>[] {
    const told: Counted<E>[] = [];
    for (const [name, { counts }] of this.#scopes) {
      if (scope !== undefined && name !== scope) continue;
      for (const [kind, counted] of counts) {
        told.push({ scope: name, kind, ...counted, isMixed: kind === OTHERS });
      }
      counts.clear();
    }
    if (scope !== undefined) this.#scopes.delete(scope);
    return told;
  }

  #scope(name: string, nowMs: number): Scope<E> {
    const known = this.#scopes.get(name);
    if (known !== undefined) return known;
    if (this.#scopes.size >= MAX_SCOPES) this.#forgetIdle(nowMs);
    if (this.#scopes.size >= MAX_SCOPES && name !== OTHERS) return this.#scope(OTHERS, nowMs);
    const made = { tokens: BURST, refilledMs: nowMs, counts: new Map() };
    this.#scopes.set(name, made);
    return made;
  }

  #refill(scope: Scope<E>, nowMs: number): void {
    const passed = Math.abs(nowMs - scope.refilledMs);
    scope.tokens = Math.min(BURST, scope.tokens + passed / REFILL_MS);
    scope.refilledMs = nowMs;
  }

  /** Looks at all of them: not for each that comes. */
  #forgetIdle(nowMs: number): void {
    if (Math.abs(nowMs - this.#forgotMs) < REFILL_MS) return;
    this.#forgotMs = nowMs;
    for (const [name, scope] of this.#scopes) {
      this.#refill(scope, nowMs);
      if (scope.counts.size === 0 && scope.tokens >= BURST) this.#scopes.delete(name);
    }
  }
}

function add<E>({ counts }: Scope<E>, kind: string, added: Sum<E>): void {
  const key = counts.has(kind) || counts.size < MAX_KINDS ? kind : OTHERS;
  const sum = counts.get(key);
  const first = sum === undefined || added.sinceMs < sum.sinceMs ? added : sum;
  counts.set(key, { ...first, count: added.count + (sum?.count ?? 0) });
}
