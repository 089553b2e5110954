import { randomBytes } from 'node:crypto';

/** Crockford's alphabet: nothing that can be misread or spells words. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_LENGTH = 12;

/** Of what people name in commands: requests, grants, blocks. 60 random bits; `APPROVAL_ID` matches it. */
export function shortId(): string {
  return Array.from(randomBytes(ID_LENGTH), (byte) => ALPHABET[byte % 32]).join('');
}
