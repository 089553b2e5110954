/**
 * PostgreSQL's parser behind a wall. A client can drive the WASM module out of its stack, after
 * which it is dead for good; it can also ask for a lot of time and memory. So it runs in workers
 * with a large stack that are replaced as soon as they do anything but answer, texts are bounded,
 * and one large text is parsed at a time. What could not be parsed is refused by the caller.
 */
import { isWithoutDescriptors, ThreadStarts } from '../../../../free-descriptors.ts';
import { OwnerTurns } from '../../../../owner-turns.ts';
import type { Grant } from '../../../../policy/types.ts';
import { onAbort } from '../../../../until.ts';
import type { StatementContext } from '../facts/types.ts';
import { answerQuestion, factsOf, toldOf } from './catalog-questions.ts';
import { type ConstantShape, ConstantShapes, constantShape } from './constant-shapes.ts';
import { ParseCache } from './parse-cache.ts';
import {
  type BoundedOutcome,
  BROKEN,
  type JudgedOutcome,
  MAX_SQL_BYTES,
  NO_THREAD,
  NOT_TEXT,
  type NotParsed,
  outcomeOf,
  type ParseOutcome,
  TOO_LARGE,
} from './parse-outcome.ts';
import { type Job, startThread, type Thread, workedMs } from './parser-thread.ts';
import type { JudgeTask, ParseAnswer, ParseRequest } from './parser-worker.ts';

/**
 * Levels of the tree: about 1000 terms of a sum, 280 nested subqueries, 2000 UNIONs. The analysis
 * recurses on the main thread, whose stack is 1 MB.
 */
const MAX_TREE_DEPTH = 2000;
/** Measured: 60 000 terms need more than 4 MB and fit in 16. */
const WORKER_STACK_MB = 64;
/**
 * Texts above this wait for each other, so that memory is that of one; the parser's slowest take a
 * fifth of a second at this size. Bytes.
 */
const LARGE_SQL_BYTES = 16 * 1024;
/** A body is parsed in pieces. */
const LARGE_TRIGGER_BYTES = 4 * 1024;
/** The process's resident memory may grow by this much after a large text before the worker goes. */
const MAX_RSS_GROWTH = 192 * 1024 * 1024;
/** The scanner takes quadratic time for nested comments: 100 KB of them are 6 s. */
const PARSE_TIMEOUT_MS = 5_000;
/**
 * Of parsing and judging; what a person or program waits for is done in a tenth of it. These limits
 * are of the time that a thread has had of the processor: on a machine with much to do, no text is
 * refused for the work of others.
 */
const JUDGE_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 20_000;
/** The same, once nobody waits for the verdict any more: a new thread costs more than a short rest. */
const ABANDONED_MS = 500;
/** By the clock, for a thread that neither answers nor works. */
const PATIENCE_MS = 60_000;
/** How soon it is asked again, at the least. */
const MIN_ASK_MS = 50;
const NOT_TAKEN = -1;
/** Of whoever cannot leave. */
const NEVER = new AbortController().signal;
/**
 * Texts of one session that wait for a worker, of either size; more are refused, not queued. Each of
 * its connections has one at a time, and its local port takes 1,024. Others have their own places.
 */
const MAX_WAITING = 1024;

export interface SqlParserOptions {
  /** Threads; default 2, so that a large or slow text of one session does not hold up all others. */
  readonly workers?: number;
  /** Of each thread; default 64. */
  readonly stackMegabytes?: number;
  /** For one text; default 5000. */
  readonly timeoutMs?: number;
  /** For one text that is judged as well; default 10,000. */
  readonly judgeTimeoutMs?: number;
}

export class SqlParser implements AsyncDisposable {
  readonly #size: number;
  readonly #stackSizeMb: number;
  readonly #timeoutMs: number;
  readonly #judgeTimeoutMs: number;
  readonly #threads = new Set<Thread>();
  readonly #small = new OwnerTurns<Job>(MAX_WAITING);
  readonly #large = new OwnerTurns<Job>(MAX_WAITING);
  readonly #cache = new ParseCache();
  readonly #shapes = new ConstantShapes();
  readonly #starts = new ThreadStarts(() => this.#dispatch());
  /** By owner: nobody waits for a turn of somebody else's. */
  readonly #pending = new WeakMap<object, Map<string, Promise<BoundedOutcome>>>();
  #closed = false;
  #replaced = 0;

