/**
 * A simple Query with statements whose rows are counted. It goes to the target as a pipeline of the
 * extended protocol, whose Sync, the commit, is sent when all of it is counted:
 *
 *   Query ─▶ Parse, Bind, Describe, Execute, Flush ─▶ counted ─▶ Sync
 *
 * That is one implicit transaction, as a Query is one. Its last CommandComplete leaves when the
 * commit has succeeded, as that of a Query does.
 */
import { runEnded } from '../statements/confirmations.ts';
import type { Run } from '../statements/run.ts';
import type { StreamState } from '../wire/stream-state.ts';

export interface EndedRun {
  readonly run: Run;
  readonly tag: string;
  /** What the client gets: rows, and what ends them. */
  readonly rows: Uint8Array;
  readonly end: Uint8Array;
}

export class CountedQuery {
  /** Of the pipeline that it is sent as. */
  readonly segment: number;
  readonly #state: StreamState;
  /** Characters of the text before the statement that was sent last, where each is sent by itself. */
  before = 0;
  /** Statements that have not been answered. */
  #left: number;
  #last: EndedRun | undefined;
  #isClosing = false;

  constructor(state: StreamState, statements: number) {
    this.#state = state;
    this.segment = state.segment;
    this.#left = statements;
  }

  /** Its Sync has not been sent: more of it may run. */
  get isOpen(): boolean {
    return !this.#isClosing;
  }

  /** A statement has run, and may be committed. @returns what the client gets now. */
  ran(ended: EndedRun): Uint8Array | undefined {
    this.#left -= 1;
    if (this.#left > 0) {
      runEnded(this.#state, ended.run, ended);
      return Buffer.concat([ended.rows, ended.end]);
    }
    this.#last = ended;
    this.#close();
    return ended.rows;
  }

  /** An error has come, or will: Sync ends what the target skips. */
  failed(): void {
    this.#close();
  }

  #close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#state.sendSync(undefined, 'client', this);
    this.#state.releaseSoon();
  }

  /** The commit has failed: an error takes the place of what was to come. */
  commitFailed(sqlState: string): void {
    if (this.#last !== undefined) runEnded(this.#state, this.#last.run, { sqlState });
    this.#last = undefined;
  }

  /** A Query leaves no unnamed statement, nor portal. */
  gone(): void {
    const { trials, statements, portals } = this.#state;
    statements.delete('');
    portals.delete('');
    if (trials.query === this) trials.query = undefined;
  }

  /** ReadyForQuery has come. @returns what the client gets before it. */
  ready(): Uint8Array | undefined {
    this.gone();
    return this.committed();
  }

  /** @returns the end of its last statement, which the client gets now. */
  committed(): Uint8Array | undefined {
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined) return undefined;
    runEnded(this.#state, last.run, last);
    return last.end;
  }
}
