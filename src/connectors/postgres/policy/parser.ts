/**
 * PostgreSQL's parser behind a wall. A client can drive the WASM module out of its stack, after
 * which it is dead for good; it can also ask for a lot of time and memory. So it runs in workers
 * with a large stack that are replaced as soon as they do anything but answer, texts are bounded,
 * and one large text is parsed at a time. What could not be parsed is refused by the caller.
 */
import { setFlagsFromString } from 'node:v8';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { OwnerTurns } from '../../../owner-turns.ts';
import type { Grant } from '../../../policy/types.ts';
import { onAbort } from '../../../until.ts';
import type { StatementAnalysis } from './analysis-types.ts';
import { answerQuestion, factsOf, toldOf } from './catalog-questions.ts';
import { type ConstantShape, ConstantShapes, constantShape } from './constant-shapes.ts';
import type { JudgeTask, ParseAnswer, ParseRequest, WorkerData } from './parser-worker.ts';
import type { AllowedStatement, StatementContext, Verdict } from './types.ts';

export type ParseOutcome =
  /** The ParseResult of libpg-query. Shared by everyone who asks for this text: do not change it. */
  | {
      readonly type: 'tree';
      readonly tree: unknown;
      /** Made from the tree of a text with other constants: whether their values have been read. */
      readonly wasRead?: () => boolean;
    }
  | NotParsed;

export type NotParsed =
  /** The parser's own message, as the server would say it. `position` is 1-based, in characters. */
  | { readonly type: 'syntax'; readonly message: string; readonly position: number | undefined }
  | {
      readonly type: 'refused';
      readonly reason: 'size' | 'depth' | 'parser';
      readonly message: string;
      readonly hint: string | undefined;
    };

/** UTF-8 bytes of one Query or Parse. 1 MB of INSERT takes 0.5 s and 500 MB; nobody types more. */
export const MAX_SQL_BYTES = 1024 * 1024;
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
/**
 * V8's optimizing compiler takes 550 MB for half a second over the generated parser, and saves 2 of
 * 11 µs per statement. The first flag stands for the others, but only where a process starts with
 * it; they hold for all WebAssembly of the process.
 */
const WASM_FLAGS = ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'];
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
/** Of V8, in each thread; what the parser itself takes is apart. The tree of 1 MB of `(1),(1)` has 300. */
const WORKER_HEAP_MB = 768;
const START_TIMEOUT_MS = 20_000;
/** The same, once nobody waits for the verdict any more: a new thread costs more than a short rest. */
const ABANDONED_MS = 500;
/** By the clock, for a thread that neither answers nor works. */
const PATIENCE_MS = 60_000;
/** How soon it is asked again, at the least. */
const MIN_ASK_MS = 50;
/** Bytes of SQL and of tree JSON in the cache. */
const MAX_CACHE_BYTES = 32 * 1024 * 1024;
const MAX_CACHED_TREE_BYTES = 512 * 1024;
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

interface Job {
  readonly owner: object;
  readonly text: string;
  readonly large: boolean;
  readonly maxTreeBytes: number;
  readonly judge?: { readonly context: StatementContext; readonly grant: Grant };
  readonly done: (outcome: BoundedOutcome | JudgedOutcome, bytes: number) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Where the thread waits for the answers to its questions, and what wakes it up. */
  readonly answers: MessagePort;
  readonly bell: Int32Array;
  /** The processor's time that it had used when it took the text; negative: it has not yet. */
  readonly taken: Int32Array;
  /** What it has been told of last. */
  grant: Grant | undefined;
  catalog: StatementContext['catalog'] | undefined;
  /** Statements of a verdict that come one lot after the other. */
  lots: unknown[];
  job: Job | undefined;
  hadLarge: boolean;
  id: number;
  /** Of the processor, for its job; and until when by the clock. */
  limitMs: number;
  deadline: number;
  timer: NodeJS.Timeout | undefined;
  /** Resident bytes of the process before the job. */
  rssBefore: number;
}

const BROKEN = {
  type: 'refused',
  reason: 'parser',
  message: 'the statement could not be parsed safely',
  hint: 'Split it into smaller statements.',
} as const satisfies NotParsed;
const TOO_LARGE: NotParsed = {
  type: 'refused',
  reason: 'size',
  message: `the statement is larger than ${MAX_SQL_BYTES / 1024} KiB`,
  hint: 'Send the data with COPY … FROM STDIN, or with parameters in several statements.',
};
const TOO_DEEP: NotParsed = {
  type: 'refused',
  reason: 'depth',
  message: 'the statement is nested too deeply',
  hint: 'Use IN, ANY or a VALUES list instead of long chains of operators or subqueries.',
};
const NOT_TEXT: NotParsed = {
  type: 'refused',
  reason: 'parser',
  message: 'the statement contains characters that SQL text cannot hold',
  hint: undefined,
};

/** A tree, or that it is larger than whoever asked can take. */
export type BoundedOutcome = ParseOutcome | { readonly type: 'large' };

export type JudgedOutcome =
  /** @property fault of our own, for which it was refused */
  | { readonly type: 'judged'; readonly verdict: Verdict; readonly fault?: Error | undefined }
  | (NotParsed & { readonly fault?: Error });

