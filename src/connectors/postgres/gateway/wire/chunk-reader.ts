import type { Readable } from 'node:stream';
import { UnreadItems } from '../../../../carrier/unread-items.ts';
import { unshared } from '../../../../carrier/unshared.ts';

/**
 * Takes the chunks of a stream one by one as they came. (The stream's own async iterator joins what
 * has piled up, which copies it.) Who takes chunks as they come does not have the stream paused and
 * resumed for each; when one comes before it is asked for, the stream is paused until then.
 */
export class ChunkReader {
  readonly #stream: Readable;
  /** One that came before it was asked for; more come only while somebody watches. */
  #early: Buffer | undefined;
  /** Those behind it. */
  readonly #chunks = new UnreadItems();
  #waiting: ((chunk: Uint8Array | undefined) => void) | undefined;
  #isOver = false;
  #watch: { left: number; readonly onEnd: () => void } | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.pause();
    stream.on('data', (chunk: Buffer) => this.#received(chunk));
    const end = (): void => this.#end();
    stream.on('end', end).on('close', end).on('error', end);
  }

  /** @returns undefined when there is no more, because the stream ended or broke. */
  next(): Promise<Uint8Array | undefined> {
    const chunk = this.#early ?? this.#chunks.shift();
    this.#early = undefined;
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#isOver) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (this.#stream.readableFlowing !== true) this.#stream.resume();
    });
  }

  /**
   * Goes on reading while nobody takes chunks, so that the end of the stream is noticed.
   * @param limit bytes that are kept; beyond, what comes waits at the sender, and so does the end.
   */
  watch(limit: number, onEnd: () => void): Disposable {
    const watch = { left: limit - (this.#early?.length ?? 0) - this.#chunks.bytes, onEnd };
    this.#watch = watch;
    if (this.#isOver) onEnd();
    else if (watch.left > 0) this.#stream.resume();
    return {
      [Symbol.dispose]: () => {
        this.#watch = undefined;
        if (this.#waiting === undefined) this.#stream.pause();
      },
    };
  }

  /** Ends the wait of `next`, as if the stream had ended. */
  stop(): void {
    this.#end();
  }

  #received(chunk: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#watch !== undefined) this.#watch.left -= chunk.length;
    const goesOn = this.#watch === undefined ? waiting !== undefined : this.#watch.left > 0;
    if (!goesOn) this.#stream.pause();
    if (waiting !== undefined) waiting(chunk);
    else if (this.#early === undefined && this.#chunks.bytes === 0) this.#early = unshared(chunk);
    else this.#chunks.push(chunk);
  }

  #end(): void {
    this.#isOver = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
    this.#watch?.onEnd();
  }
}
