/** TCP and TLS to one host of a target: https://www.postgresql.org/docs/18/libpq-ssl.html */
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { give } from '../../../../flowing.ts';
import { networkText } from '../../../../gateway/targets/network-text.ts';
import { ReadArena } from '../../../../gateway/targets/read-arena.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';
import { tlsText } from '../../../../gateway/targets/tls-text.ts';
import { tlsServerEndPoint } from '../../protocol/channel-binding.ts';
import { encodeSSLRequest } from '../../protocol/startup-packet.ts';
import type { PostgresTarget } from '../types.ts';
import { readExactly } from '../wire/read-exactly.ts';
import { targetError } from './target-errors.ts';

export interface TargetSocket {
  readonly socket: Socket;
  readonly tls: boolean;
  /** What SCRAM can be bound to; undefined without TLS, or with a certificate that gives none. */
  readonly channel: Uint8Array | undefined;
  /** The address that the name of the host led to. */
  readonly address: string;
}

/** `either`: with TLS if the server has it. */
export type Encryption = 'none' | 'either' | 'tls';

export interface OpenTargetSocketOptions {
  readonly target: PostgresTarget;
  readonly host: TargetHost;
  /** Goes there instead of asking for the addresses of the name again. */
  readonly address?: string;
  readonly encryption: Encryption;
  readonly signal: AbortSignal;
}

/** Below the idle limits of common firewalls and load balancers, which begin at 60 s. */
const KEEP_ALIVE_AFTER_MS = 30_000;
const ACCEPTED = 0x53; // 'S'
const REFUSED = 0x4e; // 'N'
/** https://www.iana.org/assignments/tls-extensiontype-values/#alpn-protocol-ids */
const ALPN = 'postgresql';

/** @throws HoopError HOOP_TARGET_UNREACHABLE, HOOP_TARGET_TLS; or the signal's reason. */
export async function openTargetSocket(options: OpenTargetSocketOptions): Promise<TargetSocket> {
  const { host, encryption, signal } = options;
  signal.throwIfAborted();
  const arena = new ReadArena();
  const socket: Socket = connectTcp({
    host: options.address ?? host.host,
    port: host.port,
    noDelay: true,
    // A target that is gone without a word (a firewall that forgot us) must be noticed while idle.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
    onread: {
      buffer: arena.buffer,
      callback: (length) => give(socket, arena.taken(length)),
    },
  });
  try {
    await connected(socket, options);
    const address = socket.remoteAddress ?? host.host;
    const usesTls = encryption !== 'none' && (await askForTls(socket, options));
    if (!usesTls) return { socket, tls: false, channel: undefined, address };
    const secured = await startTls(socket, options);
    const certificate = secured.getPeerX509Certificate()?.raw;
    const channel = certificate && tlsServerEndPoint(certificate);
    return { socket: secured, tls: true, channel, address };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function connected(socket: Socket, options: OpenTargetSocketOptions): Promise<void> {
  const { target, host, signal } = options;
  try {
    await once(socket, 'connect', { signal });
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const text = networkText(cause);
    throw targetError(target, { code: 'HOOP_TARGET_UNREACHABLE', text, host, cause });
  }
}

/** @returns whether TLS begins now. */
async function askForTls(socket: Socket, options: OpenTargetSocketOptions): Promise<boolean> {
  if (options.target.tls.negotiation === 'direct') return true;
  socket.write(encodeSSLRequest());
  const answer = (await readExactly(socket, 1, options.signal))[0];
  if (answer === REFUSED && options.encryption === 'either') return false;
  if (answer !== ACCEPTED) throw tlsError(options, 'The server does not offer TLS.');
  // Bytes that came with the answer were sent in the clear by whoever is in between (CVE-2021-23222).
  if (socket.readableLength > 0) throw tlsError(options, 'The server sent data before TLS began.');
  return true;
}

async function startTls(socket: Socket, options: OpenTargetSocketOptions): Promise<TLSSocket> {
  const { target, signal } = options;
  let secured: TLSSocket | undefined;
  try {
    secured = connectTls(tlsOptions(socket, options));
    await once(secured, 'secureConnect', { signal });
  } catch (cause) {
    secured?.destroy();
    if (signal.aborted) throw signal.reason;
    throw tlsError(options, tlsText(cause) ?? 'The server ended the TLS handshake.', cause);
  }
  // Without it a server of another protocol could be made to take what we say for its own (ALPACA).
  if (target.tls.negotiation === 'direct' && secured.alpnProtocol !== ALPN) {
    secured.destroy();
    throw tlsError(options, 'The server does not support direct TLS (PostgreSQL 17).');
  }
  return secured;
}

function tlsOptions(socket: Socket, { target, host }: OpenTargetSocketOptions): ConnectionOptions {
  const { clientCertificate } = target;
  const { mode, ca } = target.tls;
  // As libpq does: with a root certificate at hand, `require` checks the chain too.
  const verifies = mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && ca);
  return {
    socket,
    host: host.host,
    ALPNProtocols: [ALPN],
    rejectUnauthorized: Boolean(verifies),
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined
      ? {}
      : { cert: clientCertificate.certificate, key: clientCertificate.privateKey.expose() }),
    // RFC 6066 allows names only, no addresses.
    ...(isIP(host.host) === 0 ? { servername: host.host } : {}),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function tlsError({ target, host }: OpenTargetSocketOptions, text: string, cause?: unknown) {
  return targetError(target, { code: 'HOOP_TARGET_TLS', text, host, cause });
}
