import type { Duplex } from 'node:stream';
import type { Done } from './unsent-items.ts';

/** Up to this, what a turn leaves is copied into one buffer, which is cheaper than several writes. */
const LARGEST_COPY = 16 * 1024;
/** So are so many parts, whatever their size: each would be a write of its own. */
const MAX_PARTS = 1024;
/** More is written before the turn ends. */
const LARGEST_BATCH = 256 * 1024;

/** What several streams send in one go becomes one write: one TLS record and one system call. */
export class WriteBatch {
  readonly #socket: Duplex;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #dones: Done[] = [];
  #isFlushPlanned = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes that are not in the kernel yet. */
  get unsentBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** They leave together, behind what was added before. @param length of all parts */
  add(parts: readonly Uint8Array[], length: number, done?: Done): void {
    for (const part of parts) {
      this.#parts.push(part);
    }
    this.#bytes += length;
    if (done !== undefined) {
      this.#dones.push(done);
    }
    if (this.#bytes >= LARGEST_BATCH) {
      this.flush();
    } else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      process.nextTick(() => {
        this.#isFlushPlanned = false;
        this.flush();
      });
    }
  }

  flush(): void {
    const parts = this.#parts;
    const length = this.#bytes;
    if (length === 0) {
      return;
    }
    const done = joined(this.#dones);
    this.#parts = [];
    this.#bytes = 0;
    this.#dones = [];
    const socket = this.#socket;
    if (!socket.writable) {
      done?.(new Error('the connection was lost'));
    } else if (length <= LARGEST_COPY || parts.length > MAX_PARTS) {
      socket.write(Buffer.concat(parts, length), done);
    } else {
      // Corked: one write for TLS, so one run of full records and one system call.
      socket.cork();
      const last = parts.length - 1;
      for (const [at, part] of parts.entries()) {
        socket.write(part, at === last ? done : undefined);
      }
      socket.uncork();
    }
  }
}

function joined(dones: readonly Done[]): ((error?: Error | null) => void) | undefined {
  if (dones.length === 0) {
    return undefined;
  }
  return (error) => {
    for (const done of dones) {
      done(error ?? undefined);
    }
  };
}
