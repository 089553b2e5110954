/**
 * Frames one direction of sftp: chunks in, packets and runs of bytes out. Every packet begins
 *
 *   u32 length | u8 type | u32 request id (INIT, VERSION: version)
 *
 * The owner decides at these nine bytes: `whole` gives the packet when it is complete, `stream` its
 * fields first and its data as it comes (only WRITE and DATA have some), `pass` its bytes as they
 * come. So a file goes through without being collected.
 *
 * What stands behind the data of a WRITE is not passed on, as if it had never been there: OpenSSH's
 * server skips it, and Go's pkg/sftp up to 1.13.5 (rclone of Debian 12) sends all of its buffer with
 * the end of a file.
 *
 * It is pulled: `feed` one chunk, then `next` until it gives undefined. Between two items the owner
 * may wait as long as it likes.
 */
import { ProtocolError } from '../../../../errors.ts';
import { MalformedPacket } from './packet-reader.ts';
import { MAX_HANDLE_LENGTH, MAX_PACKET_LENGTH, REPLY, REQUEST } from './packet-types.ts';

export type PacketHandling = 'whole' | 'stream' | 'pass';

/** Views of the chunk that was fed, or, where a packet began in an earlier one, of a copy. */
export type SftpItem =
  | {
      readonly kind: 'packet';
      readonly type: number;
      readonly id: number;
      /** After the id. */
      readonly body: Uint8Array;
      /** From the length on. */
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'head';
      readonly type: number;
      readonly id: number;
      /** Of WRITE; of DATA empty. */
      readonly handle: Uint8Array;
      /** Of WRITE; of DATA 0. */
      readonly offset: bigint;
      /** Bytes of data that follow as items of their own; none if 0. */
      readonly dataLength: number;
      /** Everything before the data. */
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'data'; readonly bytes: Uint8Array; readonly last: boolean }
  | { readonly kind: 'pass'; readonly bytes: Uint8Array };

/** length, type, id */
const HEADER_LENGTH = 9;
/** First allocation for a packet in parts; it grows with what arrives, not with what is promised. */
const FIRST_BUFFER_LENGTH = 1024;
const EMPTY: Uint8Array = new Uint8Array(0);

export class PacketScanner {
  readonly #decide: (type: number, id: number) => PacketHandling;
  #chunk = EMPTY;
  #at = 0;
  /** Beginning of a packet that did not end in its chunk. A new one for each: its views go out. */
  #part = EMPTY;
  #partLength = 0;
  /** Bytes that are still to come of a packet whose beginning is out. */
  #left = 0;
  #leftKind: 'data' | 'pass' = 'pass';
  /** Bytes behind the data of a WRITE. */
  #surplus = 0;
  #handling: PacketHandling | undefined;

  /** @param decide once per packet; may throw to end the channel */
  constructor(decide: (type: number, id: number) => PacketHandling) {
    this.#decide = decide;
  }

  /** Whether no packet is incomplete and everything that was fed is out. */
  get atBoundary(): boolean {
    const isWhole = this.#partLength === 0 && this.#left === 0 && this.#surplus === 0;
    return isWhole && this.#at === this.#chunk.length;
  }

  /** Whether the beginning of a packet is out and its end is not: nothing may be put in between. */
  get isInside(): boolean {
    return this.#left > 0;
  }

