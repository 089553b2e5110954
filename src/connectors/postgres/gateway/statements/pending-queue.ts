/**
 * The messages that were sent to the target and are not answered yet, in order. The protocol has
 * no request numbers: an answer belongs to the head of this queue, and that is how the gateway
 * knows whose it is.
 */

import { onAbort } from '../../../../until.ts';
import type { FieldDescription } from '../../protocol/backend-messages.ts';
import type { CountedQuery } from '../counted/counted-query.ts';
import type { RowTrial } from '../counted/row-trial.ts';
import type { Denial } from '../refusals/denial.ts';
import { StreamEnded } from '../wire/stream-ended.ts';
import type { KnownPortal, KnownStatement } from './known-statement.ts';
import type { Run } from './run.ts';
import { type StatementAccount, statementBytes } from './statement-memory.ts';

/**
 * Messages that may be unanswered at one time, and what may be kept of them. What is in line takes
 * memory, and a client can send a Sync in five bytes; real pipelines have some hundreds.
 */
const MAX_PENDING = 20_000;
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** What has to do with counting rows in an Execute. */
export interface CountedExecution {
  /** Absent: a statement beside those that are counted. */
  readonly trial?: RowTrial;
  /** The portal has run before, and what is left of its result is here. */
  readonly isContinued?: boolean;
  /** Of the client's Execute; 0 or less: no limit. */
  readonly maxRows: number;
  readonly query: CountedQuery | undefined;
}

interface EntryBase {
  /**
   * `client`: of the client; the answer goes on. `aside`: of the gateway's own within the client's
   * segment; the answer is withheld, but an error ends the client's segment too. `own`: of the
   * gateway with a Sync of its own; nothing of it reaches the client.
   */
  readonly origin: 'client' | 'aside' | 'own';
  /** Messages up to the next Sync or Query share it: if one fails, the target skips the others. */
  readonly segment: number;
  /** Characters of the client's text that stand before what was sent: errors say where they are in all of it. */
  readonly before?: number;
  readonly denial?: Denial;
}

export interface ParseEntry extends EntryBase {
  readonly kind: 'parse';
  readonly name: string;
  readonly statement: KnownStatement | undefined;
}
export interface BindEntry extends EntryBase {
  readonly kind: 'bind';
  readonly name: string;
  readonly portal: KnownPortal | undefined;
}
export interface DescribeEntry extends EntryBase {
  readonly kind: 'describe';
  /** What the description teaches; both undefined: a name that is not known. */
  readonly statement: KnownStatement | undefined;
  readonly portal: KnownPortal | undefined;
  /** Of a simple Query: that there are no columns is not said. */
  readonly isOfQuery?: boolean;
  /** Takes the description that the gateway itself has asked for. */
  readonly onFields?: (fields: readonly FieldDescription[]) => void;
}
export interface ExecuteEntry extends EntryBase {
  readonly kind: 'execute';
  /** undefined for a denial and for the gateway's own. */
  readonly run: Run | undefined;
  /** Takes the rows of the gateway's own Execute. */
  readonly onRow?: (dataRow: Uint8Array) => void;
  /** It has ended without an error; there may have been no row. */
  readonly onEnd?: () => void;
  readonly counted?: CountedExecution;
}
export interface CloseEntry extends EntryBase {
  readonly kind: 'close';
  readonly what: 'statement' | 'portal';
  readonly name: string;
}
export interface SyncEntry extends EntryBase {
  readonly kind: 'sync';
  readonly completes?: CountedQuery | undefined;
}
export interface QueryEntry extends EntryBase {
  readonly kind: 'query';
  /** One per statement of the text. */
  readonly runs: readonly Run[];
  /** Index of the statement that is being answered. */
  current: number;
  failed: boolean;
}
export interface FunctionCallEntry extends EntryBase {
  readonly kind: 'function-call';
}

export type Entry =
  | ParseEntry
  | BindEntry
  | DescribeEntry
  | ExecuteEntry
  | CloseEntry
  | SyncEntry
  | QueryEntry
  | FunctionCallEntry;

interface Waiter {
  readonly isDone: () => boolean;
  readonly resolve: () => void;
}

export class PendingQueue {
  #entries: Entry[] = [];
  #head = 0;
  /** Of statements, and of values that are bound and kept. */
  #bytes = 0;
  /** The answer to a message that is no longer in line is not dealt with yet. */
  #keepsAnswer = false;
  #waiters: Waiter[] = [];
  readonly #ended: AbortSignal;
  readonly #memory: Pick<StatementAccount, 'add' | 'drop' | 'take'>;

