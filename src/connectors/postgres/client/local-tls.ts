/**
 * TLS on the local port: a CA of this session alone, whose key is forgotten as soon as it has signed
 * the one certificate there is. Who squats the port or sits in between cannot have another, and
 * nothing that trusts this CA trusts anything after the session.
 */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { createCertificateAuthority, issueServerCertificate } from '../../../certificates.ts';
import { LocalRefusal } from '../../../tunnel/local-refusal.ts';
import { onAbort } from '../../../until.ts';
import { tlsServerEndPoint } from '../protocol/channel-binding.ts';

/** https://www.iana.org/assignments/tls-extensiontype-values/#alpn-protocol-ids */
const ALPN = 'postgresql';
const DAY_MS = 86_400_000;
/** A certificate outlives its session a little, so that its end is told by us and not by TLS. */
const MARGIN_MS = 60 * 60_000;

export class LocalTls {
  /** PEM, for sslrootcert. */
  readonly ca: string;
  /** What SCRAM-SHA-256-PLUS is bound to. */
  readonly channel: Uint8Array;
  /** Never listens: it is given connections that have asked for TLS. */
  readonly #server: Server;
  /** By the peer's port: TLSSocket does not say which socket it came from. */
  readonly #handshakes = new Map<number, PromiseWithResolvers<TLSSocket>>();

  /** @param until when the session ends, in milliseconds since 1970. */
  constructor(until: number) {
    const now = Date.now();
    const days = (Math.max(until, now) - now + MARGIN_MS) / DAY_MS;
    const authority = createCertificateAuthority({ name: 'hoop session', days });
    const { certificate, privateKey } = issueServerCertificate(authority, {
      names: ['localhost'],
      ips: ['127.0.0.1'],
    });
    this.ca = authority.certificate;
    const channel = tlsServerEndPoint(new X509Certificate(certificate).raw);
    if (channel === undefined) {
      throw new TypeError('SCRAM can be bound to a certificate signed with ECDSA and SHA-256');
    }
    this.channel = channel;
    // As PostgreSQL: from TLS 1.2 on; a client that names protocols and not ours is refused.
    this.#server = createServer(
      { cert: certificate, key: privateKey, minVersion: 'TLSv1.2', ALPNProtocols: [ALPN] },
      (secured) => this.#handshakes.get(secured.remotePort ?? 0)?.resolve(secured),
    );
    this.#server.on('tlsClientError', (_error, secured) => secured.destroy());
  }

  /**
   * The handshake, whose first bytes may be in the socket already.
   * @throws LocalRefusal when it fails, or when it came without SSLRequest and without ALPN: a
   *   browser could be made to do that. Or the reason of the signal.
   */
  async secure(
    socket: Socket,
    { isDirect, signal }: { readonly isDirect: boolean; readonly signal: AbortSignal },
  ): Promise<TLSSocket> {
    const { remotePort = 0 } = socket;
    const handshake = Promise.withResolvers<TLSSocket>();
    const failed = (): void => handshake.reject(new LocalRefusal('failed TLS handshake'));
    this.#handshakes.set(remotePort, handshake);
    socket.once('close', failed);
    using _ = onAbort(signal, () => handshake.reject(signal.reason));
    try {
      if (socket.destroyed) failed();
      this.#server.emit('connection', socket);
      const secured = await handshake.promise;
      // Whoever reads it learns of errors; this keeps one from being thrown in between.
      secured.on('error', () => undefined);
      if (isDirect && secured.alpnProtocol !== ALPN) {
        throw new LocalRefusal('direct TLS');
      }
      return secured;
    } finally {
      this.#handshakes.delete(remotePort);
      socket.off('close', failed);
    }
  }
}