  /** The chunk must not change until `next` has given undefined. */
  feed(chunk: Uint8Array): void {
    if (this.#at !== this.#chunk.length) {
      throw new TypeError('the previous chunk has not been read to its end');
    }
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** @throws ProtocolError on a length that is out of range, MalformedPacket on bad fields of a stream */
  next(): SftpItem | undefined {
    if (this.#left > 0) {
      return this.#rest();
    }
    this.#skipSurplus();
    if (this.#surplus > 0) {
      return undefined;
    }
    const header = this.#peek(HEADER_LENGTH);
    if (header === undefined) {
      return undefined;
    }
    const length = u32(header, 0);
    if (length < HEADER_LENGTH - 4 || length > MAX_PACKET_LENGTH) {
      throw new ProtocolError(`sftp packet length ${length} is out of range`);
    }
    const type = header[4] ?? 0;
    const id = u32(header, 5);
    this.#handling ??= this.#decide(type, id);
    switch (this.#handling) {
      case 'whole': {
        const bytes = this.#peek(4 + length);
        if (bytes === undefined) {
          return undefined;
        }
        this.#begun(bytes.length, 0, 'pass');
        return { kind: 'packet', type, id, body: bytes.subarray(HEADER_LENGTH), bytes };
      }
      case 'stream':
        return this.#head(type, id, length);
      case 'pass':
        this.#begun(HEADER_LENGTH, 4 + length - HEADER_LENGTH, 'pass');
        return { kind: 'pass', bytes: header };
    }
  }

  /** Up to the first byte of the data. */
  #head(type: number, id: number, length: number): SftpItem | undefined {
    let fieldsLength = 4;
    let handleLength = 0;
    if (type === REQUEST.write) {
      const start = this.#peek(Math.min(HEADER_LENGTH + 4, 4 + length));
      if (start === undefined) {
        return undefined;
      }
      handleLength = start.length < HEADER_LENGTH + 4 ? 0 : u32(start, HEADER_LENGTH);
      if (handleLength > MAX_HANDLE_LENGTH) {
        throw new MalformedPacket(`handle of ${handleLength} bytes is too long`);
      }
      fieldsLength = 4 + handleLength + 8 + 4;
    } else if (type !== REPLY.data) {
      throw new TypeError(`packets of type ${type} have no data to stream`);
    }
    const headLength = HEADER_LENGTH + fieldsLength;
    if (headLength > 4 + length) {
      throw new MalformedPacket('sftp packet is too short for its fields');
    }
    const bytes = this.#peek(headLength);
    if (bytes === undefined) {
      return undefined;
    }
    const dataLength = u32(bytes, headLength - 4);
    const surplus = 4 + length - headLength - dataLength;
    if (surplus < 0 || (surplus > 0 && type !== REQUEST.write)) {
      throw new MalformedPacket(
        `sftp packet of ${length} bytes cannot have ${dataLength} bytes of data`,
      );
    }
    const offset =
      type === REQUEST.write
        ? (BigInt(u32(bytes, headLength - 12)) << 32n) | BigInt(u32(bytes, headLength - 8))
        : 0n;
    const handle = bytes.subarray(HEADER_LENGTH + 4, HEADER_LENGTH + 4 + handleLength);
    this.#begun(headLength, dataLength, 'data');
    this.#surplus = surplus;
    const out = surplus === 0 ? bytes : ofLength(bytes, length - surplus);
    return { kind: 'head', type, id, handle, offset, dataLength, bytes: out };
  }

  #skipSurplus(): void {
    const taken = Math.min(this.#surplus, this.#chunk.length - this.#at);
    this.#at += taken;
    this.#surplus -= taken;
  }

  #rest(): SftpItem | undefined {
    const taken = Math.min(this.#left, this.#chunk.length - this.#at);
    if (taken === 0) {
      return undefined;
    }
    const bytes = this.#chunk.subarray(this.#at, this.#at + taken);
    this.#at += taken;
    this.#left -= taken;
    return this.#leftKind === 'data'
      ? { kind: 'data', bytes, last: this.#left === 0 }
      : { kind: 'pass', bytes };
  }

  /** The first bytes of the packet are out: so many, and so many are still to come. */
  #begun(length: number, left: number, kind: 'data' | 'pass'): void {
    if (this.#partLength === 0) {
      this.#at += length;
    }
    this.#part = EMPTY;
    this.#partLength = 0;
    this.#handling = undefined;
    this.#left = left;
    this.#leftKind = kind;
  }

  /** @returns the first so many bytes of the packet, or undefined as long as they are not there */
  #peek(length: number): Uint8Array | undefined {
    const there = this.#chunk.length - this.#at;
    if (this.#partLength === 0 && there >= length) {
      return this.#chunk.subarray(this.#at, this.#at + length);
    }
    const taken = Math.min(length - this.#partLength, there);
    if (taken > 0) {
      this.#collect(this.#chunk.subarray(this.#at, this.#at + taken), length);
      this.#at += taken;
    }
    return this.#partLength < length ? undefined : this.#part.subarray(0, length);
  }

  #collect(bytes: Uint8Array, wanted: number): void {
    const filled = this.#partLength + bytes.length;
    if (filled > this.#part.length) {
      const room = Math.min(
        Math.max(wanted, HEADER_LENGTH + 4),
        Math.max(filled, this.#part.length * 2, FIRST_BUFFER_LENGTH),
      );
      const grown = new Uint8Array(room);
      grown.set(this.#part.subarray(0, this.#partLength));
      this.#part = grown;
    }
    this.#part.set(bytes, this.#partLength);
    this.#partLength = filled;
  }
}

/** @param head a packet's beginning, which stays as it is */
function ofLength(head: Uint8Array, length: number): Uint8Array {
  const made = Uint8Array.from(head);
  new DataView(made.buffer).setUint32(0, length);
  return made;
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) * 0x1000000 +
    (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))
  );
}
