/**
 * What waits for the write(2) of a turn of the event loop: a recorder collects what a turn brings,
 * writes it at once, and then what depends on it goes on, in order.
 */

/** How whoever depends on the record waits for it: the same at both ends, and in every layer. */
export interface Durable {
  /**
   * write(2) of everything before has returned when this returns; what waits for it goes on later.
   * Throws when it cannot be written: nothing may be forwarded any more.
   */
  write(): void;
  /**
   * Calls back when it has returned: at the end of this turn of the event loop, or before; never,
   * when it cannot be written.
   */
  whenWritten(forward: () => void): void;
}

export interface TurnWriter {
  /** Whether nothing has been collected. */
  readonly isEmpty: () => boolean;
  /** write(2) of what was collected. Throws, then and for ever after, when it cannot be written. */
  readonly write: () => void;
  /**
   * Told what `write` has thrown, whatever it was: what was collected is missing for ever, and the
   * session must end. More than once for one failure.
   */
  readonly onWriteFailed: (error: unknown) => void;
  /** Throws when a write or sync has failed. */
  readonly assertOpen: () => unknown;
  /** Aborted when the session must end: nothing goes on any more. */
  readonly stopped: AbortSignal;
  /** Whether there may be another stream that shares what a turn writes. */
  readonly isShared: () => boolean;
  /** What nobody waits for; after the end of a turn, when what was written has gone on. */
  readonly settle: () => void;
  /**
   * Called once, with what went wrong where something written was to go on: the record says that it
   * did. Nothing goes on any more; what happens is still written.
   */
  readonly onForwardFailed: (error: unknown) => void;
}

export class WrittenTurns implements Durable {
  readonly #writer: TurnWriter;
  #whenWritten: (() => void)[] = [];
  #isForwarding = false;
  #hasFailedToForward = false;
  #turnEnd: NodeJS.Immediate | undefined;

  constructor(writer: TurnWriter) {
    this.#writer = writer;
  }

  /**
   * Calls back, in the order of the calls, when write(2) of everything before has returned: at the
   * end of this turn of the event loop, or at the next `goOn`; at once where nothing waits, or no
   * other stream is open that could share the write. Never, when it cannot be written or the session
   * must end, nor behind one that threw. No other's callback runs here: under somebody who is in the
   * middle of sending it would send in between.
   * @param forward what it throws is for `onForwardFailed`: here it would meet another stream, or nobody
   */
  whenWritten(forward: () => void): void {
    if (!this.#writer.stopped.aborted) {
      this.afterWrite(forward);
    }
  }

  /** @throws also the reason why the session must end */
  write(): void {
    this.#writer.stopped.throwIfAborted();
    this.writeNow();
  }

  /**
   * As `write`, and what waited for it has gone on when this returns: for what ends.
   * @throws as `write`
   */
  flush(): void {
    const { stopped } = this.#writer;
    stopped.throwIfAborted();
    this.goOn();
    // What waited for it may have stopped the session.
    stopped.throwIfAborted();
  }

  /** As `whenWritten`, also when the session must end: for the recorder itself. */
  afterWrite(forward: () => void): void {
    if (this.#hasFailedToForward) {
      return;
    }
    if (this.#writer.isEmpty() && this.#whenWritten.length === 0 && !this.#isForwarding) {
      this.#forward(forward);
      return;
    }
    const isOnly = this.#whenWritten.push(forward) === 1;
    this.goOnAtTurnEnd();
    if (!this.#writer.isShared() && (isOnly || this.#isForwarding)) {
      this.#goOnQuietly();
    }
  }

  /** To be called when something was collected. */
  goOnAtTurnEnd(): void {
    this.#turnEnd ??= setImmediate(() => {
      this.#turnEnd = undefined;
      this.#goOnQuietly();
      // Behind what this has planned for the next tick: what several streams send goes out then.
      process.nextTick(() => this.#writer.settle());
    });
  }

  /** As `write`, also when the session must end. Throws as `write` of the writer. */
  writeNow(): void {
    this.#writeOut();
    this.#writer.settle();
  }

  /** As `flush`, also when the session must end. */
  goOn(): void {
    this.#goOn();
    this.#writer.settle();
  }

  /** Nothing happens at the end of this turn any more. */
  stop(): void {
    clearImmediate(this.#turnEnd);
    this.#turnEnd = undefined;
  }

  #writeOut(): void {
    if (this.#writer.isEmpty()) {
      return;
    }
    const forwards = this.#whenWritten;
    // What fails here is never written, and what waits for it never goes on.
    this.#whenWritten = [];
    try {
      this.#writer.write();
    } catch (error) {
      this.#writer.onWriteFailed(error);
      throw error;
    }
    this.#whenWritten = forwards;
  }

  #goOn(): void {
    this.#writeOut();
    // Called by what goes on: the loop below goes on with what this has written, in its order.
    while (!this.#isForwarding && this.#whenWritten.length > 0 && this.#writer.isEmpty()) {
      this.#forwardAll();
    }
  }

  #goOnQuietly(): void {
    try {
      this.#goOn();
    } catch {
      // Reported, which ends the session.
    }
  }

  #forwardAll(): void {
    const forwards = this.#whenWritten;
    this.#whenWritten = [];
    // A sync may have failed meanwhile: nothing goes on any more.
    this.#writer.assertOpen();
    this.#isForwarding = true;
    try {
      for (const forward of forwards) {
        if (!this.#hasFailedToForward) {
          this.#forward(forward);
        }
      }
    } finally {
      this.#isForwarding = false;
    }
  }

  #forward(forward: () => void): void {
    try {
      forward();
    } catch (error) {
      this.#hasFailedToForward = true;
      this.#whenWritten = [];
      this.#writer.onForwardFailed(error);
    }
  }
}
