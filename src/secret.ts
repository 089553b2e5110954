import { inspect } from 'node:util';

/**
 * A value that must not reach a log, an error or a recording: only `expose()` gives it out,
 * so that every use can be found by searching for that word.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  expose(): T {
    return this.#value;
  }

  toString(): string {
    return '<secret>';
  }

  toJSON(): string {
    return '<secret>';
  }

  [inspect.custom](): string {
    return '<secret>';
  }
}
