/** @returns one view over both if `b` follows `a` in the same memory, else undefined. */
export function joinViews(a: Uint8Array, b: Uint8Array): Uint8Array | undefined {
  if (a.buffer !== b.buffer || a.byteOffset + a.byteLength !== b.byteOffset) {
    return undefined;
  }
  return new Uint8Array(a.buffer, a.byteOffset, a.byteLength + b.byteLength);
}
