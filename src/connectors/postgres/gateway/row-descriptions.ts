import { decodeRowDescription, type FieldDescription } from '../protocol/backend-messages.ts';
import { BYTES } from '../protocol/text-codec.ts';

const MAX_KEPT = 32;
const MAX_BODY_BYTES = 4096;

/**
 * The RowDescriptions of one connection. A program repeats a few statements, and many drivers ask
 * for the description each time: the same bytes say the same.
 */
export class RowDescriptions {
  readonly #known = new Map<string, readonly FieldDescription[]>();

  /** Names as Latin-1: they need not be valid in client_encoding. @throws ProtocolError */
  decode(body: Uint8Array): readonly FieldDescription[] {
    if (body.length > MAX_BODY_BYTES) {
      return decodeRowDescription(body, BYTES).fields;
    }
    const key = BYTES.decode(body);
    let fields = this.#known.get(key);
    if (fields === undefined) {
      fields = decodeRowDescription(body, BYTES).fields;
      if (this.#known.size >= MAX_KEPT) {
        this.#known.clear();
      }
      this.#known.set(key, fields);
    }
    return fields;
  }
}
