/**
 * Whether the store answers. Everybody asks through this, so that each answer tells; while there is
 * none, and when nobody has asked for a while, it asks itself.
 */
import { HoopError } from '../../errors.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Row, Sql, SqlValues, Store, Work } from './store.ts';

/** A store that is not asked for so long may be gone without anybody's knowing. */
const ASK_AFTER_MS = 5000;
/** From then on nobody waits for it but who asks whether it is back: each would wait for its time-out. */
const FAIL_AT_ONCE_AFTER_MS = 2000;

/** It cannot be asked now, or has no room: nothing was decided, and it may do later. */
export function isStoreFault(error: unknown): boolean {
  return (
    error instanceof HoopError &&
    (error.code === 'HOOP_STORE_UNAVAILABLE' || error.code === 'HOOP_DISK_FULL')
  );
}

export class StoreWatch implements Store {
  readonly #store: Store;
  readonly #log: Log;
  /** Monotonic, ms. */
  readonly #now: () => number;
  readonly #onAnswer: ((seconds: number) => void) | undefined;
  #awaySince: number | undefined;
  #answeredAt: number;
  #isAsking = false;
  /** A standby, or a disk that is full, can be read all the same. */
  #isUnreadable = false;

  /** @param onAnswer hears how long each request took that was answered */
  constructor(
    store: Store,
    log: Log,
    now: () => number = () => performance.now(),
    onAnswer?: (seconds: number) => void,
  ) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
    this.#onAnswer = onAnswer;
    this.#answeredAt = now();
  }

  get isShared(): boolean {
    return this.#store.isShared;
  }

  /** How long it has not answered, ms; 0: it does. */
  get awayMs(): number {
    return this.#awaySince === undefined ? 0 : this.#now() - this.#awaySince;
  }

  /** @throws HOOP_STORE_UNAVAILABLE at once, where the last request has failed */
  requirePresent(): void {
    if (this.#awaySince !== undefined) throw isAway();
  }

  /** To be called each second: asks where that is due. Never rejects. */
  async look(): Promise<void> {
    const isDue = this.#awaySince !== undefined || this.#now() - this.#answeredAt >= ASK_AFTER_MS;
    if (!isDue || this.#isAsking) return;
    this.#isAsking = true;
    await this.checkWritable().catch(() => undefined);
    this.#isAsking = false;
  }

  transaction<T>(work: () => Work<T>): Promise<T> {
    return this.#asked(() => this.#store.transaction(work), true);
  }

  all(sql: Sql, values?: SqlValues): Promise<readonly Row[]> {
    return this.#asked(() => this.#store.all(sql, values), false);
  }

  get(sql: Sql, values?: SqlValues): Promise<Row | undefined> {
    return this.#asked(() => this.#store.get(sql, values), false);
  }

  change(sql: Sql, values?: SqlValues): Promise<number> {
    return this.#asked(() => this.#store.change(sql, values), true);
  }

  checkWritable(): Promise<void> {
    return this.#watched(() => this.#store.checkWritable(), true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#store[Symbol.asyncDispose]());
  }

  #asked<T>(ask: () => Promise<T>, writes: boolean): Promise<T> {
    const isHopeless = this.awayMs >= FAIL_AT_ONCE_AFTER_MS && (writes || this.#isUnreadable);
    if (isHopeless) return Promise.reject(isAway());
    return this.#watched(ask, writes);
  }

  /** @param writes a standby can still be read: that it answers does not bring it back */
  async #watched<T>(ask: () => Promise<T>, writes: boolean): Promise<T> {
    const askedAt = this.#now();
    try {
      const answer = await ask();
      this.#onAnswer?.((this.#now() - askedAt) / 1000);
      if (writes) this.#answered(askedAt);
      return answer;
    } catch (error) {
      if (error instanceof HoopError && error.code === 'HOOP_STORE_UNAVAILABLE') {
        this.#failed(askedAt, error);
        // One that failed before somebody else had an answer says nothing of the next time it is away.
        if (!writes && this.#awaySince !== undefined) this.#isUnreadable = true;
      }
      throw error;
    }
  }

  #answered(askedAt: number): void {
    this.#answeredAt = this.#now();
    if (this.#awaySince === undefined || askedAt < this.#awaySince) return;
    this.#log.info('store.back', { awaySeconds: Math.round(this.awayMs / 1000) });
    this.#awaySince = undefined;
    this.#isUnreadable = false;
  }

  #failed(askedAt: number, error: HoopError): void {
    // What was asked before somebody else has got an answer says nothing of now.
    if (this.#awaySince !== undefined || askedAt < this.#answeredAt) return;
    this.#awaySince = askedAt;
    this.#log.error('store.away', errorFields(error));
  }
}

function isAway(): HoopError {
  return new HoopError('HOOP_STORE_UNAVAILABLE', 'the gateway’s store does not answer', {
    detail: 'Without it no session starts. The gateway tries again every second.',
    hint: 'Try again later, or tell whoever runs the gateway.',
  });
}
