import type { Readable } from 'node:stream';
import { HoopError } from '../../../../errors.ts';
import { onAbort } from '../../../../until.ts';

/**
 * Reads `length` bytes and not one more, so that what follows stays in the stream for the next
 * reader (TLS, the relay).
 * @throws HoopError HOOP_TARGET_UNREACHABLE when the stream ends first; or the signal's reason.
 */
export async function readExactly(
  stream: Readable,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  for (;;) {
    signal.throwIfAborted();
    const chunk: unknown = stream.read(length);
    if (chunk instanceof Uint8Array) {
      if (chunk.length === length) return chunk;
      throw ended();
    }
    if (stream.destroyed || stream.readableEnded) throw ended(stream.errored);
    await readable(stream, signal);
  }
}

async function readable(stream: Readable, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  stream.on('readable', wake).on('end', wake).on('close', wake).on('error', wake);
  using _ = onAbort(signal, wake);
  await promise;
  stream.off('readable', wake).off('end', wake).off('close', wake).off('error', wake);
}

function ended(cause?: unknown): HoopError {
  return new HoopError('HOOP_TARGET_UNREACHABLE', 'the target closed the connection', { cause });
}
