/**
 * Cancels, those of the client and the gateway's own. A CancelRequest comes on a connection of its own,
 * so what it means is found out here: the message that is being dealt with, what is held for approval,
 * or what the target runs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { doneOrAborted } from '../../../../until.ts';
import type { Entry, PendingQueue } from '../statements/pending-queue.ts';
import type { TargetConnection } from '../target/target-connection.ts';
import type { OutputBatch } from './output-batch.ts';

/** A server that is not overloaded has read what was sent to it. */
const CANCEL_AGAIN_MS = 100;

interface Parts {
  readonly queue: PendingQueue;
  readonly target: Pick<TargetConnection, 'cancel'>;
  readonly toTarget: Pick<OutputBatch, 'flush'>;
  /** The stream is over. */
  readonly ended: AbortController;
}

export class Cancels {
  readonly #parts: Parts;
  /** A cancel is on its way to the target: what is sent now it might hit instead. */
  stopping: Promise<void> | undefined;
  /** Withdraws the statement that waits for approval, if one does: it never reaches the target. */
  #withdrawHeld: (() => void) | undefined;
  /** Offset in the up stream of the message that is being dealt with. */
  #inHandAt: number | undefined;
  /** Whoever waits for that hears of its end, and of a hold. */
  #handChanged: PromiseWithResolvers<void> | undefined;
  /** The segment of the client that was begun last, and the offset of its first message. */
  readonly #begun = { segment: -1, at: 0 };

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The message at this offset is being dealt with; undefined: it has been. */
  take(at: number | undefined): void {
    this.#inHandAt = at;
    if (at === undefined) this.#noteHand();
  }

  /** More of the message in hand has been sent: that is what a cancel waits for. */
  handedOn(): void {
    this.#noteHand();
  }

  /** The message in hand waits for approval; undefined: no longer. */
  hold(withdraw: (() => void) | undefined): void {
    this.#withdrawHeld = withdraw;
    this.#noteHand();
  }

  /**
   * A CancelRequest. It hits what it would hit directly: the first statement without an answer, if
   * the client had sent it by then, also one that has not got to the target yet. What is held never
   * reaches the target, and so its cancel does not either.
   * @param sentBefore bytes of the up stream that had been sent when the client asked.
   */
  async cancel(sentBefore = Number.POSITIVE_INFINITY): Promise<void> {
    let wasDecided = false;
    while (!this.#parts.ended.signal.aborted) {
      const isInHand = this.#inHandAt !== undefined && this.#inHandAt < sentBefore;
      if (this.#withdrawHeld !== undefined) {
        if (isInHand) this.#withdrawHeld();
        return;
      }
      const head = this.#parts.queue.find(({ origin }) => origin === 'client');
      if (head !== undefined) {
        const isLater = head.segment === this.#begun.segment && this.#begun.at >= sentBefore;
        if (!isLater) await this.#cancelAtTarget();
        if (!isLater && wasDecided) await this.#cancelAgain(head);
        return;
      }
      if (!isInHand) return;
      wasDecided = true;
      // It is being decided. A cancel that came before it would be lost, as one that comes after.
      await this.#nextHand();
    }
  }

  /** An entry was put in line for the message in hand. */
  sent({ origin, segment }: Pick<Entry, 'origin' | 'segment'>): void {
    if (origin !== 'client' || this.#begun.segment === segment) return;
    this.#begun.segment = segment;
    this.#begun.at = this.#inHandAt ?? 0;
  }

  #noteHand(): void {
    this.#handChanged?.resolve();
    this.#handChanged = undefined;
  }

  async #nextHand(): Promise<void> {
    const { signal } = this.#parts.ended;
    this.#handChanged ??= Promise.withResolvers();
    await doneOrAborted(this.#handChanged.promise, signal);
  }

  async #cancelAtTarget(): Promise<void> {
    // What is in line comes first: it may be what is meant.
    this.#parts.toTarget.flush()?.catch(() => undefined);
    const cancelled = this.#parts.target.cancel();
    this.#stop(cancelled);
    await cancelled;
  }

  /**
   * A server drops a cancel that comes before it has read the statement. Here that is likely: the
   * statement has only just been sent. With more in line the second one could hit what comes next.
   */
  async #cancelAgain(head: Entry): Promise<void> {
    await delay(CANCEL_AGAIN_MS, undefined, { signal: this.#parts.ended.signal }).catch(
      () => undefined,
    );
    const isStillFirst = this.#parts.queue.find(({ origin }) => origin === 'client') === head;
    const isAlone = this.#parts.queue.last?.segment === head.segment;
    if (isStillFirst && isAlone && !this.#parts.ended.signal.aborted) await this.#cancelAtTarget();
  }

  /** The client's next message waits for it, whatever becomes of it. */
  #stop(cancelled: Promise<void>): void {
    const over = Promise.allSettled([this.stopping, cancelled]).then(() => {
      if (this.stopping === over) this.stopping = undefined;
    });
    this.stopping = over;
  }

  /**
   * Stops a statement whose rows nobody gets any more. Only if nothing else has been sent that the
   * cancel might hit instead; the next message waits for it.
   */
  stopRunning(entry: Entry | undefined): void {
    if (this.#parts.queue.last?.segment !== entry?.segment) return;
    // When the cancel does not get through the statement runs to its end, unseen.
    this.#stop(this.#parts.target.cancel());
  }

  /** Stops what is counted for too long. Nothing that could commit has been sent behind it. */
  stopCounting(): void {
    this.#stop(this.#parts.target.cancel());
  }
}
