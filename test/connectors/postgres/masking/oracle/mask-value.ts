/**
 * What becomes of one masked value. The result must be valid for the column's type, or clients
 * fail to decode it; and it must never be a plausible value, because an agent would compute with
 * it. So everything that is not text becomes NULL.
 */
import { createHmac } from 'node:crypto';
import { asciiDigits } from '../../../../../src/masking/detectors/card.ts';
import type { MaskKind } from '../../../../../src/policy/types.ts';

/** The mark that stands for a masked text. */
const FULL_MASK = '****';

/** 128 bits of the digest: enough against accidental equality, short enough for a table. */
const HASH_BYTES = 16;
const HASH_CONTEXT = 'hoop/mask/v1\0';

/** Below this many characters a partial mask shows nothing: one character would be too much. */
const SHORTEST_PARTIAL = 6;
const SHORTEST_LOCAL_PART = 3;
const CARD_TAIL = 4;

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

/** Keyed, so that the few values of a column cannot be tried out; equal values stay equal. */
export function hashMask(value: Uint8Array, key: Uint8Array): string {
  const digest = createHmac('sha256', key).update(HASH_CONTEXT).update(value).digest();
  return digest.subarray(0, HASH_BYTES).toString('hex');
}

export interface MaskValueOptions {
  readonly mask: MaskKind;
  /** Whether the column's type is a plain string in text and binary format. */
  readonly isText: boolean;
  readonly key: Uint8Array;
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
      return encoder.encode(hashMask(value, options.key));
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
