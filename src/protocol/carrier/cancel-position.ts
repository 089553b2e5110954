/**
 * What stands behind the CancelRequest on a stream of kind `cancel`: how many bytes of the connection
 * that it is for had been sent when it came to the CLI, 8 bytes, big endian. On its way through the
 * tunnel it may be overtaken by the answer to what it was meant for and by the next statement,
 * which nobody wants cancelled; directly the way is too short for that.
 */
const CANCEL_POSITION_BYTES = 8;

/** @param sentBytes of the up stream, its StartupMessage included. */
export function encodeCancelPosition(sentBytes: number): Uint8Array {
  const bytes = Buffer.alloc(CANCEL_POSITION_BYTES);
  bytes.writeBigUInt64BE(BigInt(sentBytes));
  return bytes;
}

/** @returns undefined: it is not there, and the request is for whatever runs. */
export function decodeCancelPosition(bytes: Uint8Array): number | undefined {
  if (bytes.length < CANCEL_POSITION_BYTES) {
    return undefined;
  }
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readBigUInt64BE());
}
