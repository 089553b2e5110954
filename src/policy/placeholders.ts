/**
 * `[card]` and the like, which stand where a detector found something. Whoever reads a row and writes
 * it back, as mappers of objects do, would write them over the real values.
 */

const PLACEHOLDER = /\[(?:card|ssn|email|iban|jwt|cloud-key|vcs-token|private-key|url-password)\]/;
const BRACKET = 0x5b;
const LONGEST = '[private-key]'.length;

/** @returns the first that the text has. */
export function placeholderIn(text: string): string | undefined {
  return PLACEHOLDER.exec(text)?.[0];
}

/** In bytes of any encoding in which ASCII stands for itself. */
export function placeholderInBytes(bytes: Uint8Array): string | undefined {
  for (
    let at = bytes.indexOf(BRACKET);
    at !== -1 && at < bytes.length;
    at = bytes.indexOf(BRACKET, at + 1)
  ) {
    const found = placeholderIn(Buffer.from(bytes.subarray(at, at + LONGEST)).toString('latin1'));
    if (found !== undefined) return found;
  }
  return undefined;
}

const HEADER_LENGTH = 5;

/**
 * Looks through CopyData messages as they come, whole or in parts, for a placeholder in what they
 * carry: rows may be cut into messages anywhere.
 */
export class PlaceholderScanner {
  #header: number[] = [];
  /** Bytes of the message in hand that are still to come. */
  #left = 0;
  #tail = new Uint8Array(0);

  /** @returns the placeholder and, as an offset in `bytes`, the end of its message if that has come. */
  feed(
    bytes: Uint8Array,
  ): { readonly placeholder: string; readonly end: number | undefined } | undefined {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left === 0) {
        this.#header.push(bytes[at] ?? 0);
        at += 1;
        if (this.#header.length < HEADER_LENGTH) continue;
        this.#left = Buffer.from(this.#header).readUInt32BE(1) - (HEADER_LENGTH - 1);
        this.#header = [];
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      const placeholder = this.search(part);
      if (placeholder !== undefined) {
        return { placeholder, end: this.#left === 0 ? at : undefined };
      }
    }
    return undefined;
  }

  /** Of bytes without headers. */
  search(part: Uint8Array): string | undefined {
    const cut = Buffer.concat([this.#tail, part.subarray(0, LONGEST)]);
    const found = placeholderInBytes(cut) ?? placeholderInBytes(part);
    const end = part.length < LONGEST ? Buffer.concat([this.#tail, part]) : part;
    this.#tail = Uint8Array.from(end.subarray(Math.max(0, end.length - LONGEST + 1)));
    return found;
  }
}
