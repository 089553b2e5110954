/** The packets that open a connection: they have a length and no type byte. */
import { ProtocolError } from '../../../errors.ts';
import { type CancelRequest, decodeCancelRequest } from './cancel-request.ts';
import { MAX_STARTUP_PACKET_LENGTH, MIN_STARTUP_PACKET_LENGTH } from './limits.ts';
import {
  CANCEL_REQUEST_CODE,
  decodeGSSENCRequest,
  decodeSSLRequest,
  GSSENC_REQUEST_CODE,
  type GSSENCRequest,
  SSL_REQUEST_CODE,
  type SSLRequest,
} from './request-codes.ts';
import { decodeStartupMessage, type StartupMessage } from './startup-message.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

export type StartupPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest;

/** @param body the packet without its length field. */
export function decodeStartupPacket(body: Uint8Array, text: TextCodec = UTF8): StartupPacket {
  if (body.length < 4) {
    throw new ProtocolError('startup packet is too short');
  }
  switch (new DataView(body.buffer, body.byteOffset).getUint32(0)) {
    case CANCEL_REQUEST_CODE:
      return decodeCancelRequest(body);
    case SSL_REQUEST_CODE:
      return decodeSSLRequest(body);
    case GSSENC_REQUEST_CODE:
      return decodeGSSENCRequest(body);
    default:
      return decodeStartupMessage(body, text);
  }
}

export interface ReadPacket {
  readonly packet: StartupPacket;
  /** The packet as it came, length included. */
  readonly bytes: Uint8Array;
  /** What followed it in the last chunk. */
  readonly rest: Uint8Array;
}

/**
 * Collects one startup packet from any split of its bytes. The length is judged as soon as its
 * four bytes are there, before anything is kept: "GET " reads as 1 195 725 856 and a TLS
 * ClientHello as 369 295 617 or so, and both are refused at once.
 */
export class StartupPacketReader {
  readonly #buffer = new Uint8Array(MAX_STARTUP_PACKET_LENGTH);
  readonly #text: TextCodec;
  #filled = 0;

  constructor(text: TextCodec = UTF8) {
    this.#text = text;
  }

  /** Bytes of the incomplete packet that are there. */
  get pending(): number {
    return this.#filled;
  }

  /**
   * @returns undefined until the packet is complete; then the reader is ready for the next one.
   * @throws ProtocolError on a length outside 8 to 10000, or a packet that is none of the four.
   */
  push(chunk: Uint8Array): ReadPacket | undefined {
    let taken = this.#take(chunk, 0, 4);
    if (this.#filled < 4) {
      return undefined;
    }
    const length = new DataView(this.#buffer.buffer).getUint32(0);
    if (length < MIN_STARTUP_PACKET_LENGTH || length > MAX_STARTUP_PACKET_LENGTH) {
      throw new ProtocolError(`startup packet length ${length} is out of range`);
    }
    taken += this.#take(chunk, taken, length);
    if (this.#filled < length) {
      return undefined;
    }
    const bytes = this.#buffer.slice(0, length);
    this.#filled = 0;
    return {
      packet: decodeStartupPacket(bytes.subarray(4), this.#text),
      bytes,
      rest: chunk.subarray(taken),
    };
  }

  /** Fills up to `target` bytes. @returns how many of the chunk were taken. */
  #take(chunk: Uint8Array, from: number, target: number): number {
    const taken = Math.max(0, Math.min(target - this.#filled, chunk.length - from));
    this.#buffer.set(chunk.subarray(from, from + taken), this.#filled);
    this.#filled += taken;
    return taken;
  }
}
