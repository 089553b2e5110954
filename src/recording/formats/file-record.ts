/** What was done to a file on a server: at its end, so that what was moved is known. */
export interface FileRecord {
  /** Offset in the up stream of the request: of reads and writes the one that opened the file. */
  readonly at: number;
  /** `read`, `write`, `mkdir`, …: connectors/ssh/policy/types.ts. */
  readonly operation: string;
  /** Absolute and resolved, as it was sent to the target. Bytes that are no UTF-8 are U+FFFD. */
  readonly path: string;
  /** Of rename; of symlink what it leads to. */
  readonly to?: string;
  /** As the client wrote it, where that is another. */
  readonly asked?: string;
  /** Of a file that was opened: `read`, `write`, `append`, `create`, `truncate`, `exclusive`. */
  readonly flags?: readonly string[];
  /** SSH_FX_… of the target; absent: it never answered, because the channel broke. */
  readonly status?: number;
  readonly read?: MovedBytes;
  readonly written?: MovedBytes;
  /** Why it ended before its time. */
  readonly note?: string;
}

/** Bytes of one file in one direction, as far as the target gave them or said that it had them. */
export interface MovedBytes {
  readonly bytes: number;
  /** Where the first byte stands in the file; absent: they were appended. */
  readonly from?: number;
  /** Of these bytes in the order of the file, hex. Only when they follow each other without a gap. */
  readonly sha256?: string;
  /** Present when `sha256` is not. */
  readonly notHashed?: string;
  /** It is the digest of the whole file, as far as could be seen from here. */
  readonly whole?: true;
}
