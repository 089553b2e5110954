/** A bundle to read from, in memory or in a file; readers take what they need and no more. */
export interface BundleSource {
  readonly size: number;
  /**
   * Exactly `length` bytes. The memory is the caller's to read for as long as it likes.
   * @throws RangeError when the bundle is shorter
   */
  read(offset: number, length: number): Uint8Array;
}

export function bytesSource(bytes: Uint8Array): BundleSource {
  return {
    size: bytes.length,
    read(offset, length) {
      if (offset + length > bytes.length) {
        throw new RangeError('read past the end of the bundle');
      }
      return bytes.subarray(offset, offset + length);
    },
  };
}
