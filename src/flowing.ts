import type { Readable } from 'node:stream';

/**
 * Gives bytes to a stream whose `_read` asks nobody for them. While it flows and nothing waits in it,
 * whoever listens gets them at once, as from `push`, which besides would plan to read more: a tick, and
 * in it a search for bytes, for each chunk.
 *
 * @returns whether it takes more now, as `push`
 */
export function give(stream: Readable, bytes: Buffer): boolean {
  if (stream.readableFlowing !== true || stream.readableLength > 0) {
    return stream.push(bytes);
  }
  stream.emit('data', bytes);
  return true;
}
