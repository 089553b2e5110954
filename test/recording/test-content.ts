/** Bytes that can be told from their place alone, so that a killed process's output can be checked. */
const PERIOD = 65_521;

export function contentAt(
  stream: number,
  direction: number,
  offset: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) {
    bytes[index] = ((offset + index) % PERIOD) * (2 * stream + direction + 1);
  }
  return bytes;
}
