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
import { isAscii } from 'node:buffer';
import type { Entry } from './pending-queue.ts';

export type Lookup<T> =
  | { readonly type: 'known'; readonly value: T }
  | { readonly type: 'absent' }
  | { readonly type: 'unsettled' };

/** Of values that have a name: how much they count, and who is told of them. */
export interface NamedValues<T> {
  /** What a value keeps in memory, in characters of SQL; always the same for it. */
  readonly sizeOf: (value: T) => number;
  readonly added: (value: T) => void;
  readonly dropped: (value: T) => void;
}

interface Change<T> {
  readonly entry: Entry;
  /** undefined: the name goes away. */
  readonly value: T | undefined;
}

/** A client that makes more names than this loses the oldest: they become unknown, and refused. */
const MAX_NAMES = 10_000;
/** So much SQL, parameters and results may stand behind the names of one kind; the oldest go first. */
const MAX_WEIGHT = 16 * 1024 * 1024;
const ABSENT = { type: 'absent' } as const;
const UNSETTLED = { type: 'unsettled' } as const;

export class NameTable<T> {
  readonly #keyOf: (name: string) => string | undefined;
  readonly #values: NamedValues<T>;
  #weight = 0;
  /** A name came that we cannot read: it may be any of those beyond ASCII. */
  #isUncertain = false;
  readonly #confirmed = new Map<string, T>();
  /** The latest change of each name; earlier ones are answered before it. */
  readonly #changes = new Map<string, Change<T>>();

  /** @param keyOf the server's form of a name; undefined: not certain, so it is never found. */
  constructor(keyOf: (name: string) => string | undefined, values: NamedValues<T>) {
    this.#keyOf = keyOf;
    this.#values = values;
  }

  lookup(name: string, segment: number): Lookup<T> {
    const key = this.#key(name);
    if (key === undefined) return ABSENT;
    const change = this.#changes.get(key);
    const value = change === undefined ? this.#confirmed.get(key) : change.value;
    if (change !== undefined && change.entry.segment !== segment) return UNSETTLED;
    return value === undefined ? ABSENT : { type: 'known', value };
  }

  /** The message that changes `name` has been sent. */
  announce(name: string, entry: Entry, value: T | undefined): void {
    const key = this.#key(name);
    if (key !== undefined) this.#changes.set(key, { entry, value });
  }

  /** The target has done it. */
  confirm(name: string, entry: Entry, value: T | undefined): void {
    this.withdraw(name, entry);
    if (value === undefined) this.delete(name);
    else this.set(name, value);
  }

  /** The target has refused or skipped it. */
  withdraw(name: string, entry: Entry): void {
    const key = this.#key(name);
    if (key !== undefined && this.#changes.get(key)?.entry === entry) this.#changes.delete(key);
  }

  set(name: string, value: T): void {
    const key = this.#key(name);
    if (key === undefined) return;
    this.#drop(key);
    this.#add(key, value);
    for (const oldest of this.#confirmed.keys()) {
      if (this.#confirmed.size <= MAX_NAMES && this.#weight <= MAX_WEIGHT) break;
      this.#drop(oldest);
    }
  }

  /** The same thing, decided anew; a change that is under way stays as it was announced. */
  replace(name: string, old: T, value: T): void {
    const key = this.#key(name);
    if (key !== undefined && !this.#changes.has(key) && this.#confirmed.get(key) === old) {
      this.#forget(old);
      this.#add(key, value);
    }
  }

  delete(name: string): void {
    const key = this.#key(name);
    if (key !== undefined) this.#drop(key);
  }

  /** Keeps the confirmed names for which `keep` holds. */
  retain(keep: (name: string, value: T) => boolean): void {
    for (const [name, value] of this.#confirmed) {
      if (!keep(name, value)) this.#drop(name);
    }
  }

  #drop(key: string): void {
    const value = this.#confirmed.get(key);
    if (value === undefined) return;
    this.#confirmed.delete(key);
    this.#forget(value);
  }

  #add(key: string, value: T): void {
    this.#confirmed.set(key, value);
    this.#weight += this.#values.sizeOf(value);
    this.#values.added(value);
  }

  #forget(value: T): void {
    this.#weight -= this.#values.sizeOf(value);
    this.#values.dropped(value);
  }

  #key(name: string): string | undefined {
    const key = this.#keyOf(name);
    if (key === undefined) this.#isUncertain = true;
    if (key === undefined || (this.#isUncertain && !isAscii(Buffer.from(key)))) return undefined;
    return key;
  }
}
