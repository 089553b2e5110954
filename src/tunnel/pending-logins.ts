import { LocalRefusal } from './local-refusal.ts';

/** Total time from connect to login: a byte a second must not hold a place for ever. */
const LOGIN_WITHIN_MS = 10_000;
/**
 * Connections that have not logged in. At the limit one has to go, so that they cannot keep the
 * owner out: the one that has waited longest of those that have not said anything, or else of all,
 * since a login takes milliseconds.
 */
const MAX_LOGINS = 128;

/** A connection to the local port that nobody knows yet. */
export interface PendingLogin {
  /** Aborted with a LocalRefusal when its time is up or its place is needed. */
  readonly signal: AbortSignal;
  /** It has sent something whole. */
  spoken(): void;
  /** It is logged in, or gone. */
  over(): void;
}

interface Entry {
  readonly controller: AbortController;
  isSilent: boolean;
}

export class PendingLogins {
  readonly #withinMs: number;
  /** In order of arrival. */
  readonly #entries = new Set<Entry>();

  /** @param withinMs for tests */
  constructor(withinMs = LOGIN_WITHIN_MS) {
    this.#withinMs = withinMs;
  }

  add(): PendingLogin {
    this.#makeRoom();
    const entry: Entry = { controller: new AbortController(), isSilent: true };
    const { controller } = entry;
    const timer = setTimeout(
      () => controller.abort(new LocalRefusal('login timeout')),
      this.#withinMs,
    );
    this.#entries.add(entry);
    return {
      signal: controller.signal,
      spoken: () => {
        entry.isSilent = false;
      },
      over: () => {
        clearTimeout(timer);
        this.#entries.delete(entry);
      },
    };
  }

  /** Ends them all. */
  abort(reason: Error): void {
    for (const { controller } of this.#entries) {
      controller.abort(reason);
    }
  }

  #makeRoom(): void {
    if (this.#entries.size < MAX_LOGINS) {
      return;
    }
    const [oldest] = this.#entries;
    const goes = this.#entries.values().find(({ isSilent }) => isSilent) ?? oldest;
    if (goes !== undefined) {
      goes.controller.abort(new LocalRefusal('too many connections'));
      this.#entries.delete(goes);
    }
  }
}
