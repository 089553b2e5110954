/** TCP and TLS to a target: https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS */
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { HoopError } from '../../errors.ts';
import { encodeSSLRequest } from '../../protocol/pg/ssl-request.ts';
import { readExactly } from './read-exactly.ts';
import type { PostgresTarget } from './types.ts';

export interface TargetSocket {
  readonly socket: Socket;
  readonly tls: boolean;
}

/** Below the idle limits of common firewalls and load balancers, which begin at 60 s. */
const KEEP_ALIVE_AFTER_MS = 30_000;
const ACCEPTED = 0x53; // 'S'
const REFUSED = 0x4e; // 'N'

/** @throws HoopError HOOP_TARGET_UNREACHABLE, HOOP_TARGET_TLS; or the signal's reason. */
export async function openTargetSocket(
  target: PostgresTarget,
  signal: AbortSignal,
): Promise<TargetSocket> {
  const socket = connectTcp({
    host: target.host,
    port: target.port,
    noDelay: true,
    // A target that is gone without a word (a firewall that forgot us) must be noticed while idle.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
  });
  try {
    await waitFor(socket, 'connect', target, signal);
    if (target.tls.mode === 'disable') return { socket, tls: false };
    socket.write(encodeSSLRequest());
    const answer = (await readExactly(socket, 1, signal))[0];
    if (answer === REFUSED && target.tls.mode === 'prefer') return { socket, tls: false };
    if (answer !== ACCEPTED) throw tlsError(target, 'The server does not offer TLS.');
    // Bytes that came with the answer were sent in the clear by whoever is in between (CVE-2021-23222).
    if (socket.readableLength > 0) throw tlsError(target, 'The server sent data before TLS began.');
    return { socket: await startTls(socket, target, signal), tls: true };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function startTls(
  socket: Socket,
  target: PostgresTarget,
  signal: AbortSignal,
): Promise<Socket> {
  const { mode, ca } = target.tls;
  // As libpq does: with a root certificate at hand, `require` checks the chain too.
  const verifies = mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && ca);
  const options: ConnectionOptions = {
    socket,
    host: target.host,
    ALPNProtocols: ['postgresql'],
    rejectUnauthorized: Boolean(verifies),
    ...(ca === undefined ? {} : { ca }),
    // RFC 6066 allows names only, no addresses.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
  const secured = connectTls(options);
  try {
    await waitFor(secured, 'secureConnect', target, signal);
    return secured;
  } catch (error) {
    secured.destroy();
    if (error instanceof HoopError && error.code === 'HOOP_TARGET_UNREACHABLE') {
      throw tlsError(target, causeText(error.cause), error.cause);
    }
    throw error;
  }
}

async function waitFor(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  target: PostgresTarget,
  signal: AbortSignal,
): Promise<void> {
  try {
    await once(socket, event, { signal });
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new HoopError('HOOP_TARGET_UNREACHABLE', `cannot reach target "${target.name}"`, {
      detail: `${target.host}:${target.port}: ${causeText(cause)}`,
      cause,
    });
  }
}

function tlsError(target: PostgresTarget, detail: string, cause?: unknown): HoopError {
  return new HoopError('HOOP_TARGET_TLS', `no trusted TLS to target "${target.name}"`, {
    detail,
    hint: 'Check `tls` of the target in the policy repository, and the CA named there.',
    cause,
  });
}

function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return 'The connection failed.';
  // Of several addresses that all failed, Node gives an error without a text of its own.
  if (cause instanceof AggregateError) {
    return cause.errors.map((error) => causeText(error)).join(' ');
  }
  return `${cause.message.charAt(0).toUpperCase()}${cause.message.slice(1)}.`;
}
