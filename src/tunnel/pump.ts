import type { Readable, Writable } from 'node:stream';

/**
 * Moves bytes from one stream to the other, no faster than the other takes them, and leaves both
 * open: `pipeline` would destroy the client's socket when the tunnel breaks, and with it the only
 * way to tell the client why.
 *
 * @param onChunk sees each chunk before it is written; what it throws ends the pump.
 * @returns when `from` has ended and all is written; rejects when either fails.
 */
export function pump(
  from: Readable,
  to: Writable,
  onChunk: (chunk: Buffer) => void = () => undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    try {
      onChunk(chunk);
    } catch (error) {
      stop(error);
      return;
    }
    if (!to.writable) {
      stop(new ClosedStreamError());
    } else if (!to.write(chunk)) {
      from.pause();
    }
  };
  const onDrain = (): void => {
    from.resume();
  };
  const onEnd = (): void => stop();
  const onFailure = (error: unknown): void => stop(error);
  const onClose = (): void => stop(from.readableEnded ? undefined : new ClosedStreamError());
  const stop = (error?: unknown): void => {
    from.off('data', onData).off('end', onEnd).off('error', onFailure).off('close', onClose);
    to.off('drain', onDrain).off('error', onFailure).off('close', onClose);
    from.pause();
    if (error === undefined) {
      resolve();
    } else {
      reject(error);
    }
  };
  if (from.readableEnded) {
    return Promise.resolve();
  }
  if (from.destroyed || to.destroyed) {
    return Promise.reject(from.errored ?? to.errored ?? new ClosedStreamError());
  }
  to.on('drain', onDrain).on('error', onFailure).on('close', onClose);
  from.on('end', onEnd).on('error', onFailure).on('close', onClose).on('data', onData);
  from.resume();
  return promise;
}

/** A stream was closed before its end; who closed it knows why. */
class ClosedStreamError extends Error {
  constructor() {
    super('the stream was closed');
    this.name = 'ClosedStreamError';
  }
}
