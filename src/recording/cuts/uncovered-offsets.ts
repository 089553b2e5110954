/**
 * What the client could propose to agree on: of each stream what has arrived (down) and what the
 * gateway says that it has recorded (up), beyond the last cut.
 */
import { CUT_STEP_BYTES } from '../formats/chunk.ts';
import type { StreamOffsets } from '../formats/types.ts';

export interface UncoveredOffsetsOptions {
  /** Of all streams, as far as they are recorded here. */
  readonly written: () => readonly StreamOffsets[];
  /** Where a stream was at the last cut. */
  readonly covered: (stream: number) => StreamOffsets;
}

export class UncoveredOffsets {
  readonly #options: UncoveredOffsetsOptions;
  /** What the gateway has on its disk. */
  readonly #recordedUp = new Map<number, number>();
  /** Totals of streams that the gateway has ended: more will never be recorded there. */
  readonly #peerUp = new Map<number, number>();

  constructor(options: UncoveredOffsetsOptions) {
    this.#options = options;
  }

  recorded(stream: number, up: number): void {
    this.#recordedUp.set(stream, Math.max(up, this.#recordedUp.get(stream) ?? 0));
  }

  peerEnded(stream: number, up: number): void {
    this.#peerUp.set(stream, up);
  }

  /** The same streams, up only as far as the gateway says that it has them. */
  recordedOf(streams: readonly StreamOffsets[]): StreamOffsets[] {
    return streams.map(({ stream, up, down }) => {
      return { stream, up: Math.min(up, this.#recordedUp.get(stream) ?? 0), down };
    });
  }

  /** The streams that a cut can move now, and how far. */
  all(): StreamOffsets[] {
    const streams: StreamOffsets[] = [];
    for (const { stream, up, down } of this.#options.written()) {
      const covered = this.#options.covered(stream);
      const safeUp = Math.max(covered.up, Math.min(up, this.#recordedUp.get(stream) ?? 0));
      if (safeUp > covered.up || down > covered.down) {
        streams.push({ stream, up: safeUp, down });
      }
    }
    return streams;
  }

  /** The same up to the last multiple of CUT_STEP_BYTES. */
  atSteps(streams: readonly StreamOffsets[]): StreamOffsets[] {
    return streams.flatMap(({ stream, up, down }) => {
      const covered = this.#options.covered(stream);
      const steps = {
        stream,
        up: Math.max(covered.up, lastStep(up)),
        down: Math.max(covered.down, lastStep(down)),
      };
      return steps.up > covered.up || steps.down > covered.down ? [steps] : [];
    });
  }

  /** Bytes that a cut of these streams would newly cover. */
  gainOf(streams: readonly StreamOffsets[]): number {
    return streams.reduce((sum, { stream, up, down }) => {
      const covered = this.#options.covered(stream);
      return sum + up - covered.up + down - covered.down;
    }, 0);
  }

  /** Whether up bytes are on their way of which the gateway has not said that they are recorded. */
  get expectsMore(): boolean {
    return this.#options.written().some(({ stream, up }) => {
      const expected = Math.min(up, this.#peerUp.get(stream) ?? up);
      return (this.#recordedUp.get(stream) ?? 0) < expected;
    });
  }
}

function lastStep(offset: number): number {
  return Math.floor(offset / CUT_STEP_BYTES) * CUT_STEP_BYTES;
}
