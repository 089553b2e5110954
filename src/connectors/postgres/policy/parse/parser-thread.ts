/** A thread of the parser's, and what it works on. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { baselineOnly } from '../../../../baseline-wasm.ts';
import type { Grant } from '../../../../policy/types.ts';
import type { StatementContext } from '../facts/types.ts';
import type { BoundedOutcome, JudgedOutcome } from './parse-outcome.ts';
import type { WorkerData } from './parser-worker.ts';

/** Of V8, in each thread; what the parser itself takes is apart. The tree of 1 MB of `(1),(1)` has 300. */
const WORKER_HEAP_MB = 768;

export interface Job {
  readonly owner: object;
  readonly text: string;
  readonly large: boolean;
  readonly maxTreeBytes: number;
  readonly judge?: { readonly context: StatementContext; readonly grant: Grant };
  readonly isTrigger?: true;
  readonly done: (outcome: BoundedOutcome | JudgedOutcome, bytes: number) => void;
}

export interface Thread {
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

export function startThread(stackSizeMb: number): Thread {
  baselineOnly();
  // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const { port1: answers, port2: port } = new MessageChannel();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const taken = new Int32Array(new SharedArrayBuffer(4));
  const workerData: WorkerData = { port, bell, taken };
  const worker = new Worker(new URL(`./parser-worker.${extension}`, import.meta.url), {
    name: 'hoop-sql-parser',
    resourceLimits: { stackSizeMb, maxOldGenerationSizeMb: WORKER_HEAP_MB },
    workerData,
    transferList: [port],
    // Nothing of this process's flags, variables or output belongs in there.
    execArgv: [],
    env: {},
  });
  return {
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
}

/** Of the processor, for the text that it has; of a thread that starts, for that. */
export async function workedMs({ worker, taken, id }: Thread): Promise<number> {
  const before = Atomics.load(taken, 0);
  if (before < 0 && id > 1) return 0;
  // One that has not started yet has no time of its own.
  const used = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (used.user + used.system) / 1000 - Math.max(before, 0);
}
