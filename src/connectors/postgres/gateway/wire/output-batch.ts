/**
 * Collects what one readable chunk becomes and hands it to the socket in one write. Messages that
 * pass untouched are neighbouring views of the same chunk and stay one view without a copy.
 */
import type { Writable } from 'node:stream';
import { joinViews } from '../../../../join-views.ts';
import type { Forwarding } from '../../../../recording/write/held-turns.ts';
import { onAbort } from '../../../../until.ts';
import { StreamEnded } from './stream-ended.ts';

/** Views of this size and more that are not neighbours are handed over one by one; less is copied together. */
const LARGE_VIEW = 16 * 1024;

export class OutputBatch {
  readonly #sink: Writable;
  readonly #ended: AbortSignal;
  readonly #recorded: Forwarding | undefined;
  #views: Uint8Array[] = [];
  #length = 0;
  #isDue = false;
  #waits = 0;
  #waitingSince: number | undefined;
  readonly #forward = (): void => {
    this.#isDue = false;
    // Closed meanwhile: whoever reads from it hears of it.
    if (this.#sink.writable) this.#write();
  };

  /**
   * @param ended aborts a wait for the other side to read.
   * @param recorded what must be written before; absent: the sink sees to it.
   */
  constructor(sink: Writable, ended: AbortSignal, recorded?: Forwarding) {
    this.#sink = sink;
    this.#ended = ended;
    this.#recorded = recorded;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get length(): number {
    return this.#length;
  }

  /** When the other side has left off reading, by `performance.now`; undefined: it reads. */
  get waitingSince(): number | undefined {
    return this.#waitingSince;
  }

  /** @param view memory that nobody changes until it has been written. */
  push(view: Uint8Array): void {
    const last = this.#views.at(-1);
    const joined = last === undefined ? undefined : joinViews(last, view);
    if (joined === undefined) this.#views.push(view);
    else this.#views[this.#views.length - 1] = joined;
    this.#length += view.length;
  }

  /**
   * @returns a promise only when the other side must read first (backpressure), or the gateway must
   *   find out first whether it has been taken over.
   * @throws StreamEnded (as rejection or at once) when that side is gone.
   */
  flush(): Promise<void> | undefined {
    if (this.#length === 0) return undefined;
    if (!this.#sink.writable) throw new StreamEnded('the other side is closed');
    const held = this.#recorded?.whenHeld();
    if (held !== undefined) return held.then(() => this.flush());
    this.#recorded?.write();
    this.#write();
    return this.#sink.writableNeedDrain ? this.#drained() : undefined;
  }

  /** As `flush`, but at the end of the turn, when what others leave in it is recorded as well. */
  flushSoon(): Promise<void> | undefined {
    if (this.#recorded === undefined) return this.flush();
    if (this.#length === 0) return undefined;
    if (!this.#sink.writable) throw new StreamEnded('the other side is closed');
    if (this.#isDue) {
      // What came before has not gone yet. Where it waits for the lease, no more is read until it may go.
      const held = this.#recorded.whenHeld();
      if (held !== undefined) return held.then(() => this.flushSoon());
    } else {
      this.#isDue = true;
      this.#recorded.whenWritten(this.#forward);
    }
    return this.#sink.writableNeedDrain ? this.#drained() : undefined;
  }

  #write(): void {
    const views = this.#views;
    const length = this.#length;
    this.#views = [];
    this.#length = 0;
    const [only] = views;
    if (only === undefined) return;
    if (views.length === 1) {
      this.#sink.write(only);
    } else if (length < views.length * LARGE_VIEW) {
      this.#sink.write(concatenate(views, length));
    } else {
      this.#sink.cork();
      for (const view of views) this.#sink.write(view);
      this.#sink.uncork();
    }
  }

  async #drained(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (): void => reject(new StreamEnded('the other side is closed'));
    const drained = (): void => resolve();
    this.#sink.on('drain', drained).on('close', end).on('error', end);
    using _ = onAbort(this.#ended, end);
    if (this.#sink.destroyed) end();
    this.#waits += 1;
    this.#waitingSince ??= performance.now();
    try {
      await promise;
    } finally {
      this.#waits -= 1;
      if (this.#waits === 0) this.#waitingSince = undefined;
      this.#sink.off('drain', drained).off('close', end).off('error', end);
    }
  }
}

function concatenate(views: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const view of views) {
    all.set(view, at);
    at += view.length;
  }
  return all;
}
