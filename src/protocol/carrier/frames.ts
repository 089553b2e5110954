/**
 * The frames of the raw carrier: what is on a TLS connection after `Upgrade: hoop-stream/1`.
 *
 *   type  1 byte    0x44 'D' data, 0x45 'E' end, 0x46 'F' half-close, 0x48 'H' hello
 *   length 3 bytes  of the body, big endian
 *   body            data: 1 byte or more of the stream; end: a code, 2 bytes; others: nothing
 *
 * Data needs a frame only so that an end can be told from a connection that broke: a FIN, and in
 * TLS a close_notify, is also what a proxy sends when it gives up. The end frame carries the codes of
 * WebSocket (RFC 6455 §7.4.1), so that both carriers say the same.
 */
import { ProtocolError } from '../../errors.ts';

export const FRAME_HEADER_BYTES = 4;
/** What three bytes can say. No body of this length is ever collected: it passes in pieces. */
export const MAX_DATA_BYTES = 2 ** 24 - 1;
const END_BODY_BYTES = 2;
const MAX_CODE = 0xffff;

const TYPE = { data: 0x44, end: 0x45, halfClose: 0x46, hello: 0x48 } as const;

/** The first frame of the gateway: what comes after the reply to the upgrade arrives unchanged. */
export const HELLO: Uint8Array = Uint8Array.of(TYPE.hello, 0, 0, 0);
/** No more data from here, but the other direction goes on. */
export const HALF_CLOSE: Uint8Array = Uint8Array.of(TYPE.halfClose, 0, 0, 0);

/**
 * The header of a data frame, into memory of the caller.
 * @param length of the body, 1 to MAX_DATA_BYTES
 */
export function writeDataHeader(into: Uint8Array, length: number): void {
  if (!Number.isInteger(length) || length < 1 || length > MAX_DATA_BYTES) {
    throw new RangeError(`a data frame cannot have ${length} bytes`);
  }
  into[0] = TYPE.data;
  into[1] = length >>> 16;
  into[2] = (length >>> 8) & 0xff;
  into[3] = length & 0xff;
}

/** @param code as in a WebSocket's close frame; 1000: all is well */
export function encodeEnd(code: number): Uint8Array {
  if (!Number.isInteger(code) || code < 0 || code > MAX_CODE) {
    throw new RangeError(`an end frame cannot have code ${code}`);
  }
  return Uint8Array.of(TYPE.end, 0, 0, END_BODY_BYTES, code >>> 8, code & 0xff);
}

/** `bytes` are a view of the chunk that was fed, with its prototype: they are its owner's. */
export type CarriedItem<Chunk extends Uint8Array> =
  | { readonly kind: 'data'; readonly bytes: Chunk }
  | { readonly kind: 'half-close' }
  | { readonly kind: 'end'; readonly code: number };

/**
 * Finds the frames in one direction of a connection, without collecting any: the body of a data
 * frame goes on as the pieces that came. Pulled: `feed` a chunk, then `next` until undefined.
 */
export class FrameScanner<Chunk extends Uint8Array> {
  readonly #subarray: (chunk: Chunk, start: number, end: number) => Chunk;
  #chunk: Chunk | undefined;
  #at = 0;
  /** Bytes of a data frame that are still to come. */
  #dataLeft = 0;
  /** A header, or the end frame, of which only a part is there. */
  readonly #partial = new Uint8Array(FRAME_HEADER_BYTES + END_BODY_BYTES);
  #partialLength = 0;
  #hasEnded = false;

  /** @param subarray a view with the type of the chunk. */
  constructor(subarray: (chunk: Chunk, start: number, end: number) => Chunk) {
    this.#subarray = subarray;
  }

  feed(chunk: Chunk): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** @throws ProtocolError for a type, a length or a place in the stream that no frame may have. */
  next(): CarriedItem<Chunk> | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) {
      return undefined;
    }
    while (this.#at < chunk.length) {
      if (this.#hasEnded) {
        throw new ProtocolError('bytes after the end of a stream');
      }
      if (this.#dataLeft > 0) {
        const start = this.#at;
        const end = Math.min(chunk.length, start + this.#dataLeft);
        this.#dataLeft -= end - start;
        this.#at = end;
        return { kind: 'data', bytes: this.#subarray(chunk, start, end) };
      }
      const read = this.#readFrame(chunk);
      if (read !== undefined) {
        return read;
      }
    }
    this.#chunk = undefined;
    return undefined;
  }

  /** One byte of a header or of an end frame at a time: there are six of them at most. */
  #readFrame(chunk: Chunk): CarriedItem<Chunk> | undefined {
    const partial = this.#partial;
    partial[this.#partialLength] = chunk[this.#at] ?? 0;
    this.#partialLength += 1;
    this.#at += 1;
    if (this.#partialLength < FRAME_HEADER_BYTES) {
      return undefined;
    }
    const [type = 0, high = 0, middle = 0, low = 0, codeHigh = 0, codeLow = 0] = partial;
    const length = (high << 16) | (middle << 8) | low;
    if (type === TYPE.data && length > 0) {
      this.#dataLeft = length;
      this.#partialLength = 0;
      return undefined;
    }
    if (type === TYPE.halfClose && length === 0) {
      this.#partialLength = 0;
      return { kind: 'half-close' };
    }
    if (type !== TYPE.end || length !== END_BODY_BYTES) {
      throw new ProtocolError(`no frame of a stream has type ${type} and length ${length}`);
    }
    if (this.#partialLength < partial.length) {
      return undefined;
    }
    this.#hasEnded = true;
    return { kind: 'end', code: (codeHigh << 8) | codeLow };
  }
}
