/**
 * Collects what one readable chunk becomes and hands it to the socket in one write. Messages that
 * pass untouched are neighbouring views of the same chunk and stay one view without a copy.
 */
import type { Writable } from 'node:stream';
import { joinViews } from '../../protocol/pg/message-scanner.ts';
import { StreamEnded } from './stream-ended.ts';

/** Above this, views that are not neighbours go out one by one instead of being copied together. */
const LARGEST_COPY = 256 * 1024;

export class OutputBatch {
  readonly #sink: Writable;
  readonly #ended: AbortSignal;
  readonly #before: () => void;
  #views: Uint8Array[] = [];
  #length = 0;

  /**
   * @param ended aborts a wait for the other side to read.
   * @param before called before something is written; what it throws keeps it from being written.
   */
  constructor(sink: Writable, ended: AbortSignal, before: () => void) {
    this.#sink = sink;
    this.#ended = ended;
    this.#before = before;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
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
   * @returns a promise only when the other side must read first (backpressure).
   * @throws StreamEnded (as rejection or at once) when that side is gone.
   */
  flush(): Promise<void> | undefined {
    if (this.#length === 0) return undefined;
    const views = this.#views;
    const length = this.#length;
    this.#views = [];
    this.#length = 0;
    if (!this.#sink.writable) throw new StreamEnded('the other side is closed');
    this.#before();
    let more = true;
    if (views.length === 1 || length > LARGEST_COPY) {
      for (const view of views) more = this.#sink.write(view);
    } else {
      more = this.#sink.write(concatenate(views, length));
    }
    return more ? undefined : this.#drained();
  }

  #drained(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (): void => reject(new StreamEnded('the other side is closed'));
    const drained = (): void => resolve();
    this.#sink.on('drain', drained).on('close', end).on('error', end);
    this.#ended.addEventListener('abort', end, { once: true });
    if (this.#ended.aborted || this.#sink.destroyed) end();
    return promise.finally(() => {
      this.#sink.off('drain', drained).off('close', end).off('error', end);
      this.#ended.removeEventListener('abort', end);
    });
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
