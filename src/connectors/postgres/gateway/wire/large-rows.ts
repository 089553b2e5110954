/**
 * Where large rows are masked and searched. What detectors do with a megabyte takes between 10 ms and
 * half a second of the processor, by what is in it, and everybody else would wait meanwhile: so rows
 * that are longer than most go to a thread, within limits of time and memory, one after the other, and
 * of those that wait the one whose owner has waited longest. The same code runs there.
 */
import { ProtocolError } from '../../../../errors.ts';
import { LimitedThread } from '../../../../limited-thread.ts';
import type { ColumnMaskerOptions, MaskCounts } from '../../masking/column-masker.ts';
import type { CopyProgress } from '../../masking/copy-rewriter.ts';
import type { CopyScannerOptions } from '../../masking/copy-scanner.ts';

/** How the rows of one result are rewritten. */
export interface RunMasking {
  readonly options: ColumnMaskerOptions;
  /** client_encoding. */
  readonly encoding: string;
  /** The result is the data of a COPY. */
  readonly copy?: CopyScannerOptions;
}

/** The same without functions, as a thread can be told of it. */
export interface ToldMasking extends Omit<RunMasking, 'options'> {
  readonly options: Omit<ColumnMaskerOptions, 'isText' | 'decode'>;
  /** `isText` by OID, of the types that have been met. */
  readonly isText: ReadonlyMap<number, boolean>;
}

export interface LargeRowTask {
  /** DataRow, or CopyData with what is known of the COPY. */
  readonly message: Uint8Array;
  readonly copy?: {
    readonly progress: CopyProgress;
    readonly maxRows: number;
    readonly maxRowBytes: number;
  };
}

export type LargeRowAnswer =
  | RewrittenRow
  /** Values of these types are in it, and it has not been told whether they are text. */
  | { readonly type: 'asks'; readonly message: Uint8Array; readonly types: readonly number[] }
  | { readonly type: 'malformed'; readonly problem: string }
  /** A row of the COPY does not end within what may be collected. */
  | { readonly type: 'too-large'; readonly rowBytes: number };

export interface RewrittenRow {
  readonly type: 'rewritten';
  /** undefined: no row of the COPY has ended in it. */
  readonly message: Uint8Array | undefined;
  readonly counts: MaskCounts;
  readonly progress?: CopyProgress;
}

/**
 * Messages of up to so many bytes are rewritten where they are: some milliseconds. It is no less than
 * what a chunk of a busy target mostly has.
 */
export const LARGEST_AT_ONCE = 128 * 1024;
/** Of the processor, for one row: three times what the costliest of 64 MiB was seen to take. */
const LIMIT_MS = 60_000;
/** Of V8: a value as text, what is found in it, and the text without that. */
const HEAP_MB = 768;
const STACK_MB = 4;
/** Rows of one session: each of its connections waits for one. */
const MAX_WAITING = 1024;
/** A new thread costs a tenth of a second; an old one keeps what its last row left. */
const IDLE_MS = 10_000;
/** What is asked for the second time is a fault of ours. */
const MOST_QUESTIONS = 2;

type RewriteAnswer =
  | Exclude<LargeRowAnswer, { type: 'asks' | 'malformed' }>
  | { readonly type: 'unstarted' }
  | undefined;

export class LargeRows implements AsyncDisposable {
  readonly #thread: LimitedThread<ToldMasking, LargeRowTask, LargeRowAnswer>;
  readonly #told = new WeakMap<RunMasking, ToldMasking>();

  /** @param limitMs for tests */
  constructor(limitMs = LIMIT_MS) {
    // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#thread = new LimitedThread({
      file: new URL(`./row-worker.${extension}`, import.meta.url),
      name: 'hoop-large-rows',
      limitMs,
      heapMb: HEAP_MB,
      stackMb: STACK_MB,
      maxWaiting: MAX_WAITING,
      idleMs: IDLE_MS,
    });
  }

  /** Rows that were rewritten in the thread so far. */
  get taken(): number {
    return this.#thread.taken;
  }

  /**
   * @param owner whose turn it is
   * @param task its message may be handed over, and is not to be used any more.
   * @param left aborts when nobody waits for it any more.
   * @returns undefined: it could not be done within the limits, or nobody waits for it; `unstarted`:
   *   there is no thread to do it.
   * @throws ProtocolError as the rewriting itself.
   */
  async rewrite(
    owner: object,
    masking: RunMasking,
    task: LargeRowTask,
    left: AbortSignal,
  ): Promise<RewriteAnswer> {
    let { message } = task;
    for (let questions = 0; questions < MOST_QUESTIONS; questions += 1) {
      const own = ownMemory(message);
      const shared = this.#told.get(masking) ?? this.#tell(masking, []);
      const work = { shared, task: { ...task, message: own }, transfer: [own.buffer] };
      const answer = await this.#thread.run(owner, work, left);
      if (answer === undefined) {
        return this.#thread.cannotStart ? { type: 'unstarted' } : undefined;
      }
      if (answer.type === 'malformed') throw new ProtocolError(answer.problem);
      if (answer.type !== 'asks') return answer;
      this.#tell(masking, answer.types);
      ({ message } = answer);
    }
    return undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }

  #tell(masking: RunMasking, types: readonly number[]): ToldMasking {
    const { isText, decode: _, ...options } = masking.options;
    const before = this.#told.get(masking)?.isText ?? [];
    const met = [...types, ...options.columns.map(({ typeOid }) => typeOid)];
    const told: ToldMasking = {
      ...masking,
      // Of a view all of the memory that it is in would be told.
      options: { ...options, hashKey: Uint8Array.from(options.hashKey) },
      isText: new Map([...before, ...met.map((oid) => [oid, isText(oid)] as const)]),
    };
    this.#told.set(masking, told);
    return told;
  }
}

/** In memory that is nobody else's, so that it can be handed over. */
function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  const isAlone = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength;
  return isAlone ? new Uint8Array(buffer) : Uint8Array.from(bytes);
}
