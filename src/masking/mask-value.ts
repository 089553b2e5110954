/**
 * What becomes of one masked value. The result must be valid for the column's type, or clients
 * fail to decode it; and it must never be a plausible value, because an agent would compute with
 * it. So everything that is not text becomes NULL.
 */
import { hash } from 'node:crypto';
import type { MaskKind } from '../policy/types.ts';
import { asciiDigits } from './detectors/card.ts';

/** The mark that stands for a masked text. */
export const FULL_MASK = '****';

/** 128 bits of the digest: enough against accidental equality, short enough for a table. */
const HASH_BYTES = 16;
const HASH_CONTEXT = 'hoop/mask/v1\0';

/** Below this many characters a partial mask shows nothing: one character would be too much. */
export const SHORTEST_PARTIAL = 6;
export const SHORTEST_LOCAL_PART = 3;
export const CARD_TAIL = 4;
export const LONGEST_TOP_LEVEL_DOMAIN = 24;

/**
 * Partial mask of a text. What it shows, and nothing else:
 * - e-mail address: first character of the local part (if it has at least three) and the
 *   top-level domain: `a***@***.example`;
 * - 13 to 19 digits with spaces or dashes: the last four: `****6467`;
 * - anything else of at least six characters: the first: `J***`.
 */
export function partialMask(text: string): string {
  const address = /^([^\s@]+)@[^\s@]*?(\.\p{L}{2,24})$/u.exec(text.trim());
  if (address !== null) {
    const local = [...(address[1] ?? '')];
    return `${local.length < SHORTEST_LOCAL_PART ? '' : local[0]}***@***${address[2]}`;
  }
  if (/^[\p{Nd}\s-]+$/u.test(text)) {
    const digits = asciiDigits(text.replace(/[^\p{Nd}]/gu, ''));
    if (digits.length >= 13 && digits.length <= 19) return `****${digits.slice(-CARD_TAIL)}`;
  }
  const characters = [...text];
  return characters.length < SHORTEST_PARTIAL ? FULL_MASK : `${characters[0]}***`;
}

const HASH_BLOCK = 64;
/**
 * Keyed, so that the few values of a column cannot be tried out; equal values stay equal. HMAC-SHA-256
 * (RFC 2104) by two calls of one function each, which cost a seventh of `createHmac`.
 */
export class HashMask {
  /** Key and context, and room for the value behind them. */
  #inner: Buffer;
  readonly #innerHead: number;
  readonly #outer = Buffer.alloc(HASH_BLOCK + 32);

  constructor(key: Uint8Array) {
    const block = Buffer.alloc(HASH_BLOCK);
    block.set(key.length > HASH_BLOCK ? hash('sha256', key, 'buffer') : key);
    const context = Buffer.from(HASH_CONTEXT, 'latin1');
    this.#innerHead = HASH_BLOCK + context.length;
    this.#inner = Buffer.alloc(this.#innerHead + 256);
    for (let index = 0; index < HASH_BLOCK; index += 1) {
      this.#inner[index] = (block[index] ?? 0) ^ 0x36;
      this.#outer[index] = (block[index] ?? 0) ^ 0x5c;
    }
    this.#inner.set(context, HASH_BLOCK);
  }

  of(value: Uint8Array): string {
    return this.ofBytes(value, 0, value.length);
  }

  /** In hexadecimal, of `HASH_BYTES`. */
  ofBytes(bytes: Uint8Array, start: number, end: number): string {
    const length = this.#innerHead + end - start;
    if (length > this.#inner.length) {
      const larger = Buffer.alloc(length);
      larger.set(this.#inner.subarray(0, this.#innerHead));
      this.#inner = larger;
    }
    this.#inner.set(bytes.subarray(start, end), this.#innerHead);
    this.#outer.set(hash('sha256', this.#inner.subarray(0, length), 'buffer'), HASH_BLOCK);
    return hash('sha256', this.#outer, 'hex').slice(0, 2 * HASH_BYTES);
  }
}

export interface MaskValueOptions {
  readonly mask: MaskKind;
  /** Whether the column's type is a plain string in text and binary format. */
  readonly isText: boolean;
  readonly hash: HashMask;
  /** Decodes the column's bytes; undefined result: not decodable, nothing of it is shown. */
  readonly decode: (value: Uint8Array) => string | undefined;
}

const encoder = new TextEncoder();
const FULL_MASK_BYTES = encoder.encode(FULL_MASK);

/** @returns what to send for `value`, in the column's own format; null = NULL. */
export function maskValue(value: Uint8Array, options: MaskValueOptions): Uint8Array | null {
  if (!options.isText || options.mask === 'null') return null;
  switch (options.mask) {
    case 'full':
      return FULL_MASK_BYTES;
    case 'hash':
      return encoder.encode(options.hash.of(value));
    case 'partial': {
      const text = options.decode(value);
      if (text === undefined) return FULL_MASK_BYTES;
      const masked = partialMask(text);
      // Only the first character can be beyond ASCII, and then it may not exist in client_encoding.
      return /^[\x20-\x7e]*$/.test(masked) ? encoder.encode(masked) : encodeTail(masked);
    }
  }
}

function encodeTail(masked: string): Uint8Array {
  return encoder.encode(masked.replace(/[^\x20-\x7e]/gu, '*'));
}
