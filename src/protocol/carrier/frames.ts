/**
 * The frames of a stream connection: what is on a TLS connection after `Upgrade: hoop-streams/1`.
 *
 *   type    1 byte
 *   length  3 bytes  of the body, big endian
 *   stream  4 bytes  its number, big endian; 0 with hello
 *   body
 *
 *   0x48 'H' hello       nothing; the gateway's first frame
 *   0x4f 'O' open        the kind of stream in ASCII, 1 to 16 bytes; from the CLI
 *   0x41 'A' accepted    nothing
 *   0x58 'X' refused     why, UTF-8, up to 65535 bytes; counts as the gateway's end
 *   0x44 'D' data        1 byte or more of the stream
 *   0x46 'F' half-close  nothing
 *   0x45 'E' end         a code, 2 bytes, of WebSocket (RFC 6455 §7.4.1)
 *   0x57 'W' window      4 bytes: so many more bytes of data are taken
 */
import { ProtocolError } from '../../errors.ts';

export const FRAME_HEADER_BYTES = 8;
/** What three bytes can say. No body of data is ever collected: it passes in pieces. */
export const MAX_DATA_BYTES = 2 ** 24 - 1;
const MAX_REFUSAL_BYTES = 0xffff;
const MAX_KIND_BYTES = 16;
const MAX_STREAM = 0xffffffff;
const MAX_CODE = 0xffff;

const TYPE = {
  accepted: 0x41,
  data: 0x44,
  end: 0x45,
  halfClose: 0x46,
  hello: 0x48,
  open: 0x4f,
  window: 0x57,
  refused: 0x58,
} as const;

/** Lengths that a body may have, by type; all but that of data are collected. */
const LENGTHS: Readonly<Record<number, readonly [least: number, most: number]>> = {
  [TYPE.accepted]: [0, 0],
  [TYPE.data]: [1, MAX_DATA_BYTES],
  [TYPE.end]: [2, 2],
  [TYPE.halfClose]: [0, 0],
  [TYPE.open]: [1, MAX_KIND_BYTES],
  [TYPE.window]: [4, 4],
  [TYPE.refused]: [1, MAX_REFUSAL_BYTES],
};

/** The first frame of the gateway: what comes after the reply to the upgrade arrives unchanged. */
export const HELLO: Uint8Array = frame(TYPE.hello, 0, 0);

/**
 * The header of a data frame, into memory of the caller.
 * @param length of the body, 1 to MAX_DATA_BYTES
 */
export function writeDataHeader(into: Uint8Array, stream: number, length: number): void {
  if (!Number.isInteger(length) || length < 1 || length > MAX_DATA_BYTES) {
    throw new RangeError(`a data frame cannot have ${length} bytes`);
  }
  writeHeader(into, TYPE.data, stream, length);
}

/** @param kind ASCII, 1 to 16 characters */
export function encodeOpen(stream: number, kind: string): Uint8Array {
  if (!/^[\x21-\x7e]{1,16}$/.test(kind)) {
    throw new RangeError(`no stream can be of kind "${kind}"`);
  }
  const bytes = frame(TYPE.open, stream, kind.length);
  for (let at = 0; at < kind.length; at += 1) {
    bytes[FRAME_HEADER_BYTES + at] = kind.charCodeAt(at);
  }
  return bytes;
}

export function encodeAccepted(stream: number): Uint8Array {
  return frame(TYPE.accepted, stream, 0);
}

/** @param why 1 to MAX_REFUSAL_BYTES bytes */
export function encodeRefused(stream: number, why: Uint8Array): Uint8Array {
  if (why.length < 1 || why.length > MAX_REFUSAL_BYTES) {
    throw new RangeError(`a refusal cannot have ${why.length} bytes`);
  }
  const bytes = frame(TYPE.refused, stream, why.length);
  bytes.set(why, FRAME_HEADER_BYTES);
  return bytes;
}

/** No more data from here, but the other direction goes on. */
export function encodeHalfClose(stream: number): Uint8Array {
  return frame(TYPE.halfClose, stream, 0);
}

/** @param code as in a WebSocket's close frame; 1000: all is well */
export function encodeEnd(stream: number, code: number): Uint8Array {
  if (!Number.isInteger(code) || code < 0 || code > MAX_CODE) {
    throw new RangeError(`an end frame cannot have code ${code}`);
  }
  const bytes = frame(TYPE.end, stream, 2);
  bytes[FRAME_HEADER_BYTES] = code >>> 8;
  bytes[FRAME_HEADER_BYTES + 1] = code & 0xff;
  return bytes;
}

/** @param more bytes of data, 1 to 2³² - 1, beside those that were granted before */
export function encodeWindow(stream: number, more: number): Uint8Array {
  if (!Number.isInteger(more) || more < 1 || more > 0xffffffff) {
    throw new RangeError(`a window cannot grow by ${more} bytes`);
  }
  const bytes = frame(TYPE.window, stream, 4);
  writeUint32(bytes, FRAME_HEADER_BYTES, more);
  return bytes;
}

function frame(type: number, stream: number, length: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + length);
  writeHeader(bytes, type, stream, length);
  return bytes;
}

