/**
 * Bytes that the gateway has recorded as sent and that the client says have not arrived: those of a
 * connection that broke, or whose client had gone while they were on their way. No cut ever covers
 * them, so nobody waits for one; they stay in the gateway's recording, and are counted.
 */
import { CONTROL_STREAM, type StreamOffsets } from '../formats/types.ts';

export class LostBytes {
  /** What the client says has arrived, of streams that it has ended. */
  readonly #arrived = new Map<number, number>();
  /** What was sent, of streams that the gateway has ended. */
  readonly #sent = new Map<number, number>();
  readonly #lost = new Map<number, number>();
  #total = 0;

  /** Of all streams. */
  get total(): number {
    return this.#total;
  }

  /** The client has ended the stream; what it says first counts. */
  clientEnded(stream: number, down: number): void {
    if (stream !== CONTROL_STREAM && !this.#arrived.has(stream)) {
      this.#arrived.set(stream, down);
      this.#settle(stream, 0);
    }
  }

  gatewayEnded({ stream, down }: StreamOffsets): void {
    this.#sent.set(stream, down);
    this.#settle(stream, 0);
  }

  /** A cut covers these: they have arrived, whatever was said. */
  covered(streams: readonly StreamOffsets[]): void {
    for (const { stream, down } of streams) {
      if (this.#lost.has(stream)) {
        this.#settle(stream, down);
      }
    }
  }

  /** How far a cut can cover a stream. */
  confirmable(offsets: StreamOffsets): StreamOffsets {
    return { ...offsets, down: offsets.down - (this.#lost.get(offsets.stream) ?? 0) };
  }

  #settle(stream: number, covered: number): void {
    const arrived = this.#arrived.get(stream);
    const sent = this.#sent.get(stream);
    if (arrived !== undefined && sent !== undefined) {
      const lost = Math.max(0, sent - Math.max(arrived, covered));
      this.#total += lost - (this.#lost.get(stream) ?? 0);
      this.#lost.set(stream, lost);
    }
  }
}
