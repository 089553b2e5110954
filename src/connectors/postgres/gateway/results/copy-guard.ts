/**
 * COPY FROM STDIN in a pipeline. While the target is in copy mode it reads messages by other rules
 * (Sync and Flush are ignored, everything else but copy data ends the connection), so after a
 * statement that may be such a COPY nothing but copy data may be sent before the target has said
 * what it does.
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-COPY
 */
import { PlaceholderScanner } from '../../../../policy/placeholders.ts';
import type { Denial } from '../refusals/denial.ts';
import type { Entry } from '../statements/pending-queue.ts';

export class CopyGuard {
  #entry: Entry | undefined;
  #opened = 0;
  #closed = 0;
  /** Syncs that came in copy mode; they count only if the copy fails before more data comes. */
  deferredSyncs = 0;
  /** A message that is none of a copy's, sent to a target in copy mode: it ends the copy. */
  #intruder: Entry | undefined;
  #intruderWasTaken = false;

  /** Looks through its data; undefined: nobody has to. */
  #scanner: PlaceholderScanner | undefined;
  #refused: Denial | undefined;

  /**
   * A statement that may read copy data has been sent.
   * @param isSearched its data must not have what stands for masked values
   */
  expect(entry: Entry, isSearched = false): void {
    this.#scanner = isSearched ? new PlaceholderScanner() : undefined;
    this.#refused = undefined;
    this.#entry = entry;
    this.#opened = 0;
    this.#closed = 0;
    this.#intruder = undefined;
    this.#intruderWasTaken = false;
    this.deferredSyncs = 0;
  }

  /** CopyInResponse came. */
  opened(): void {
    this.#opened += 1;
  }

  /** The client sent CopyDone or CopyFail. */
  closed(): void {
    this.#closed += 1;
    this.deferredSyncs = 0;
  }

  /** The client sent CopyData. */
  continued(): void {
    this.deferredSyncs = 0;
  }

  /** @returns as `PlaceholderScanner.feed`. */
  search(data: Uint8Array): ReturnType<PlaceholderScanner['feed']> {
    return this.#scanner?.feed(data);
  }

  /** The target gets CopyFail for it, and no more of its data; its error is the answer. */
  refuse(denial: Denial): void {
    this.#refused = denial;
    this.#scanner = undefined;
  }

  get isRefused(): boolean {
    return this.#refused !== undefined;
  }

  /** What reads the data. */
  get entry(): Entry | undefined {
    return this.#entry;
  }

  denialOf(entry: Entry | undefined): Denial | undefined {
    return entry !== undefined && this.#entry === entry ? this.#refused : undefined;
  }

  /** The Syncs before it count if the copy has failed before it comes. */
  intruded(entry: Entry): void {
    this.#intruder = entry;
    this.#closed += 1;
  }

  /**
   * The copy failed over a message that has no place in it: the target has swallowed that message,
   * and the Syncs before it.
   * @returns its entry, which gets no answer of its own.
   */
  takeIntruder(): Entry | undefined {
    this.#intruderWasTaken = this.#intruder !== undefined;
    if (this.#intruderWasTaken) this.deferredSyncs = 0;
    return this.#intruder;
  }

  /** false: the copy had failed before, and the message in whose place it was sent is still due. */
  get intruderWasTaken(): boolean {
    return this.#intruderWasTaken;
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

  isOf(entry: Entry): boolean {
    return this.#entry === entry;
  }

  get isExtended(): boolean {
    return this.#entry?.kind === 'execute';
  }
}
