/**
 * What the policy gives one live session at this moment. It holds by the clock, not by a timer: a
 * timer that is late must not lengthen a temporary grant. What comes in its place is for others to
 * say, and is set; which temporary grants that began or ended is told, since both sides sign it.
 */
import type { Grant } from '../../policy/types.ts';

export interface SessionGrantOptions {
  /** Wall clock, ms. */
  readonly clock: () => number;
  /** The grant's time is over: asks for `set` with what is left, before it returns. */
  readonly onDue: () => void;
}

/** Ids of temporary grants. */
export interface GrantChange {
  readonly ended: readonly string[];
  readonly given: readonly string[];
}

export class SessionGrant {
  readonly #options: SessionGrantOptions;
  #grant: Grant;
  /** Wall clock, ms: from then on `#grant` must not be used. */
  #untilMs: number;

  constructor(grant: Grant, options: SessionGrantOptions) {
    this.#options = options;
    this.#grant = grant;
    this.#untilMs = firstExpiry(grant);
  }

  /** As it was set, whatever the time: for what is not a right. */
  get latest(): Grant {
    return this.#grant;
  }

  current(): Grant {
    if (this.#options.clock() >= this.#untilMs) {
      this.#options.onDue();
    }
    return this.#grant;
  }

  /** @param grant undefined: nothing is left */
  set(grant: Grant | undefined): GrantChange {
    const before = this.#grant;
    this.#grant = grant ?? withoutRights(before);
    this.#untilMs = firstExpiry(this.#grant);
    const had = (before.temporary ?? []).map(({ id }) => id);
    const has = (this.#grant.temporary ?? []).map(({ id }) => id);
    return {
      ended: had.filter((id) => !has.includes(id)),
      given: has.filter((id) => !had.includes(id)),
    };
  }
}

/** Wall clock, ms: when the first temporary grant in it ends. */
function firstExpiry({ temporary = [] }: Grant): number {
  return Math.min(Number.POSITIVE_INFINITY, ...temporary.map(({ expiresMs }) => expiresMs));
}

/** What holds between the moment at which nothing is left and the end of the session. */
function withoutRights({ agent: _, ...grant }: Grant): Grant {
  return {
    ...grant,
    rules: [],
    ...(grant.own === undefined ? {} : { own: { rules: [] } }),
    passthrough: false,
    temporary: [],
    generation: `none after ${grant.generation}`,
  };
}
