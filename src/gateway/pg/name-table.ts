/**
 * Names that the target has confirmed, and the changes to them that are under way. A statement
 * checked under one name and run under another is the worst hole that a proxy of this protocol can
 * have, so nothing is taken for done before the target has said so:
 *
 * - a change sent earlier in the same segment counts, because if it fails the target skips the
 *   message that relies on it;
 * - a change from an earlier segment that is not answered yet makes the name `unsettled`: whoever
 *   needs it waits for the answer.
 */
import type { Entry } from './pending-queue.ts';

export type Lookup<T> =
  | { readonly type: 'known'; readonly value: T }
  | { readonly type: 'absent' }
  | { readonly type: 'unsettled' };

interface Change<T> {
  readonly entry: Entry;
  /** undefined: the name goes away. */
  readonly value: T | undefined;
}

/** A client that makes more names than this loses the oldest: they become unknown, and refused. */
const MAX_NAMES = 10_000;
const ABSENT = { type: 'absent' } as const;
const UNSETTLED = { type: 'unsettled' } as const;

export class NameTable<T> {
  readonly #confirmed = new Map<string, T>();
  /** The latest change of each name; earlier ones are answered before it. */
  readonly #changes = new Map<string, Change<T>>();

  lookup(name: string, segment: number): Lookup<T> {
    const change = this.#changes.get(name);
    const value = change === undefined ? this.#confirmed.get(name) : change.value;
    if (change !== undefined && change.entry.segment !== segment) return UNSETTLED;
    return value === undefined ? ABSENT : { type: 'known', value };
  }

  /** The message that changes `name` has been sent. */
  announce(name: string, entry: Entry, value: T | undefined): void {
    this.#changes.set(name, { entry, value });
  }

  /** The target has done it. */
  confirm(name: string, entry: Entry, value: T | undefined): void {
    if (this.#changes.get(name)?.entry === entry) this.#changes.delete(name);
    if (value === undefined) this.#confirmed.delete(name);
    else this.set(name, value);
  }

  /** The target has refused or skipped it. */
  withdraw(name: string, entry: Entry): void {
    if (this.#changes.get(name)?.entry === entry) this.#changes.delete(name);
  }

  set(name: string, value: T): void {
    this.#confirmed.delete(name);
    this.#confirmed.set(name, value);
    if (this.#confirmed.size > MAX_NAMES) {
      for (const oldest of this.#confirmed.keys()) {
        this.#confirmed.delete(oldest);
        break;
      }
    }
  }

  /** The same thing, decided anew; a change that is under way stays as it was announced. */
  replace(name: string, old: T, value: T): void {
    if (!this.#changes.has(name) && this.#confirmed.get(name) === old) {
      this.#confirmed.set(name, value);
    }
  }

  delete(name: string): void {
    this.#confirmed.delete(name);
  }

  /** Keeps the confirmed names for which `keep` holds. */
  retain(keep: (name: string, value: T) => boolean): void {
    for (const [name, value] of this.#confirmed) {
      if (!keep(name, value)) this.#confirmed.delete(name);
    }
  }
}
