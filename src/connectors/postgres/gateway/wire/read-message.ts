import type { Readable } from 'node:stream';
import { HoopError } from '../../../../errors.ts';
import { readExactly } from './read-exactly.ts';

/** A message of the server before its first ReadyForQuery; the longest is an error with its context. */
const MAX_LOGIN_MESSAGE = 64 * 1024;

/**
 * One message, and nothing of what follows it.
 * @throws HoopError HOOP_TARGET_UNREACHABLE when the stream ends, or is no PostgreSQL; or the
 *   signal's reason.
 */
export async function readMessage(
  stream: Readable,
  signal: AbortSignal,
): Promise<{ readonly type: number; readonly body: Uint8Array }> {
  const header = await readExactly(stream, 5, signal);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const length = view.getUint32(1);
  if (length < 4 || length > MAX_LOGIN_MESSAGE) {
    throw new HoopError(
      'HOOP_TARGET_UNREACHABLE',
      'the target does not speak the PostgreSQL protocol',
    );
  }
  return { type: view.getUint8(0), body: await readExactly(stream, length - 4, signal) };
}
