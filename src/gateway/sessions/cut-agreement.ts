/** How far the two recordings of a session have been agreed on, and when that is everything. */
import type { StreamOffsets } from '../../recording/formats/types.ts';
import { doneOrAborted } from '../../until.ts';

export interface RecordedOffsets {
  /** Of every stream there was, the control channel's included. */
  readonly streams: () => Iterable<number>;
  readonly offsets: (stream: number) => StreamOffsets;
}

export class CutAgreement {
  readonly #recorded: RecordedOffsets;
  readonly #agreed = new Map<number, StreamOffsets>();
  #complete: (() => void) | undefined;

  constructor(recorded: RecordedOffsets) {
    this.#recorded = recorded;
  }

  /** A cut with these offsets was countersigned. */
  add(streams: readonly StreamOffsets[]): void {
    for (const offsets of streams) {
      this.#agreed.set(offsets.stream, offsets);
    }
    this.changed();
  }

  /** Less can be agreed on than was recorded: something has been lost. */
  changed(): void {
    if (this.#complete !== undefined && this.#coversEverything()) {
      this.#complete();
    }
  }

  /** Resolves when a cut covers all that is recorded, or the signal aborts. */
  async complete(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#coversEverything()) {
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#complete = resolve;
    await doneOrAborted(promise, signal);
  }

  #coversEverything(): boolean {
    return [...this.#recorded.streams()].every((stream) => {
      const { up, down } = this.#recorded.offsets(stream);
      const agreed = this.#agreed.get(stream);
      return (agreed?.up ?? 0) >= up && (agreed?.down ?? 0) >= down;
    });
  }
}
