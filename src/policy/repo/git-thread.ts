/**
 * Runs git from a thread of its own. To start a process, Node copies the page tables of this one and
 * waits until the child has had its turn: a gateway that has parsed large texts, on a busy machine,
 * stands still for a quarter of a second, and it asks for its policy every few seconds.
 */
import { Worker } from 'node:worker_threads';
import { type ErrorCode, HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';
import type { GitOptions, GitRun } from './git.ts';

export type GitTask =
  | { readonly type: 'run'; readonly id: number; readonly options: Omit<GitOptions, 'signal'> }
  | { readonly type: 'stop'; readonly id: number };

export type GitAnswer =
  | { readonly id: number; readonly run: GitRun }
  | {
      readonly id: number;
      readonly error: {
        /** undefined: a fault of our own */
        readonly code: ErrorCode | undefined;
        readonly message: string;
        readonly detail?: string | undefined;
        readonly hint?: string | undefined;
      };
    };

export class GitThread implements AsyncDisposable {
  #worker: Worker | undefined;
  readonly #pending = new Map<number, PromiseWithResolvers<GitRun>>();
  #lastId = 0;

  /** As `runGit`; when the signal aborts, git has ended before this rejects. */
  async run({ signal, env, ...options }: GitOptions): Promise<GitRun> {
    signal.throwIfAborted();
    this.#worker ??= this.#start();
    const worker = this.#worker;
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = Promise.withResolvers<GitRun>();
    this.#pending.set(id, answer);
    worker.ref();
    const post = (task: GitTask): void => worker.postMessage(task);
    // process.env itself cannot be sent.
    post({ type: 'run', id, options: { ...options, env: { ...env } } });
    using _ = onAbort(signal, () => post({ type: 'stop', id }));
    try {
      return await answer.promise;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  /** Ends the thread; a git that still runs must have been stopped before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./git-worker.${extension}`, import.meta.url), {
      name: 'hoop-git',
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (answer: GitAnswer) => this.#answered(worker, answer));
    worker.on('error', (cause) => this.#lost(worker, cause));
    worker.on('exit', () => this.#lost(worker, undefined));
    return worker;
  }

  #answered(worker: Worker, answer: GitAnswer): void {
    const waiting = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) worker.unref();
    if ('run' in answer) {
      const { status, stdout, stderr } = answer.run;
      // A Buffer arrives as the bytes that it is.
      const bytes = Buffer.from(stdout.buffer, stdout.byteOffset, stdout.byteLength);
      waiting?.resolve({ status, stdout: bytes, stderr });
      return;
    }
    const { code, message, ...told } = answer.error;
    waiting?.reject(code === undefined ? new Error(message) : new HoopError(code, message, told));
  }

  #lost(worker: Worker, cause: unknown): void {
    // A thread that failed exits later, when what waits may be the next one's.
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) {
      reject(new HoopError('HOOP_POLICY_FETCH', 'the thread that runs git ended', { cause }));
    }
  }
}