  private constructor(options: SqlParserOptions) {
    this.#stackSizeMb = options.stackMegabytes ?? WORKER_STACK_MB;
    this.#timeoutMs = options.timeoutMs ?? PARSE_TIMEOUT_MS;
    this.#judgeTimeoutMs = options.judgeTimeoutMs ?? JUDGE_TIMEOUT_MS;
    this.#size = Math.min(Math.max(options.workers ?? 2, 1), 8);
  }

  /** Starts no thread until the first text comes. */
  static create(options: SqlParserOptions = {}): SqlParser {
    return new SqlParser(options);
  }

  /** Workers that had to be replaced so far. */
  get replacedWorkers(): number {
    return this.#replaced;
  }

  /** Those that there are now. */
  get threads(): number {
    return this.#threads.size;
  }

  /**
   * Never rejects: what could not be parsed is an outcome.
   * @param owner whose turn it is, as in the context of `judge`
   */
  parse(text: string, owner?: object): Promise<ParseOutcome>;
  /** @param maxTreeBytes of its JSON, which is read where this is called */
  parse(text: string, owner: object | undefined, maxTreeBytes: number): Promise<BoundedOutcome>;
  parse(
    text: string,
    owner: object = this,
    maxTreeBytes = Number.POSITIVE_INFINITY,
  ): Promise<BoundedOutcome> {
    const cached = this.#cache.get(text);
    if (cached) return Promise.resolve(cached);
    const ofOwner = this.#pending.get(owner) ?? new Map<string, Promise<BoundedOutcome>>();
    const key = `${maxTreeBytes} ${text}`;
    const pending = ofOwner.get(key);
    if (pending) {
      return pending;
    }
    const shape = constantShape(text);
    const exchanged = shape === undefined ? undefined : this.#shapes.tree(shape);
    if (exchanged !== undefined) {
      return Promise.resolve({ type: 'tree', ...exchanged });
    }
    const large = text.length > LARGE_SQL_BYTES;
    const refused = this.#refuse(text, owner, large);
    if (refused) {
      return Promise.resolve(refused);
    }
    const outcome = this.#enqueue({ owner, text, large, maxTreeBytes }, shape).finally(() =>
      ofOwner.delete(key),
    );
    this.#pending.set(owner, ofOwner.set(key, outcome));
    return outcome;
  }

  /**
   * The body of a trigger function. Never rejects.
   * @returns an outcome whose tree is `{ body?: TriggerBody }`
   */
  parseTrigger(text: string): Promise<BoundedOutcome> {
    const large = text.length > LARGE_TRIGGER_BYTES;
    const refused = this.#refuse(text, this, large);
    if (refused) return Promise.resolve(refused);
    return this.#enqueue(
      { owner: this, text, large, maxTreeBytes: Number.POSITIVE_INFINITY, isTrigger: true },
      undefined,
    );
  }

  /**
   * Parses and judges in the thread, whose tree is seen by nobody else. It asks for what it needs of
   * the catalog. Never rejects.
   */
  judge(text: string, context: StatementContext, grant: Grant): Promise<JudgedOutcome> {
    const { left = NEVER, owner = this } = context;
    const refused = this.#refuse(text, owner, true);
    if (refused) {
      return Promise.resolve(refused);
    }
    if (left.aborted) return Promise.resolve(BROKEN);
    return new Promise((resolve) => {
      const job: Job = {
        owner,
        text,
        large: true,
        maxTreeBytes: Number.POSITIVE_INFINITY,
        judge: { context, grant },
        done: (outcome) => {
          abandoned[Symbol.dispose]();
          // A thread with a task to judge answers with a verdict, or does not parse it.
          resolve(outcome as JudgedOutcome);
        },
      };
      this.#large.add(owner, job);
      this.#dispatch();
      const abandoned = onAbort(left, () => this.#abandon(job));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#starts[Symbol.dispose]();
    for (const job of [...this.#small.takeAll(), ...this.#large.takeAll()]) {
      job.done(BROKEN, 0);
    }
    const workers = [...this.#threads].map((thread) => this.#drop(thread));
    await Promise.all(workers);
  }

  #refuse(text: string, owner: object, large: boolean): NotParsed | undefined {
    // A NUL would end the text for the parser and not for us; a lone surrogate has no UTF-8.
    if (text.includes('\0') || !text.isWellFormed()) {
      return NOT_TEXT;
    }
    if (text.length > MAX_SQL_BYTES || Buffer.byteLength(text) > MAX_SQL_BYTES) {
      return TOO_LARGE;
    }
    return this.#closed || this.#waiting(large).isFull(owner) ? BROKEN : undefined;
  }

  #waiting(large: boolean): OwnerTurns<Job> {
    return large ? this.#large : this.#small;
  }

  #enqueue(
    asked: Omit<Job, 'judge' | 'done'>,
    shape: ConstantShape | undefined,
  ): Promise<BoundedOutcome> {
    const { owner, text, large, isTrigger } = asked;
    return new Promise((resolve) => {
      this.#waiting(large).add(owner, {
        ...asked,
        done: (outcome, bytes) => {
          // Nobody has asked for a verdict.
          if (outcome.type === 'judged') throw new TypeError('a verdict in place of a tree');
          if (outcome.type !== 'large' && !isTrigger) this.#cache.remember(text, outcome, bytes);
          if (shape !== undefined && outcome.type === 'tree') {
            this.#shapes.learn(shape, outcome.tree, bytes);
          }
          resolve(outcome);
        },
      });
      this.#dispatch();
    });
  }

  /** Gives waiting texts to idle threads, small ones first, but never two large ones at once. */
  #dispatch(): void {
    for (;;) {
      const largeBusy = [...this.#threads].some(({ job }) => job?.large);
      const large = !this.#small.isWaiting;
      const waiting = this.#waiting(large);
      const idle = this.#idleFor(large);
      const mayStart = this.#starts.mayStart && this.#threads.size < this.#size;
      const isBusy = (large && largeBusy) || (!idle && !mayStart);
      const job = isBusy ? undefined : waiting.take();
      if (job === undefined) {
        return;
      }
      this.#give(job, idle);
    }
  }

  #give(job: Job, idle: Thread | undefined): void {
    let thread = idle;
    try {
      thread ??= this.#start();
    } catch (error) {
      if (!isWithoutDescriptors(error)) throw error;
      this.#unstarted(job);
      return;
    }
    this.#run(thread, job);
  }

  /** No thread has seen the text, which is not its fault: it waits for the next one. */
  #unstarted(job: Job): void {
    if (job.judge?.context.left?.aborted) job.done(BROKEN, 0);
    else if (this.#starts.failed()) this.#waiting(job.large).add(job.owner, job);
    else job.done(NO_THREAD, 0);
  }

  /**
   * What a large text leaves may be a thread that has to end, and the next one takes long to start:
   * large texts have one of their own, and small ones need not wait for that.
   */
  #idleFor(large: boolean): Thread | undefined {
    const idle = [...this.#threads].filter(({ job }) => job === undefined);
    const own = idle.find(({ hadLarge }) => hadLarge === large);
    const mayStart = large && this.#starts.mayStart && this.#threads.size < this.#size;
    return own ?? (mayStart ? undefined : idle[0]);
  }

  #start(): Thread {
    const thread = startThread(this.#stackSizeMb);
    const { answers, worker } = thread;
    this.#threads.add(thread);
    answers.unref();
    worker.unref();
    worker.on('message', (answer: ParseAnswer) => this.#answered(thread, answer));
    worker.on('messageerror', () => this.#broke(thread));
    worker.on('error', (error) => {
      if (thread.id > 1 || !isWithoutDescriptors(error)) this.#broke(thread);
      else this.#didNotStart(thread);
    });
    worker.on('exit', () => this.#broke(thread));
    return thread;
  }

  #run(thread: Thread, job: Job): void {
    thread.id += 1;
    thread.job = job;
    thread.hadLarge ||= job.large;
    thread.rssBefore = job.large ? process.memoryUsage.rss() : 0;
    const usual = job.judge === undefined ? this.#timeoutMs : this.#judgeTimeoutMs;
    thread.limitMs = thread.id === 1 ? START_TIMEOUT_MS : usual;
    thread.deadline = performance.now() + PATIENCE_MS;
    Atomics.store(thread.taken, 0, NOT_TAKEN);
    this.#watch(thread, thread.limitMs);
    thread.worker.ref();
    const { text, maxTreeBytes } = job;
    const { id } = thread;
    const judge = job.judge && this.#taskOf(thread, job.judge);
    const { isTrigger } = job;
    const request: ParseRequest = {
      id,
      text,
      maxDepth: MAX_TREE_DEPTH,
      maxTreeBytes,
      ...(judge ? { judge } : {}),
      ...(isTrigger ? { isTrigger } : {}),
    };
    thread.worker.postMessage(request);
  }

  #watch(thread: Thread, waitMs: number): void {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => this.#examine(thread), waitMs);
  }

  /** Ends the thread if it has worked for so long on its text, or has had it until the deadline. */
  async #examine(thread: Thread): Promise<void> {
    const { id, deadline } = thread;
    const left = Math.max(deadline - performance.now(), 0);
    thread.timer = setTimeout(() => this.#broke(thread), left);
    const worked = await workedMs(thread);
    if (thread.job === undefined || thread.id !== id) return;
    const { limitMs } = thread;
    if (worked >= limitMs || performance.now() >= deadline) this.#broke(thread);
    else this.#watch(thread, Math.max(limitMs - worked, MIN_ASK_MS));
  }

  /** Nobody waits for it any more: it gives way to the texts of others, soon if it is being judged. */
  #abandon(job: Job): void {
    if (this.#waiting(job.large).remove(job.owner, job)) {
      job.done(BROKEN, 0);
      return;
    }
    for (const thread of this.#threads) {
      if (thread.job !== job) continue;
      thread.limitMs = Math.min(thread.limitMs, ABANDONED_MS);
      this.#watch(thread, MIN_ASK_MS);
    }
  }

  /** Grant and catalog are told once, as long as they are the same. */
  #taskOf(thread: Thread, { context, grant }: NonNullable<Job['judge']>): JudgeTask {
    const isSameGrant = thread.grant === grant;
    const isSameCatalog = thread.catalog === context.catalog;
    thread.grant = grant;
    thread.catalog = context.catalog;
    thread.lots = [];
    return {
      context: toldOf(context),
      ...(isSameGrant ? {} : { grant }),
      ...(isSameCatalog ? {} : { catalog: factsOf(context.catalog) }),
    };
  }

  /** The thread stands still until it has its answer, so questions come one by one. */
  #asked(thread: Thread, asked: ParseAnswer & { type: 'question' | 'lot' }): void {
    const judge = thread.job?.judge;
    if (judge === undefined || asked.id !== thread.id) {
      this.#broke(thread);
      return;
    }
    try {
      let answer: unknown;
      if (asked.type === 'lot') thread.lots.push(...asked.statements);
      else answer = answerQuestion(asked.question, judge.context);
      thread.answers.postMessage({ answer });
    } catch (error) {
      // Nobody else would catch it, and it would end the gateway.
      this.#broke(thread, error instanceof Error ? error : new Error(String(error)));
      return;
    }
    Atomics.store(thread.bell, 0, 1);
    Atomics.notify(thread.bell, 0);
  }

  #answered(thread: Thread, answer: ParseAnswer): void {
    if (answer.type === 'question' || answer.type === 'lot') {
      this.#asked(thread, answer);
      return;
    }
    const { job } = thread;
    if (!job || answer.id !== thread.id) {
      this.#broke(thread);
      return;
    }
    clearTimeout(thread.timer);
    thread.job = undefined;
    thread.worker.unref();
    this.#starts.succeeded();
    const rss = 'rss' in answer ? answer.rss : 0;
    const bloated = job.large && rss - thread.rssBefore > MAX_RSS_GROWTH;
    if (bloated) {
      // WASM memory never shrinks; only the end of its thread gives it back.
      this.#replaced += 1;
      void this.#drop(thread);
    }
    const { lots } = thread;
    thread.lots = [];
    job.done(...outcomeOf(answer, lots));
    this.#dispatch();
  }

  #broke(thread: Thread, fault?: Error): void {
    if (!this.#threads.has(thread)) {
      return;
    }
    this.#replaced += 1;
    const { job } = thread;
    thread.job = undefined;
    void this.#drop(thread);
    // The text is not tried again: it may be the one that does this.
    job?.done(fault === undefined ? BROKEN : { ...BROKEN, fault }, 0);
    this.#dispatch();
  }

  #didNotStart(thread: Thread): void {
    const { job } = thread;
    thread.job = undefined;
    void this.#drop(thread);
    if (job !== undefined) this.#unstarted(job);
    this.#dispatch();
  }

  async #drop(thread: Thread): Promise<void> {
    this.#threads.delete(thread);
    clearTimeout(thread.timer);
    thread.job?.done(BROKEN, 0);
    thread.job = undefined;
    thread.answers.close();
    await thread.worker.terminate();
  }
}
