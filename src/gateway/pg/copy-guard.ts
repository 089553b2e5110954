/**
 * COPY FROM STDIN in a pipeline. While the target is in copy mode it reads messages by other rules
 * (Sync and Flush are ignored, everything else but copy data ends the connection), so after a
 * statement that may be such a COPY nothing but copy data may be sent before the target has said
 * what it does.
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-COPY
 */
import type { Entry } from './pending-queue.ts';

export class CopyGuard {
  #entry: Entry | undefined;
  #opened = 0;
  #closed = 0;
  /** A Sync that came in copy mode; it counts only if the copy fails before more data comes. */
  deferredSync = false;

  /** A statement that may read copy data has been sent. */
  expect(entry: Entry): void {
    this.#entry = entry;
    this.#opened = 0;
    this.#closed = 0;
    this.deferredSync = false;
  }

  /** CopyInResponse came. */
  opened(): void {
    this.#opened += 1;
  }

  /** The client sent CopyDone or CopyFail. */
  closed(): void {
    this.#closed += 1;
    this.deferredSync = false;
  }

  /** The client sent CopyData. */
  continued(): void {
    this.deferredSync = false;
  }

  /** The statement has been answered. */
  resolved(entry: Entry): void {
    if (this.#entry === entry) this.#entry = undefined;
  }

  /** Other messages must wait. */
  get isUndecided(): boolean {
    return this.#entry !== undefined && !this.isReading;
  }

  /** The target is reading copy data, and the client has not said that there is no more. */
  get isReading(): boolean {
    return this.#entry !== undefined && this.#opened > this.#closed;
  }

  get isExtended(): boolean {
    return this.#entry?.kind === 'execute';
  }
}
