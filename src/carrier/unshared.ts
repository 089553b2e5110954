/** A view of more than so many times its length would keep the rest, too, for who keeps the view. */
const LARGEST_SHARE = 4;

/** @returns the bytes, in memory that is not much more than they are. */
export function unshared(bytes: Buffer): Buffer {
  if (bytes.length * LARGEST_SHARE >= bytes.buffer.byteLength) {
    return bytes;
  }
  // Not of the pool, which is shared as well.
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
