/**
 * One authenticated local connection and its tunnel stream: bytes both ways until either ends.
 * The bytes are not changed. They are looked at only to learn the cancel key, and to know whether
 * a message is complete: if the tunnel breaks then, the client can still be told why.
 */
import type { Socket } from 'node:net';
import { HoopError } from '../../../errors.ts';
import { closeGently } from '../../../tunnel/close-gently.ts';
import { type Tunnel, whileHalfClosed } from '../../../tunnel/half-close.ts';
import { pump } from '../../../tunnel/pump.ts';
import { decodeBackendKeyData } from '../protocol/backend-messages.ts';
import { MAX_CANCEL_KEY_LENGTH } from '../protocol/limits.ts';
import { MessageScanner } from '../protocol/message-scanner.ts';
import { BACKEND, FRONTEND } from '../protocol/message-types.ts';
import type { LocalCancelKeys } from './local-cancel-keys.ts';
import { fatalResponse } from './local-error-response.ts';

/** A type and a length; clients send it by itself. */
const TERMINATE_LENGTH = 5;
/** After the client has gone, the gateway has this long to end the stream. */
const END_WITHIN_MS = 10_000;

export async function relayConnection(connection: {
  readonly socket: Socket;
  readonly tunnel: Tunnel;
  readonly cancelKeys: LocalCancelKeys;
  /** Of the StartupMessage, which has been sent. */
  readonly startupBytes: number;
}): Promise<void> {
  const { socket, tunnel, cancelKeys } = connection;
  let sentBytes = connection.startupBytes;
  let processId: number | undefined;
  const scanner = new MessageScanner({
    decide: (type) => (type === BACKEND.BackendKeyData ? 'whole' : 'pass'),
    maxWholeLength: 4 + MAX_CANCEL_KEY_LENGTH,
  });
  const down = pump(tunnel, socket, (chunk) =>
    scanner.push(chunk, (item) => {
      if (item.kind === 'message') {
        const key = decodeBackendKeyData(item.body);
        processId = key.processId;
        cancelKeys.add(key.processId, key.secretKey, () => sentBytes);
      }
    }),
  );
  let saidGoodbye = false;
  const up = pump(socket, tunnel, (chunk) => {
    sentBytes += chunk.length;
    saidGoodbye = chunk.length === TERMINATE_LENGTH && chunk[0] === FRONTEND.Terminate;
  })
    // Nearly all do, and then there is nothing to find out.
    .then(() => (saidGoodbye ? undefined : whileHalfClosed(socket, tunnel)))
    .finally(() => tunnel.end());
  const upEnded = up.catch(() => undefined).then(() => endSoon(tunnel));
  try {
    await down;
    await closeGently(socket);
  } catch (error) {
    const told =
      error instanceof HoopError && scanner.atBoundary ? fatalResponse(error) : undefined;
    await closeGently(socket, told);
  } finally {
    if (processId !== undefined) {
      cancelKeys.remove(processId);
    }
    socket.destroy();
    tunnel.destroy();
    await upEnded;
  }
}

/** Waits for the stream's end, but not for ever. */
async function endSoon(tunnel: Tunnel): Promise<void> {
  if (tunnel.closed) {
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    tunnel.destroy();
  }, END_WITHIN_MS);
  tunnel.once('close', resolve);
  await promise;
  clearTimeout(timer);
}
