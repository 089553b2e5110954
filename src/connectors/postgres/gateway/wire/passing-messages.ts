/**
 * The client's messages that are not collected: copy data, and what is too large. The scanner gives
 * neighbours out as one run of bytes; this cuts the run where the messages end.
 */
export interface PassingPart {
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Of its message, without type and length; of several messages, of all with their headers. */
  readonly bodyLength: number;
  /** The bytes are the first, the last of their message (of copy data: of several messages). */
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

const HEADER_LENGTH = 5;

interface Announced {
  readonly type: number;
  readonly joins: boolean;
  length: number;
  left: number;
}

export class PassingMessages {
  #announced: Announced[] = [];

  /**
   * At the header of a message.
   * @param length of all of it, in bytes.
   * @param joins neighbours of this type may come as one part.
   */
  announce(type: number, length: number, joins: boolean): void {
    const last = this.#announced.at(-1);
    if (joins && last?.joins && last.type === type) {
      last.length += length;
      last.left += length;
    } else this.#announced.push({ type, joins, length, left: length });
  }

  take(bytes: Uint8Array): readonly PassingPart[] {
    const parts: PassingPart[] = [];
    for (let at = 0; at < bytes.length; ) {
      const [message] = this.#announced;
      if (message === undefined) throw new TypeError('bytes of a message that was not announced');
      const part = bytes.subarray(at, at + message.left);
      const isFirst = message.left === message.length;
      message.left -= part.length;
      at += part.length;
      const isLast = message.left === 0;
      if (isLast) this.#announced.shift();
      const bodyLength = message.length - HEADER_LENGTH;
      parts.push({ type: message.type, bytes: part, bodyLength, isFirst, isLast });
    }
    return parts;
  }
}
