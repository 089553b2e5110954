/**
 * A thread for work of which nobody knows beforehand what it costs: within limits of the processor's
 * time and of memory, one piece after the other, and of what waits the piece whose owner has waited
 * longest. What is not done within them is not tried again, since it may be what ends the thread; the
 * next piece gets a new one.
 */
import { parentPort, type Transferable, Worker, workerData } from 'node:worker_threads';
import { isWithoutDescriptors, ThreadStarts } from './free-descriptors.ts';
import { OwnerTurns } from './owner-turns.ts';
import { onAbort } from './until.ts';

export interface LimitedThreadOptions {
  /** Calls `answerTasks`. */
  readonly file: URL;
  readonly name: string;
  /** Of the processor, for one piece of work, milliseconds: the work of others does not count. */
  readonly limitMs: number;
  /** Of V8; what ArrayBuffers hold is apart. */
  readonly heapMb: number;
  readonly stackMb: number;
  /** Pieces of one owner that wait; those of others have their own places. */
  readonly maxWaiting: number;
  /** Without work for so long it ends, and gives back its memory; absent: it stays. */
  readonly idleMs?: number;
}

export interface Work<Shared, Task> {
  /** What several pieces have in common: told only where the last one had another. */
  readonly shared: Shared;
  readonly task: Task;
  /** Memory that is handed over. */
  readonly transfer?: readonly Transferable[];
}

interface Request<Shared, Task> {
  readonly id: number;
  readonly task: Task;
  readonly shared?: Shared;
}

interface Reply<Answer> {
  readonly id: number;
  readonly answer: Answer;
}

interface Job<Shared, Task, Answer> extends Work<Shared, Task> {
  readonly owner: object;
  readonly left: AbortSignal | undefined;
  readonly done: (answer: Answer | undefined) => void;
}

interface Thread<Shared, Task, Answer> {
  readonly worker: Worker;
  /** The processor's time that it had used when it took its work; negative: it has not yet. */
  readonly taken: Int32Array;
  shared: Shared | undefined;
  id: number;
  limitMs: number;
  timer: NodeJS.Timeout | undefined;
  job: Job<Shared, Task, Answer> | undefined;
}

/** By the clock, for a thread that neither answers nor works. */
const PATIENCE_MS = 60_000;
/** As long again as the processor's time, at most, on a machine with much to do. */
const PATIENCE_PER_LIMIT = 4;
const ASK_MS = 500;
/** Of the processor, once nobody waits for it any more: a new thread costs about as much. */
const ABANDONED_MS = 500;
const NOT_TAKEN = -1;

export class LimitedThread<Shared extends object, Task, Answer> implements AsyncDisposable {
  readonly #options: LimitedThreadOptions;
  readonly #waiting: OwnerTurns<Job<Shared, Task, Answer>>;
  readonly #starts = new ThreadStarts(() => this.#next());
  #thread: Thread<Shared, Task, Answer> | undefined;
  #isClosed = false;

  constructor(options: LimitedThreadOptions) {
    this.#options = options;
    this.#waiting = new OwnerTurns(options.maxWaiting);
  }

  /** Pieces that have had their turn so far. */
  get taken(): number {
    return this.#waiting.taken;
  }

  /** Whether there is one now. */
  get isRunning(): boolean {
    return this.#thread !== undefined;
  }

  /** Why nothing is answered: no thread can be started, and it has been tried for long. */
  get cannotStart(): boolean {
    return this.#starts.areGivenUp;
  }

  /** No more of this owner may wait. */
  isFull(owner: object): boolean {
    return this.#isClosed || this.#waiting.isFull(owner);
  }

