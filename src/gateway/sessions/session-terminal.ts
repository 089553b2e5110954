/**
 * What the program of a run shows on its terminal, in one session: recorded on its way in, and read
 * by nobody here. The client is bound to what it may be, and who is no client of ours by the same.
 */
import type { Duplex } from 'node:stream';
import { onAbort } from '../../until.ts';

/** Of a session, in all of its terminal streams. A client of ours ends at 64 MiB. */
const MAX_BYTES = 65 << 20;

export class SessionTerminal {
  readonly #onFirst: () => void;
  #bytes = 0;

  /** @param onFirst something of it is in the recording */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
  }

  /** No more of it is taken. */
  get isFull(): boolean {
    return this.#bytes > MAX_BYTES;
  }

  /** Until the client has ended it, the session ends or there is too much of it. @returns why */
  async record(client: Duplex, ending: AbortSignal): Promise<string> {
    using _ = onAbort(ending, () => client.destroy());
    try {
      for await (const bytes of client) {
        if (this.#bytes === 0) {
          this.#onFirst();
        }
        this.#bytes += bytes.length;
        if (this.isFull) {
          return 'too much of the terminal';
        }
      }
      return 'terminal';
    } catch (error) {
      if (ending.aborted || client.errored !== null) {
        // The session ends, or the connection broke, which the stream has logged.
        return 'terminal';
      }
      throw error;
    }
  }
}
