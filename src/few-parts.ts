/** Parts of a write are arguments further on, which live on the stack: a hundred thousand overflow it. */
const MAX_PARTS = 1024;

/** The same bytes in not too many parts: who sends them one by one has them copied. */
export function fewParts<T extends Uint8Array>(parts: T[]): (T | Buffer)[] {
  return parts.length > MAX_PARTS ? [Buffer.concat(parts)] : parts;
}
