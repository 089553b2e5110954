/** Frames on their way to the client: those of one turn of the event loop leave together. */
import type { Duplex } from 'node:stream';
import { ProtocolError } from '../../errors.ts';
import { encodeFrame } from '../../protocol/ssh/encode-frame.ts';
import type { DownFrame } from '../../protocol/ssh/frame.ts';

/**
 * Bytes that a client may leave unread. The target is not read any more long before; what is left
 * are answers to what the client itself goes on sending.
 */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

export class FrameWriter {
  readonly #client: Duplex;
  readonly #onFull: () => void;
  #isCorked = false;

  /** @param onFull the client reads slowly: nothing more until `drain` of it. */
  constructor(client: Duplex, onFull: () => void) {
    this.#client = client;
    this.#onFull = onFull;
  }

  /** @throws ProtocolError when the client sends and does not read. */
  write(frame: DownFrame): void {
    const client = this.#client;
    if (!client.writable) {
      return;
    }
    if (!this.#isCorked) {
      this.#isCorked = true;
      client.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        client.uncork();
      });
    }
    for (const part of encodeFrame(frame)) {
      client.write(part);
    }
    if (client.writableNeedDrain) {
      this.#onFull();
    }
    if (client.writableLength > MAX_UNREAD_BYTES) {
      throw new ProtocolError('the client does not read what it asks for');
    }
  }
}
