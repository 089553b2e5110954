/**
 * The thread that opens recordings to look something up, so that no session waits meanwhile. There
 * is one in a gateway and it does one job after the other: a search takes what is left of the
 * machine, however many people search.
 */
import { Worker } from 'node:worker_threads';
import { HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';
import type { SearchJob, SearchResult } from './search-recording.ts';

/** What the thread answers. */
export type SearchAnswer =
  | { readonly result: SearchResult }
  | { readonly failed: 'erased' | 'gone' | 'stopped' }
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

/** The one that is under way among them. */
const MAX_SEARCHES = 16;
/** Of one person: what is typed while the last one has not come back yet. */
const MAX_OF_ONE = 3;

interface Place {
  readonly who: string;
  readonly begin: () => void;
}

/** Whose turn it is: one search at a time, and nobody takes all the places of those that wait. */
export class SearchQueue {
  /** The first one is under way. */
  readonly #places: Place[] = [];

  /**
   * @param who issuer and subject
   * @throws HOOP_LIMIT when too many wait; the signal's reason: the place is given up at once
   */
  async inTurn<T>(who: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    this.#check(who);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place: Place = { who, begin: resolve };
    this.#places.push(place);
    using _ = onAbort(signal, () => reject(signal.reason));
    if (this.#places.length === 1) {
      resolve();
    }
    try {
      await promise;
      return await work();
    } finally {
      const index = this.#places.indexOf(place);
      this.#places.splice(index, 1);
      if (index === 0) {
        this.#places[0]?.begin();
      }
    }
  }

  #check(who: string): void {
    const hint = 'Try again in a moment, or narrow the search by target, user or time.';
    const own = this.#places.filter((place) => place.who === who).length;
    if (own >= MAX_OF_ONE) {
      throw new HoopError('HOOP_LIMIT', `you already have ${own} active searches`, { hint });
    }
    if (this.#places.length >= MAX_SEARCHES) {
      throw new HoopError('HOOP_LIMIT', 'too many searches are queued', { hint });
    }
  }
}
