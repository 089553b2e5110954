/** RFC 8446 §5.1, and what Node decrypts at once: after a full record there is likely another. */
export const FULL_RECORD_BYTES = 16 * 1024;
/** What is joined at most. */
const MAX_JOINED_BYTES = 256 * 1024;

/**
 * Joins what a TLS connection delivers record by record, where the connection is another's and so
 * are its buffers (`record-arena.ts` is for one of our own). The copy costs less than what follows
 * per piece: a frame of the recording, a write to the target. Nothing waits for more: a write's last
 * record is not full, and the end of the event loop's turn delivers what is there.
 */
export class RecordJoiner {
  readonly #onBytes: (bytes: Buffer) => void;
  #records: Buffer[] = [];
  #length = 0;
  #turnEnd: NodeJS.Immediate | undefined;

  /** @param onBytes gets each byte once, in order. */
  constructor(onBytes: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
  }

  add(record: Buffer): void {
    if (this.#length === 0 && record.length < FULL_RECORD_BYTES) {
      this.#onBytes(record);
      return;
    }
    this.#records.push(record);
    this.#length += record.length;
    if (record.length < FULL_RECORD_BYTES || this.#length >= MAX_JOINED_BYTES) {
      this.deliver();
    } else {
      this.#turnEnd ??= setImmediate(() => this.deliver());
    }
  }

  /** What is there, now: the connection has ended. */
  deliver(): void {
    if (this.#turnEnd !== undefined) {
      clearImmediate(this.#turnEnd);
      this.#turnEnd = undefined;
    }
    const [first] = this.#records;
    if (first !== undefined) {
      const bytes = this.#records.length === 1 ? first : Buffer.concat(this.#records, this.#length);
      this.#records = [];
      this.#length = 0;
      this.#onBytes(bytes);
    }
  }
}