export class SqlParser implements AsyncDisposable {
  readonly #size: number;
  readonly #stackSizeMb: number;
  readonly #timeoutMs: number;
  readonly #judgeTimeoutMs: number;
  readonly #threads = new Set<Thread>();
  readonly #small = new OwnerTurns<Job>(MAX_WAITING);
  readonly #large = new OwnerTurns<Job>(MAX_WAITING);
  readonly #cache = new Map<string, { outcome: ParseOutcome; bytes: number }>();
  readonly #shapes = new ConstantShapes();
  /** By owner: nobody waits for a turn of somebody else's. */
  readonly #pending = new WeakMap<object, Map<string, Promise<BoundedOutcome>>>();
  #cacheBytes = 0;
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
    if (cached) {
      // Most recently used last.
      this.#cache.delete(text);
      this.#cache.set(text, cached);
      return Promise.resolve(cached.outcome);
    }
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
    const { owner, text, large } = asked;
    return new Promise((resolve) => {
      this.#waiting(large).add(owner, {
        ...asked,
        done: (outcome, bytes) => {
          // Nobody has asked for a verdict.
          if (outcome.type === 'judged') throw new TypeError('a verdict in place of a tree');
          if (outcome.type !== 'large') this.#remember(text, outcome, bytes);
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
      const isBusy = (large && largeBusy) || (!idle && this.#threads.size >= this.#size);
      const job = isBusy ? undefined : waiting.take();
      if (job === undefined) {
        return;
      }
      this.#run(idle ?? this.#start(), job);
    }
  }

  /**
   * What a large text leaves may be a thread that has to end, and the next one takes long to start:
   * large texts have one of their own, and small ones need not wait for that.
   */
  #idleFor(large: boolean): Thread | undefined {
    const idle = [...this.#threads].filter(({ job }) => job === undefined);
    const own = idle.find(({ hadLarge }) => hadLarge === large);
    const mayStart = large && this.#threads.size < this.#size;
    return own ?? (mayStart ? undefined : idle[0]);
  }

  #start(): Thread {
    for (const flag of WASM_FLAGS) {
      setFlagsFromString(flag);
    }
    // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const { port1: answers, port2: port } = new MessageChannel();
    const bell = new Int32Array(new SharedArrayBuffer(4));
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const workerData: WorkerData = { port, bell, taken };
    const worker = new Worker(new URL(`./parser-worker.${extension}`, import.meta.url), {
      name: 'hoop-sql-parser',
      resourceLimits: { stackSizeMb: this.#stackSizeMb, maxOldGenerationSizeMb: WORKER_HEAP_MB },
      workerData,
      transferList: [port],
      // Nothing of this process's flags, variables or output belongs in there.
      execArgv: [],
      env: {},
    });
    const thread: Thread = {
      worker,
      answers,
      bell,
      taken,
      grant: undefined,
      catalog: undefined,
      lots: [],
      job: undefined,
      hadLarge: false,
      id: 0,
      limitMs: 0,
      deadline: 0,
      timer: undefined,
      rssBefore: 0,
    };
    this.#threads.add(thread);
    answers.unref();
    worker.unref();
    worker.on('message', (answer: ParseAnswer) => this.#answered(thread, answer));
    worker.on('messageerror', () => this.#broke(thread));
    worker.on('error', () => this.#broke(thread));
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
    const request: ParseRequest = {
      id,
      text,
      maxDepth: MAX_TREE_DEPTH,
      maxTreeBytes,
      ...(judge ? { judge } : {}),
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

  async #drop(thread: Thread): Promise<void> {
    this.#threads.delete(thread);
    clearTimeout(thread.timer);
    thread.job?.done(BROKEN, 0);
    thread.job = undefined;
    thread.answers.close();
    await thread.worker.terminate();
  }

  #remember(text: string, outcome: ParseOutcome, jsonBytes: number): void {
    // Two who ask at once are both answered; one of the answers is kept.
    if (outcome === BROKEN || jsonBytes > MAX_CACHED_TREE_BYTES || this.#cache.has(text)) {
      return;
    }
    // A parsed tree takes several times its JSON.
    const bytes = text.length * 2 + jsonBytes * 6 + 200;
    this.#cache.set(text, { outcome, bytes });
    this.#cacheBytes += bytes;
    for (const [oldest, entry] of this.#cache) {
      if (this.#cacheBytes <= MAX_CACHE_BYTES) {
        return;
      }
      this.#cache.delete(oldest);
      this.#cacheBytes -= entry.bytes;
    }
  }
}

/** Of the processor, for the text that it has; of a thread that starts, for that. */
async function workedMs({ worker, taken, id }: Thread): Promise<number> {
  const before = Atomics.load(taken, 0);
  if (before < 0 && id > 1) return 0;
  // One that has not started yet has no time of its own.
  const used = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (used.user + used.system) / 1000 - Math.max(before, 0);
}

function outcomeOf(
  answer: Exclude<ParseAnswer, { type: 'question' | 'lot' }>,
  lots: readonly unknown[],
): [BoundedOutcome | JudgedOutcome, number] {
  switch (answer.type) {
    case 'large':
      return [{ type: 'large' }, 0];
    case 'allowed': {
      // As the thread has sent them.
      const statements = lots as readonly AllowedStatement[];
      return [{ type: 'judged', verdict: { effect: 'allow', statements } }, 0];
    }
    case 'refused': {
      // As the thread has sent them.
      const analysis = lots as readonly StatementAnalysis[];
      const { refusal, statement, fault } = answer;
      const verdict: Verdict = { effect: 'refuse', refusal, statement, analysis };
      return [{ type: 'judged', verdict, fault }, 0];
    }
    case 'tree':
      return [{ type: 'tree', tree: JSON.parse(answer.json) }, answer.json.length];
    case 'depth':
      return [TOO_DEEP, 0];
    case 'syntax':
      return [
        { type: 'syntax', message: answer.message, position: positionOf(answer) },
        answer.message.length,
      ];
  }
}

/** The binding turns "no position" into 0, which is also the first character. */
function positionOf({ message, cursor }: { message: string; cursor: number }): number | undefined {
  return cursor > 0 || / at (or near|end of) /.test(message) ? cursor + 1 : undefined;
}
