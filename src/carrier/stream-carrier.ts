/**
 * What carries one stream of a session between CLI and gateway: bytes in order both ways, and an
 * end with a code from either side that the other can tell from a connection that broke. There are
 * two, a WebSocket that every proxy knows and the bare TLS connection after an upgrade of our own;
 * whoever uses one does not know which. docs/design/0045-carriers.md.
 */
import type { EventEmitter } from 'node:events';

/** The codes of RFC 6455 §7.4.1 that streams use. */
export const END_CODE = {
  /** Nothing more comes from here. */
  normal: 1000,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never sent: the connection was lost. */
  broken: 1006,
  policy: 1008,
  internalError: 1011,
} as const;

/** A close frame without a code, which only a WebSocket has. */
const NO_CODE = 1005;

export interface CarrierEvents {
  /** Bytes of the stream; a view of memory that nobody writes to again. */
  data: [bytes: Buffer];
  /** The peer has no more data, and still takes ours. Data after it break that promise. */
  halfClose: [];
  /** The peer has ended the stream: what is to be sent still has to be sent now. Not of a WebSocket. */
  ending: [];
  /** The peer sent something that is no data: a text message. Only a WebSocket can. */
  unsupported: [];
  /** Once, last: both sides have ended, with the peer's code, or the connection was lost. */
  close: [code: number];
}

export interface StreamCarrier extends EventEmitter<CarrierEvents> {
  /** Bytes may be sent. */
  readonly isOpen: boolean;
  readonly isClosed: boolean;
  readonly isPaused: boolean;
  /** Bytes that were given to `send` and are not in the kernel yet. */
  readonly unsentBytes: number;
  /**
   * Sends bytes of the stream, one part behind the other; they must not change any more.
   * @param done called when they are in the kernel, or with what prevented it.
   */
  send(parts: readonly Uint8Array[], done?: (error: Error | undefined) => void): void;
  /** No more data from here; the peer's still come. `end` has to follow some time. */
  halfClose(): void;
  /**
   * Nothing more comes from here. What the peer sent before it heard of it still arrives; `close`
   * follows when the peer has answered, or has had its time. Without effect when not open.
   */
  end(code: number): void;
  /** Cuts the connection off. */
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** An end that the peer wanted, not a failure. */
export function isOrderlyEnd(code: number): boolean {
  return code === END_CODE.normal || code === NO_CODE;
}