  constructor(ended: AbortSignal, memory: Pick<StatementAccount, 'add' | 'drop' | 'take'>) {
    this.#ended = ended;
    this.#memory = memory;
  }

  /** No more should be sent before some answers have come. */
  get isFull(): boolean {
    return this.length >= MAX_PENDING || this.#bytes >= MAX_PENDING_BYTES;
  }

  /** Messages whose answers are not there, or not dealt with. */
  get length(): number {
    return this.#entries.length - this.#head + (this.#keepsAnswer ? 1 : 0);
  }

  get head(): Entry | undefined {
    return this.#entries[this.#head];
  }

  get last(): Entry | undefined {
    return this.#head === this.#entries.length ? undefined : this.#entries.at(-1);
  }

  /** The first of those without an answer that fits. */
  find(fits: (entry: Entry) => boolean): Entry | undefined {
    for (let at = this.#head; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at];
      if (entry !== undefined && fits(entry)) return entry;
    }
    return undefined;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#count(entry, 1);
  }

  shift(): void {
    this.#dropTo(this.#head + 1);
  }

  /**
   * Takes out everything before the next Sync: after an error in the extended protocol the target
   * skips it, a Query included.
   * @returns what was skipped, and whether the Sync has been sent.
   */
  skipToSync(): { readonly skipped: readonly Entry[]; readonly foundSync: boolean } {
    let sync = this.#head;
    while (sync < this.#entries.length && this.#entries[sync]?.kind !== 'sync') sync += 1;
    const skipped = this.#entries.slice(this.#head, sync);
    const foundSync = sync < this.#entries.length;
    this.#dropTo(sync);
    return { skipped, foundSync };
  }

  /** Takes out one that will not be answered. */
  remove(entry: Entry): void {
    const at = this.#entries.indexOf(entry, this.#head);
    if (at === -1) return;
    this.#entries.splice(at, 1);
    this.#count(entry, -1);
  }

  /**
   * What has come has to wait: until then whoever waits for all answers waits for it, too.
   * @returns to be called once it is dealt with
   */
  keepAnswer(): () => void {
    this.#keepsAnswer = true;
    return () => {
      this.#keepsAnswer = false;
      this.notify();
    };
  }

  /** Amortised: what is in front of the head is dropped when it is the larger part. */
  #dropTo(head: number): void {
    while (this.#head < head) {
      const entry = this.#entries[this.#head];
      if (entry !== undefined) this.#count(entry, -1);
      this.#head += 1;
    }
    if (head > 64 && head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(head);
      this.#head = 0;
    }
  }

  #count(entry: Entry, by: 1 | -1): void {
    const { statements, bytes } = keptBy(entry);
    for (const statement of statements) {
      this.#bytes += by * statementBytes(statement);
      if (by > 0) this.#memory.add(statement);
      else this.#memory.drop(statement);
    }
    if (bytes === 0) return;
    this.#bytes += by * bytes;
    this.#memory.take(by * bytes);
  }

  /** Call after every answer; wakes those whose condition has come true. */
  notify(): void {
    if (this.#waiters.length === 0) return;
    const done = this.#waiters.filter((waiter) => waiter.isDone());
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.resolve();
  }

  /** @throws StreamEnded when the stream is over first. */
  async wait(isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    if (this.#ended.aborted) throw new StreamEnded('the stream is over');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    using _ = onAbort(this.#ended, () => reject(new StreamEnded('the stream is over')));
    this.#waiters.push({ isDone, resolve });
    await promise;
  }
}

const NOTHING = { statements: [], bytes: 0 };

/** Of what is bound or run the statement came before, in line or by name, and counts there. */
function keptBy(entry: Entry): {
  readonly statements: readonly KnownStatement[];
  readonly bytes: number;
} {
  switch (entry.kind) {
    case 'parse':
      return entry.statement ? { statements: [entry.statement], bytes: 0 } : NOTHING;
    case 'query':
      return { statements: entry.runs.map(({ statement }) => statement), bytes: 0 };
    case 'bind':
      return { statements: [], bytes: entry.portal?.bound?.bytes.length ?? 0 };
    default:
      return NOTHING;
  }
}
