import type { FileRecord, MovedBytes } from '../../../../recording/formats/file-record.ts';
import type { Attributes } from '../../protocol/sftp/attributes.ts';
import { OPEN_FLAG, STATUS } from '../../protocol/sftp/packet-types.ts';
import { type ReorderRoom, SequentialHash } from './sequential-hash.ts';

export interface OpenedFile {
  readonly kind: 'file' | 'directory';
  /** As it was decided and sent. */
  readonly path: string;
  readonly asked: string | undefined;
  readonly at: number;
  /** pflags of OPEN; 0 for a directory. */
  readonly flags: number;
  /** When it was open; undefined: the target does not say. */
  readonly size: bigint | undefined;
}

/** One handle of the target, and what has moved through it. */
export class SftpFile {
  readonly opened: OpenedFile;
  readonly #room: ReorderRoom;
  #size: bigint | undefined;
  #read: SequentialHash | undefined;
  #readBytes = 0;
  #sawEnd = false;
  #written: SequentialHash | undefined;
  #writtenBytes = 0;
  /** Bytes of writes that the target has not answered. */
  #unanswered = 0;

  constructor(opened: OpenedFile, room: ReorderRoom) {
    this.opened = opened;
    this.#room = room;
    this.#size = opened.size;
  }

  get reads(): boolean {
    return this.opened.kind === 'file' && mayRead(this.opened.flags);
  }

  get writes(): boolean {
    return this.opened.kind === 'file' && (this.opened.flags & OPEN_FLAG.write) !== 0;
  }

  readAsked(offset: bigint): void {
    this.#read ??= new SequentialHash(offset, this.#room);
  }

  /** Data of the target on its way to the client. */
  readPiece(offset: bigint, bytes: Uint8Array): void {
    this.#readBytes += bytes.length;
    this.#read?.add(offset, bytes);
  }

  readStatus(code: number): void {
    if (code === STATUS.eof) {
      this.#sawEnd = true;
    }
  }

  /** Data of the client on its way to the target; `written` says what became of it. */
  writePiece(offset: bigint, bytes: Uint8Array): void {
    this.#written ??= new SequentialHash(this.#appends ? 0n : offset, this.#room);
    // Servers write at the end then, whatever the offset (OpenSSH's sftp-server: no lseek).
    this.#written.add(this.#appends ? this.#written.next : offset, bytes);
    this.#unanswered += bytes.length;
  }

  writeStatus(length: number, code: number): void {
    this.#unanswered -= length;
    if (code === STATUS.ok) {
      this.#writtenBytes += length;
    } else {
      this.#written?.break('a write failed');
    }
  }

  /** The target moves the bytes itself, so that there is no digest of either file. */
  copiedTo(other: SftpFile): void {
    this.#read ??= new SequentialHash(0n, this.#room);
    this.#read.break(`copied on the server to ${other.opened.path}`);
    other.#written ??= new SequentialHash(0n, other.#room);
    other.#written.break(`copied on the server from ${this.opened.path}`);
  }

  /** FSETSTAT that the target carried out. */
  attributesSet({ size }: Attributes): void {
    if (size !== undefined) {
      this.#size = size;
    }
  }

  /** @param status of CLOSE; undefined: it was never closed. The last call. */
  finish(status: number | undefined, note: string | undefined): FileRecord | undefined {
    const { kind, path, asked, at, flags } = this.opened;
    if (kind === 'directory') {
      return undefined;
    }
    if (this.#unanswered > 0) {
      this.#written?.break('the target has not answered for all of it');
    }
    return {
      at,
      operation: this.writes ? 'write' : 'read',
      path,
      ...(asked === undefined ? {} : { asked }),
      flags: flagNames(flags),
      ...(status === undefined ? {} : { status }),
      ...(this.#read === undefined ? {} : { read: this.#movedDown(this.#read) }),
      ...(this.#written === undefined ? {} : { written: this.#movedUp(this.#written) }),
      ...(note === undefined ? {} : { note }),
    };
  }

  get #appends(): boolean {
    return (this.opened.flags & OPEN_FLAG.append) !== 0;
  }

  #movedDown(hash: SequentialHash): MovedBytes {
    const digest = hash.finish();
    const ended = this.#sawEnd || (this.#size !== undefined && hash.next >= this.#size);
    const whole = 'sha256' in digest && hash.from === 0n && ended;
    return {
      bytes: this.#readBytes,
      from: Number(hash.from),
      ...digest,
      ...(whole ? { whole: true } : {}),
    };
  }

  #movedUp(hash: SequentialHash): MovedBytes {
    const digest = hash.finish();
    const whole =
      'sha256' in digest &&
      !this.#appends &&
      hash.from === 0n &&
      this.#size !== undefined &&
      hash.next >= this.#size;
    return {
      bytes: this.#writtenBytes,
      ...(this.#appends ? {} : { from: Number(hash.from) }),
      ...digest,
      ...(whole ? { whole: true } : {}),
    };
  }
}

/** Without WRITE a server opens for reading, whatever else is asked (flags_from_portable of OpenSSH). */
export function mayRead(flags: number): boolean {
  return (flags & OPEN_FLAG.read) !== 0 || (flags & OPEN_FLAG.write) === 0;
}

/** Whether the file itself may be another after OPEN, or through its handle. */
export function mayWrite(flags: number): boolean {
  return (flags & ~OPEN_FLAG.read) !== 0;
}

function flagNames(flags: number): string[] {
  return Object.entries(OPEN_FLAG).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]));
}
