/**
 * Hashes leaves off the path of the reply: small jobs in short slices on this thread, large ones
 * in one worker thread that all sessions of the process share.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { HoopError } from '../../errors.ts';
import { isWithoutDescriptors, whenDescriptorsAreFree } from '../../free-descriptors.ts';
import { hashLeaves, type LeafJob } from '../formats/hash-leaves.ts';

/** Below this a job takes less than starting or waking the worker is worth. */
const INLINE_BYTES = 256 * 1024;
/** How long a slice may hold up the event loop. */
const SLICE_MS = 1;

interface Pending {
  readonly resolve: (leaves: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: unknown) => void;
}

/** What the worker answers. */
export type LeafReply =
  | { readonly id: number; readonly leaves: Uint8Array<ArrayBuffer> }
  | {
      readonly id: number;
      readonly message: string;
      /** Of the system, when nothing could be opened: the files may be whole. */
      readonly code: string | undefined;
    };

export class LeafHasher implements AsyncDisposable {
  #worker: Worker | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;

  /** @throws HoopError HOOP_RECORDING_DAMAGED when the files do not hold what the job names */
  hash(job: LeafJob): Promise<Uint8Array<ArrayBuffer>> {
    return whenDescriptorsAreFree(() =>
      job.bytes <= INLINE_BYTES ? hashInSlices(job) : this.#hashInWorker(job),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #hashInWorker(job: LeafJob): Promise<Uint8Array<ArrayBuffer>> {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, job });
    });
  }

  #start(): Worker {
    // The published package has .js files, a checkout runs the .ts files as they are.
    const file = import.meta.url.endsWith('.ts') ? './leaf-worker.ts' : './leaf-worker.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.on('message', (reply: LeafReply) => this.#settle(worker, reply));
    worker.on('error', (cause) => this.#lost(worker, cause));
    worker.on('exit', () => this.#lost(worker, undefined));
    return worker;
  }

  #settle(worker: Worker, reply: LeafReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) {
      // An idle worker must not keep the process alive.
      worker.unref();
    }
    if ('leaves' in reply) {
      pending?.resolve(reply.leaves);
    } else if (reply.code !== undefined) {
      pending?.reject(Object.assign(new Error(reply.message), { code: reply.code }));
    } else {
      pending?.reject(new HoopError('HOOP_RECORDING_DAMAGED', reply.message));
    }
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker === worker) {
      this.#worker = undefined;
    }
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) {
      reject(
        isWithoutDescriptors(cause)
          ? cause
          : new HoopError('HOOP_RECORDING_WRITE', 'the hashing thread ended', { cause }),
      );
    }
  }
}

async function hashInSlices(job: LeafJob): Promise<Uint8Array<ArrayBuffer>> {
  const work = hashLeaves(job);
  try {
    for (;;) {
      const until = performance.now() + SLICE_MS;
      while (performance.now() < until) {
        const step = work.next();
        if (step.done) {
          return step.value;
        }
      }
      await nextTurn();
    }
  } finally {
    // Closes the files when a step threw.
    work.return(new Uint8Array(0));
  }
}