function writeHeader(into: Uint8Array, type: number, stream: number, length: number): void {
  if (!Number.isInteger(stream) || stream < 0 || stream > MAX_STREAM) {
    throw new RangeError(`a stream cannot have number ${stream}`);
  }
  into[0] = type;
  into[1] = length >>> 16;
  into[2] = (length >>> 8) & 0xff;
  into[3] = length & 0xff;
  writeUint32(into, 4, stream);
}

function writeUint32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = (value >>> 16) & 0xff;
  into[at + 2] = (value >>> 8) & 0xff;
  into[at + 3] = value & 0xff;
}

/** `bytes` of data are a view of the chunk that was fed, with its prototype: its owner's. */
export type CarriedItem<Chunk extends Uint8Array> =
  | { readonly kind: 'data'; readonly stream: number; readonly bytes: Chunk }
  | { readonly kind: 'half-close'; readonly stream: number }
  | { readonly kind: 'end'; readonly stream: number; readonly code: number }
  | { readonly kind: 'window'; readonly stream: number; readonly more: number }
  | { readonly kind: 'accepted'; readonly stream: number }
  | { readonly kind: 'refused'; readonly stream: number; readonly why: Uint8Array }
  /** `streamKind`: bytes of the peer, as Latin-1. */
  | { readonly kind: 'open'; readonly stream: number; readonly streamKind: string };

/**
 * Finds the frames in one direction of a connection, without collecting data: the body of a data
 * frame goes on as the pieces that came. Pulled: `feed` a chunk, then `next` until undefined.
 */
export class FrameScanner<Chunk extends Uint8Array> {
  readonly #subarray: (chunk: Chunk, start: number, end: number) => Chunk;
  #chunk: Chunk | undefined;
  #at = 0;
  #stream = 0;
  /** Bytes of a data frame that are still to come. */
  #dataLeft = 0;
  /** Of another frame that has not come whole: its header, then its body as well. */
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  #type = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;

  /** @param subarray a view with the type of the chunk. */
  constructor(subarray: (chunk: Chunk, start: number, end: number) => Chunk) {
    this.#subarray = subarray;
  }

  feed(chunk: Chunk): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** @throws ProtocolError for a type, a length or a number that no frame may have. */
  next(): CarriedItem<Chunk> | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) {
      return undefined;
    }
    for (;;) {
      if (this.#dataLeft > 0 && this.#at < chunk.length) {
        const start = this.#at;
        const end = Math.min(chunk.length, start + this.#dataLeft);
        this.#dataLeft -= end - start;
        this.#at = end;
        return { kind: 'data', stream: this.#stream, bytes: this.#subarray(chunk, start, end) };
      }
      const body = this.#body;
      if (body !== undefined && this.#fill(chunk, body)) {
        this.#body = undefined;
        return readItem(this.#type, this.#stream, body);
      }
      if (this.#at >= chunk.length) {
        this.#chunk = undefined;
        return undefined;
      }
      if (this.#body === undefined && this.#dataLeft === 0) {
        this.#readHeader(chunk);
      }
    }
  }

  /** @returns the body is complete */
  #fill(chunk: Chunk, body: Uint8Array): boolean {
    const end = Math.min(chunk.length, this.#at + body.length - this.#bodyLength);
    body.set(chunk.subarray(this.#at, end), this.#bodyLength);
    this.#bodyLength += end - this.#at;
    this.#at = end;
    return this.#bodyLength === body.length;
  }

  #readHeader(chunk: Chunk): void {
    if (this.#headerLength === 0 && chunk.length - this.#at >= FRAME_HEADER_BYTES) {
      this.#begin(chunk, this.#at);
      this.#at += FRAME_HEADER_BYTES;
      return;
    }
    this.#header[this.#headerLength] = chunk[this.#at] ?? 0;
    this.#headerLength += 1;
    this.#at += 1;
    if (this.#headerLength === FRAME_HEADER_BYTES) {
      this.#headerLength = 0;
      this.#begin(this.#header, 0);
    }
  }

  #begin(bytes: Uint8Array, at: number): void {
    const type = bytes[at] ?? 0;
    const length =
      ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    const stream = readUint32(bytes, at + 4);
    const [least, most] = LENGTHS[type] ?? [1, 0];
    if (length < least || length > most || stream === 0) {
      throw new ProtocolError(
        `no frame has type ${type}, length ${length} and a stream of number ${stream}`,
      );
    }
    this.#type = type;
    this.#stream = stream;
    if (type === TYPE.data) {
      this.#dataLeft = length;
    } else {
      this.#body = new Uint8Array(length);
      this.#bodyLength = 0;
    }
  }
}

function readItem(
  type: number,
  stream: number,
  body: Uint8Array,
): Exclude<CarriedItem<never>, { kind: 'data' }> {
  switch (type) {
    case TYPE.halfClose:
      return { kind: 'half-close', stream };
    case TYPE.end:
      return { kind: 'end', stream, code: ((body[0] ?? 0) << 8) | (body[1] ?? 0) };
    case TYPE.window:
      return { kind: 'window', stream, more: readUint32(body, 0) };
    case TYPE.accepted:
      return { kind: 'accepted', stream };
    case TYPE.refused:
      return { kind: 'refused', stream, why: body };
    case TYPE.open:
      return { kind: 'open', stream, streamKind: String.fromCharCode(...body) };
    default:
      throw new TypeError(`a frame of type ${type} has no body`);
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) * 0x1000000 +
    (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))
  );
}
