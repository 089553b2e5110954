/** Frames on their way to the client. */
import type { Duplex } from 'node:stream';
import { ProtocolError } from '../../../errors.ts';
import type { DownFrame } from '../protocol/frame.ts';
import { SshFrameBatch } from '../shared/ssh-frame-batch.ts';

/**
 * Bytes that a client may leave unread. The target is not read any more long before; what is left
 * are answers to what the client itself goes on sending.
 */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

export class FrameWriter {
  readonly #client: Duplex;
  readonly #batch: SshFrameBatch;

  /**
   * @param on `full`: the client reads slowly, nothing more until `drain` of it; `fault`: of ours,
   *   outside of any call
   */
  constructor(
    client: Duplex,
    on: { readonly full: () => void; readonly fault: (error: unknown) => void },
  ) {
    this.#client = client;
    this.#batch = new SshFrameBatch(client, {
      onWritten: (hasRoom) => {
        if (!hasRoom) on.full();
      },
      onFault: on.fault,
    });
  }

  /**
   * Leaves at the end of this turn of the event loop or before. Data must not change any more.
   * @throws ProtocolError when the client sends and does not read.
   */
  write(frame: DownFrame): void {
    if (!this.#client.writable) {
      return;
    }
    this.#batch.add(frame);
    if (this.#client.writableLength > MAX_UNREAD_BYTES) {
      throw new ProtocolError('the client does not read what it asks for');
    }
  }

  /** What has been written leaves now: the stream is about to end. */
  flush(): void {
    this.#batch.flush();
  }
}
