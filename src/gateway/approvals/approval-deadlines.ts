/** When the next request is over its time: one timer for all of them. */
import { errorFields, type Log } from '../base/log.ts';
import type { ApprovalStore } from './approval-store.ts';

export interface ApprovalDeadlinesOptions {
  readonly store: Pick<ApprovalStore, 'run' | 'firstDeadline'>;
  /** Ends what is over its time. */
  readonly end: (nowMs: number) => Promise<void>;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

const MINUTE_MS = 60_000;

export class ApprovalDeadlines implements Disposable {
  readonly #options: ApprovalDeadlinesOptions;
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(options: ApprovalDeadlinesOptions) {
    this.#options = options;
  }

  /** Ends what is over its time now. @throws what the store says */
  async sweep(): Promise<void> {
    const { clock, end } = this.#options;
    const first = await this.#first();
    if (first !== undefined && first <= clock()) await end(clock());
    await this.later();
  }

  /** Never rejects: what was decided before is so, whether the next deadline can be read or not. */
  async later(): Promise<void> {
    const { clock } = this.#options;
    try {
      const first = await this.#first();
      // A timer knows nothing of the wall clock being set: it looks again at least once a minute.
      this.#sweepIn(first === undefined ? undefined : Math.max(0, first - clock()));
    } catch (error) {
      this.#failed(error);
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #first(): Promise<number | undefined> {
    const { store } = this.#options;
    return store.run(() => store.firstDeadline());
  }

  #sweepGuarded(): void {
    this.sweep().catch((error: unknown) => this.#failed(error));
  }

  /** The store is away, as readiness says; deadlines are checked again at each use. */
  #failed(error: unknown): void {
    this.#options.log.error('approval.sweep_failed', errorFields(error));
    this.#sweepIn(MINUTE_MS);
  }

  /** @param inMs undefined: there is nothing to wait for */
  #sweepIn(inMs: number | undefined): void {
    clearTimeout(this.#timer);
    if (inMs === undefined || this.#isDisposed) return;
    this.#timer = setTimeout(() => this.#sweepGuarded(), Math.min(inMs, MINUTE_MS));
    this.#timer.unref();
  }
}
