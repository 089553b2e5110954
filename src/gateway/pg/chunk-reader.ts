import type { Readable } from 'node:stream';
import { UnreadItems } from '../../carrier/unread-items.ts';

/**
 * Takes the chunks of a stream one by one as they came. (The stream's own async iterator joins what
 * has piled up, which copies it.) Between two calls of `next` the stream is paused.
 */
export class ChunkReader {
  readonly #stream: Readable;
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
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#isOver) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#stream.resume();
    });
  }

  /**
   * Goes on reading while nobody takes chunks, so that the end of the stream is noticed.
   * @param limit bytes that are kept; beyond, what comes waits at the sender, and so does the end.
   */
  watch(limit: number, onEnd: () => void): Disposable {
    const watch = { left: limit - this.#chunks.bytes, onEnd };
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
    if (this.#watch === undefined || this.#watch.left <= 0) this.#stream.pause();
    if (waiting === undefined) this.#chunks.push(chunk);
    else waiting(chunk);
  }

  #end(): void {
    this.#isOver = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
    this.#watch?.onEnd();
  }
}
