/**
 * Where commands are held against the rules. To find out what a text starts can cost milliseconds
 * for each hundred of its characters, and everybody else would wait meanwhile: what is longer than
 * most commands are is read in a thread, within limits of time and memory, one after the other, and
 * of those that wait the one whose owner has waited longest.
 */
import { Worker } from 'node:worker_threads';
import { OwnerTurns } from '../../../owner-turns.ts';
import type { Grant } from '../../../policy/types.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import type { CommandAnswer, CommandTask } from './command-worker.ts';

/** Characters that are read at once, where it is asked. */
const SHORT_COMMAND = 512;
/** Of the processor, for one command; those of people and their tools take a hundredth of it. */
const LIMIT_MS = 5_000;
/** By the clock, for a thread that neither answers nor works. */
const PATIENCE_MS = 60_000;
const ASK_MS = 500;
const HEAP_MB = 256;
/** The parser recurses; a command within a command within … is refused long before this is full. */
const STACK_MB = 16;
/** Commands of one session that wait; those of others have their own places. */
const MAX_WAITING = 200;
const NOT_TAKEN = -1;

const TOO_LONG = 'it takes too long to read';

interface Job {
  readonly grant: Grant;
  readonly user: string;
  readonly command: string;
  readonly done: (verdict: SshVerdict) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly taken: Int32Array;
  grant: Grant | undefined;
  id: number;
  timer: NodeJS.Timeout | undefined;
  job: Job | undefined;
}

export class CommandJudge implements AsyncDisposable {
  readonly #limitMs: number;
  readonly #waiting = new OwnerTurns<Job>(MAX_WAITING);
  #thread: Thread | undefined;
  #isClosed = false;

  /** @param limitMs for tests */
  constructor(limitMs = LIMIT_MS) {
    this.#limitMs = limitMs;
  }

  /** Commands that were read in a thread so far. */
  get readElsewhere(): number {
    return this.#waiting.taken;
  }

  /**
   * What it cannot read in time is a command that nobody can read, and goes by the rules for those.
   * @param owner whose turn it is
   */
  decide(owner: object, grant: Grant, user: string, act: SshAct): SshVerdict | Promise<SshVerdict> {
    if (act.kind !== 'exec' || act.command === undefined || act.command.length <= SHORT_COMMAND) {
      return decideSsh(grant, user, act);
    }
    const { command } = act;
    if (this.#isClosed || this.#waiting.isFull(owner)) {
      return unread(grant, user, command);
    }
    return new Promise((done) => {
      this.#waiting.add(owner, { grant, user, command, done });
      this.#next();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#waiting.takeAll()) giveUp(job);
    await this.#drop();
  }

  #next(): void {
    if (this.#thread?.job !== undefined) return;
    const first = this.#waiting.take();
    if (first === undefined) return;
    this.#thread ??= this.#start();
    this.#run(this.#thread, first);
  }

  #start(): Thread {
    // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL(`./command-worker.${extension}`, import.meta.url), {
      name: 'hoop-commands',
      resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB },
      workerData: taken,
      // Nothing of this process's flags, variables or output belongs in there.
      execArgv: [],
      env: {},
    });
    const thread: Thread = {
      ...{ worker, taken, grant: undefined, id: 0, timer: undefined, job: undefined },
    };
    worker.unref();
    worker.on('message', (answer: CommandAnswer) => this.#answered(thread, answer));
    for (const end of ['messageerror', 'error', 'exit']) {
      worker.on(end, () => this.#broke(thread));
    }
    return thread;
  }

  #run(thread: Thread, job: Job): void {
    const { grant, user, command } = job;
    thread.id += 1;
    thread.job = job;
    Atomics.store(thread.taken, 0, NOT_TAKEN);
    const task: CommandTask = {
      ...{ id: thread.id, user, command },
      ...(thread.grant === grant ? {} : { grant }),
    };
    thread.grant = grant;
    thread.worker.ref();
    thread.worker.postMessage(task);
    this.#watch(thread, performance.now() + PATIENCE_MS);
  }

  #watch(thread: Thread, deadline: number): void {
    const { id } = thread;
    thread.timer = setTimeout(
      () => {
        void workedMs(thread).then((worked) => {
          if (thread !== this.#thread || thread.id !== id || thread.job === undefined) return;
          if (worked >= this.#limitMs || performance.now() >= deadline) this.#broke(thread);
          else this.#watch(thread, deadline);
        });
      },
      Math.min(ASK_MS, this.#limitMs),
    );
  }

  #answered(thread: Thread, { id, verdict }: CommandAnswer): void {
    const { job } = thread;
    if (thread !== this.#thread || job === undefined || id !== thread.id) {
      this.#broke(thread);
      return;
    }
    clearTimeout(thread.timer);
    thread.job = undefined;
    thread.worker.unref();
    job.done(verdict);
    this.#next();
  }

  /** Its command is not tried again: it may be the one that does this. */
  #broke(thread: Thread): void {
    if (thread === this.#thread) {
      void this.#drop();
      this.#next();
    }
  }

  async #drop(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    clearTimeout(thread.timer);
    if (thread.job !== undefined) giveUp(thread.job);
    thread.job = undefined;
    await thread.worker.terminate();
  }
}

function giveUp({ grant, user, command, done }: Job): void {
  done(unread(grant, user, command));
}

function unread(grant: Grant, user: string, command: string): SshVerdict {
  return decideSsh(grant, user, { kind: 'exec', command, unread: TOO_LONG });
}

async function workedMs({ worker, taken }: Thread): Promise<number> {
  const before = Atomics.load(taken, 0);
  if (before < 0) return 0;
  // One that has ended has no time of its own, and is heard of.
  const used = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (used.user + used.system) / 1000 - before;
}
