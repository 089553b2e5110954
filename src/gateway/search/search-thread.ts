/**
 * The thread that opens recordings to look something up, so that no session waits meanwhile. There
 * is one in a gateway and it does one job after the other: a search takes what is left of the
 * machine, however many people search.
 */
import { Worker } from 'node:worker_threads';
import { onAbort } from '../../until.ts';
import { SearchQueue } from './search-queue.ts';
import type { SearchJob, SearchResult } from './search-recording.ts';

/** What the thread answers. */
export type SearchAnswer =
  | { readonly result: SearchResult }
  | { readonly failed: 'erased' | 'stopped' }
  | { readonly failed: 'damaged'; readonly message: string };

const MAX_HEAP_MIB = 512;

export class SearchThread implements AsyncDisposable {
  readonly #file: URL;
  #worker: Worker | undefined;
  readonly #queue = new SearchQueue();

  /** @param file what the thread runs: `serveSearches`, with the protocols of this gateway */
  constructor(file: URL) {
    this.#file = file;
  }

  /**
   * For all recordings of one request: nobody else's come between.
   * @param who issuer and subject
   * @throws HoopError HOOP_LIMIT when too many wait; the signal's reason when it is aborted
   */
  use<T>(
    who: string,
    work: (search: (job: SearchJob) => Promise<SearchAnswer>) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    return this.#queue.inTurn(who, () => work((job) => this.#search(job, signal)), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #search(job: SearchJob, signal: AbortSignal): Promise<SearchAnswer> {
    signal.throwIfAborted();
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const { promise, resolve } = Promise.withResolvers<SearchAnswer>();
    // A recording that exhausts the thread's memory ends the thread, and nothing else.
    const lost = () => resolve({ failed: 'damaged', message: 'the search thread ended' });
    worker.once('message', resolve).once('exit', lost);
    using _ = onAbort(signal, () => worker.postMessage('stop'));
    worker.ref();
    worker.postMessage(job);
    try {
      const answer = await promise;
      signal.throwIfAborted();
      return answer;
    } finally {
      worker.off('message', resolve).off('exit', lost);
      worker.unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#file, {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
    });
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#worker === worker) {
        this.#worker = undefined;
      }
    });
    return worker;
  }
}
