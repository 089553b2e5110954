/**
 * Messages that are malformed, or come while the target reads copy data: it answers them, and what
 * it does next is for it to say.
 */
import { FRONTEND } from '../../protocol/message-types.ts';
import type { Refusals } from '../refusals/refusals.ts';
import type { Entry } from '../statements/pending-queue.ts';
import { emptyMessage, malformedInstead, refusedEntry } from './malformed.ts';
import type { StreamState } from './stream-state.ts';

export class MisplacedMessages {
  readonly #state: StreamState;
  readonly #refusals: Refusals;

  constructor(state: StreamState, refusals: Refusals) {
    this.#state = state;
    this.#refusals = refusals;
  }

  /** Whether a COPY before it has been the end of this message. */
  async isSpent(type: number): Promise<boolean> {
    const { copy } = this.#state;
    if (copy.isUndecided) await this.#state.waitForTarget(() => !copy.isUndecided);
    return copy.isReading && (await this.#endsInCopy(type));
  }

  /**
   * What the target does with these in copy mode; see copy-guard.ts. Anything but Sync and Flush
   * makes the copy fail, if it has not failed before: which of the two it is only the target knows.
   * So it gets a message of the same type that it refuses in any mode.
   * @returns whether that is the end of the message.
   */
  async #endsInCopy(type: number): Promise<boolean> {
    const state = this.#state;
    const { copy } = state;
    if (type === FRONTEND.Flush) return true;
    if (type === FRONTEND.Sync) {
      copy.deferredSyncs += 1;
      return true;
    }
    if (copy.isExtended) {
      const isDue = copy.deferredSyncs > 0;
      copy.intruded(this.#refusedByTarget(emptyMessage(type)));
      if (!isDue) return true;
      // A Sync that counts ends the skipping, and then so does what came behind it.
      await state.waitForTarget(() => !copy.isUndecided);
      return copy.intruderWasTaken;
    }
    const denial = this.#refusals.byTarget();
    const entry: Entry = {
      ...refusedEntry(type),
      origin: 'own',
      segment: state.segment,
      denial,
    };
    state.send(emptyMessage(type), entry);
    state.sendSync(undefined, 'own');
    copy.intruded(entry);
    await state.waitForTarget(() => !copy.isUndecided);
    return copy.intruderWasTaken;
  }

  /** The target has words of its own for it, and what it does next is for it to say. */
  malformed(type: number, body: Uint8Array, bytes: Uint8Array): void {
    const state = this.#state;
    const message = malformedInstead(type, body) ?? bytes;
    if (type === FRONTEND.Sync) state.sendSync(bytes);
    else if (type !== FRONTEND.Query) this.#refusedByTarget(message);
    else {
      const denial = this.#refusals.byTarget();
      const { segment } = state;
      state.send(message, { ...refusedEntry(type), origin: 'client', segment, denial });
    }
  }

  /** In the extended protocol: what follows up to Sync is skipped. */
  #refusedByTarget(message: Uint8Array): Entry {
    const state = this.#state;
    const denial = this.#refusals.byTarget();
    const entry: Entry = {
      kind: 'describe',
      statement: undefined,
      portal: undefined,
      origin: 'client',
      segment: state.segment,
      denial,
    };
    state.send(message, entry);
    state.skipping = true;
    return entry;
  }
}