  /**
   * @param owner whose turn it is
   * @param left aborts when nobody waits for the answer any more.
   * @returns undefined: not within the limits, or nobody waits for it.
   */
  run(owner: object, work: Work<Shared, Task>, left?: AbortSignal): Promise<Answer | undefined> {
    if (this.isFull(owner) || left?.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const job: Job<Shared, Task, Answer> = {
        ...work,
        owner,
        left,
        done(answer) {
          abandoned?.[Symbol.dispose]();
          resolve(answer);
        },
      };
      this.#waiting.add(owner, job);
      const abandoned = left && onAbort(left, () => this.#abandon(job));
      this.#next();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#starts[Symbol.dispose]();
    for (const { done } of this.#waiting.takeAll()) done(undefined);
    await this.#drop();
  }

  #next(): void {
    while (this.#thread?.job === undefined && this.#starts.mayStart) {
      const first = this.#waiting.take();
      if (first === undefined) {
        this.#rest();
        return;
      }
      this.#give(first);
    }
  }

  #give(job: Job<Shared, Task, Answer>): void {
    let thread = this.#thread;
    try {
      thread ??= this.#start();
    } catch (error) {
      if (!isWithoutDescriptors(error)) throw error;
      this.#unstarted(job);
      return;
    }
    this.#run(thread, job);
  }

  /** No thread has seen it: it waits for the next one. */
  #unstarted(job: Job<Shared, Task, Answer>): void {
    if (!job.left?.aborted && this.#starts.failed()) this.#waiting.add(job.owner, job);
    else job.done(undefined);
  }

  #rest(): void {
    const thread = this.#thread;
    const { idleMs } = this.#options;
    if (thread === undefined || idleMs === undefined) return;
    thread.timer = setTimeout(() => void this.#drop(), idleMs);
    thread.timer.unref();
  }

  #start(): Thread<Shared, Task, Answer> {
    const { file, name, heapMb, stackMb } = this.#options;
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(file, {
      name,
      resourceLimits: { stackSizeMb: stackMb, maxOldGenerationSizeMb: heapMb },
      workerData: taken,
      // Nothing of this process's flags, variables or output belongs in there.
      execArgv: [],
      env: {},
    });
    const thread: Thread<Shared, Task, Answer> = {
      ...{ worker, taken, shared: undefined, id: 0, limitMs: 0, timer: undefined, job: undefined },
    };
    worker.unref();
    worker.on('message', (reply: Reply<Answer>) => this.#answered(thread, reply));
    for (const end of ['messageerror', 'exit']) {
      worker.on(end, () => this.#broke(thread));
    }
    worker.on('error', (error) => {
      const { job } = thread;
      if (thread.id === 1 && job !== undefined && isWithoutDescriptors(error)) {
        thread.job = undefined;
        this.#unstarted(job);
      }
      this.#broke(thread);
    });
    this.#thread = thread;
    return thread;
  }

  #run(thread: Thread<Shared, Task, Answer>, job: Job<Shared, Task, Answer>): void {
    const { shared, task, transfer = [] } = job;
    const { limitMs } = this.#options;
    clearTimeout(thread.timer);
    thread.id += 1;
    thread.job = job;
    thread.limitMs = limitMs;
    Atomics.store(thread.taken, 0, NOT_TAKEN);
    const request: Request<Shared, Task> = {
      ...{ id: thread.id, task },
      ...(thread.shared === shared ? {} : { shared }),
    };
    thread.shared = shared;
    thread.worker.ref();
    try {
      // A thread that does not start would take what is handed over with it.
      thread.worker.postMessage(request, thread.id === 1 ? [] : transfer);
    } catch {
      // A function, or memory that was handed over already, cannot be sent: this work alone fails.
      this.#broke(thread);
      return;
    }
    this.#watch(thread, performance.now() + Math.max(PATIENCE_MS, PATIENCE_PER_LIMIT * limitMs));
  }

  #watch(thread: Thread<Shared, Task, Answer>, deadline: number): void {
    const { id } = thread;
    thread.timer = setTimeout(
      () => {
        void workedMs(thread).then((worked) => {
          if (thread !== this.#thread || thread.id !== id || thread.job === undefined) return;
          if (worked >= thread.limitMs || performance.now() >= deadline) this.#broke(thread);
          else this.#watch(thread, deadline);
        });
      },
      Math.min(ASK_MS, thread.limitMs),
    );
  }

  #abandon(job: Job<Shared, Task, Answer>): void {
    const thread = this.#thread;
    if (this.#waiting.remove(job.owner, job)) job.done(undefined);
    else if (thread?.job === job) thread.limitMs = Math.min(thread.limitMs, ABANDONED_MS);
  }

  #answered(thread: Thread<Shared, Task, Answer>, { id, answer }: Reply<Answer>): void {
    const { job } = thread;
    if (thread !== this.#thread || job === undefined || id !== thread.id) {
      this.#broke(thread);
      return;
    }
    clearTimeout(thread.timer);
    thread.job = undefined;
    thread.worker.unref();
    this.#starts.succeeded();
    job.done(answer);
    this.#next();
  }

  #broke(thread: Thread<Shared, Task, Answer>): void {
    if (thread === this.#thread) {
      // One that has taken its work was started, however it ends.
      if (Atomics.load(thread.taken, 0) !== NOT_TAKEN) this.#starts.succeeded();
      void this.#drop();
      this.#next();
    }
  }

  async #drop(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    clearTimeout(thread.timer);
    thread.job?.done(undefined);
    thread.job = undefined;
    await thread.worker.terminate();
  }
}

async function workedMs({
  worker,
  taken,
}: Pick<Thread<unknown, unknown, unknown>, 'worker' | 'taken'>): Promise<number> {
  const before = Atomics.load(taken, 0);
  if (before < 0) return 0;
  // One that has ended has no time of its own, and is heard of.
  const used = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (used.user + used.system) / 1000 - before;
}

/**
 * The thread's side: one piece of work after the other. A fault of `act` ends the thread.
 * @param act gives the answer, and the memory that goes with it.
 */
export function answerTasks<Shared, Task, Answer>(
  act: (
    task: Task,
    shared: Shared,
  ) => { readonly answer: Answer; readonly transfer?: readonly Transferable[] },
): void {
  const parent = parentPort;
  if (parent === null) return;
  const taken = workerData as Int32Array;
  let known: Shared | undefined;
  parent.on('message', ({ id, task, shared }: Request<Shared, Task>) => {
    const { user, system } = process.threadCpuUsage();
    Atomics.store(taken, 0, (user + system) / 1000);
    known = shared ?? known;
    if (known === undefined) throw new TypeError('the first task comes with what is shared');
    const { answer, transfer = [] } = act(task, known);
    const reply: Reply<Answer> = { id, answer };
    parent.postMessage(reply, transfer);
  });
}
