import { HoopError } from '../../errors.ts';
import type { Ctx } from './api-context.ts';

export interface LongPollsOptions {
  /** "changes": what they wait for. */
  readonly what: string;
  /** How many one person, and all together, may have open. */
  readonly ofOne: number;
  readonly ofAll: number;
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal;
}

/** Requests that are answered when something has happened, or when their time is over. */
export class LongPolls {
  readonly #options: LongPollsOptions;
  readonly #open = new Map<string, number>();

  constructor(options: LongPollsOptions) {
    this.#options = options;
  }

  /** Of one of them: the gateway stops, whoever asked has gone, or so many seconds have passed. */
  over(c: Ctx, seconds: number): AbortSignal {
    const { signal } = this.#options;
    return AbortSignal.any([signal, c.req.raw.signal, AbortSignal.timeout(seconds * 1000)]);
  }

  /** @param person whatever tells one from another. @throws HoopError HOOP_LIMIT */
  take(person: string): Disposable {
    const { what, ofOne, ofAll } = this.#options;
    const own = this.#open.get(person) ?? 0;
    const all = [...this.#open.values()].reduce((sum, count) => sum + count, 0);
    if (own >= ofOne || all >= ofAll) {
      throw new HoopError('HOOP_LIMIT', `too many requests are waiting for ${what}`, {
        detail: `One person may have ${ofOne}, the gateway ${ofAll}.`,
      });
    }
    this.#open.set(person, own + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#open.get(person) ?? 1) - 1;
        if (left > 0) this.#open.set(person, left);
        else this.#open.delete(person);
      },
    };
  }
}
