/**
 * The local port: who connects here is asked for the session's password, whatever it is, and only
 * then gets a stream through the tunnel. Bound to 127.0.0.1 or to a socket in a 0700 directory.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { HoopError } from '../../../errors.ts';
import { encodeCancelPosition } from '../../../protocol/carrier/cancel-position.ts';
import type { Secret } from '../../../secret.ts';
import type { StreamKind } from '../../../stream-kinds.ts';
import { closeGently } from '../../../tunnel/close-gently.ts';
import type { OpenTunnel } from '../../../tunnel/connector.ts';
import type { Tunnel } from '../../../tunnel/half-close.ts';
import { LocalConnections } from '../../../tunnel/local-connections.ts';
import type { LocalListener } from '../../../tunnel/local-listener.ts';
import { LocalRefusal, type RefusalReason } from '../../../tunnel/local-refusal.ts';
import { onAbort } from '../../../until.ts';
import { makeScramVerifier } from '../protocol/scram-server.ts';
import { MIN_SCRAM_ITERATIONS, type ScramVerifier } from '../protocol/scram-sha-256.ts';
import {
  type CancelRequest,
  encodeCancelRequest,
  encodeStartupMessage,
} from '../protocol/startup-packet.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import { LocalCancelKeys } from './local-cancel-keys.ts';
import { encodeFatal, fatalResponse } from './local-error-response.ts';
import { type LocalLogin, logInLocally } from './local-login.ts';
import type { LocalConnection } from './local-opening.ts';
import type { LocalTls } from './local-tls.ts';
import { relayConnection } from './relay-connection.ts';

const SALT_LENGTH = 16;

export interface LocalPortOptions {
  /** Bound already; nobody else serves it. */
  readonly listener: LocalListener;
  readonly user: string;
  readonly password: Secret<string>;
  /** A stream to the gateway, for plain protocol from the first packet on. */
  readonly openTunnel: OpenTunnel;
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  /** Absent: the port offers no TLS. */
  readonly tls?: LocalTls | undefined;
  /** Users of this machine who may connect, beside our own and root; default: none. */
  readonly allowedUids?: readonly number[] | undefined;
  /** For tests. */
  readonly loginWithinMs?: number;
}

export class LocalPort extends LocalConnections {
  readonly #options: LocalPortOptions;
  readonly #verifier: ScramVerifier;
  readonly #cancelKeys = new LocalCancelKeys();

  constructor(options: LocalPortOptions) {
    super(options);
    this.#options = options;
    this.#verifier = makeScramVerifier({
      password: options.password.expose(),
      salt: randomBytes(SALT_LENGTH),
      iterations: MIN_SCRAM_ITERATIONS,
    });
    options.listener.serve((socket) => this.#accept(socket));
  }

  /** As libpq takes it: an address, or the directory of the socket. */
  get host(): string {
    return this.#options.listener.host;
  }

  get port(): number {
    return this.#options.listener.port;
  }

  #accept(socket: Socket): void {
    const connection: LocalConnection = { socket };
    void this.serve(
      this.#serve(connection).catch((error: unknown) => this.#fail(connection.socket, error)),
    );
  }

  async #serve(connection: LocalConnection): Promise<void> {
    const login = await this.#logIn(connection);
    switch (login.type) {
      case 'closed':
        connection.socket.destroy();
        return;
      case 'cancel':
        await this.#cancel(connection.socket, login.request);
        return;
      case 'session':
        await this.#connect(connection.socket, login);
        return;
    }
  }

  async #logIn(connection: LocalConnection): Promise<LocalLogin> {
    const { user, tls } = this.#options;
    const { socket } = connection;
    const pending = this.login();
    try {
      return await logInLocally(connection, {
        user,
        verifier: this.#verifier,
        tls,
        checkPeer: () => this.#checkPeer(socket),
        onSpoken: pending.spoken,
        signal: AbortSignal.any([pending.signal, this.closing]),
      });
    } finally {
      pending.over();
    }
  }

  async #checkPeer(socket: Socket): Promise<void> {
    const stranger = await this.stranger(socket);
    if (stranger !== undefined) {
      throw anotherUser(stranger.uid);
    }
  }

  async #connect(
    socket: Socket,
    { startup }: Extract<LocalLogin, { type: 'session' }>,
  ): Promise<void> {
    const tunnel = await this.#openTunnel(socket, 'postgres');
    const bytes = encodeStartupMessage(startup, BYTES);
    tunnel.write(bytes);
    const cancelKeys = this.#cancelKeys;
    await relayConnection({ socket, tunnel, cancelKeys, startupBytes: bytes.length });
  }

  /** libpq waits for the connection to be closed as the sign that the request was dealt with. */
  async #cancel(socket: Socket, request: CancelRequest): Promise<void> {
    const sentBytes = this.#cancelKeys.sentBytes(request.processId, request.secretKey);
    if (sentBytes === undefined) {
      throw new LocalRefusal('unknown cancel key');
    }
    const tunnel = await this.#openTunnel(socket, 'cancel');
    tunnel.resume();
    tunnel.write(Buffer.concat([encodeCancelRequest(request), encodeCancelPosition(sentBytes)]));
    await once(tunnel, 'close');
    await closeGently(socket);
  }

  async #openTunnel(socket: Socket, kind: StreamKind): Promise<Tunnel> {
    const { closing } = this;
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new Error('the local client has gone'));
    socket.once('close', onClose);
    try {
      const signal = AbortSignal.any([gone.signal, closing]);
      const tunnel = await this.#options.openTunnel(kind, signal);
      // Whoever reads it learns of errors; this keeps one from being thrown after that.
      tunnel.on('error', () => undefined);
      const watch = onAbort(closing, () => tunnel.destroy(closing.reason));
      tunnel.once('close', () => watch[Symbol.dispose]());
      return tunnel;
    } finally {
      socket.off('close', onClose);
    }
  }

  async #fail(socket: Socket, error: unknown): Promise<void> {
    if (error instanceof LocalRefusal) {
      this.countRefusal(error.reason);
      if (error.answer === undefined) {
        socket.destroy();
        return;
      }
      await closeGently(socket, error.answer);
      return;
    }
    await closeGently(socket, error instanceof HoopError ? fatalResponse(error) : undefined);
  }
}

/** @param uid undefined: the connection is in no table, so its other end has gone. */
function anotherUser(uid: number | undefined): LocalRefusal {
  return uid === undefined
    ? new LocalRefusal('another user')
    : new LocalRefusal(
        'another user',
        encodeFatal({
          sqlState: SQL_STATE.invalidAuthorization,
          message: 'this port belongs to another user of this machine',
          detail: `The connection comes from uid ${uid}.`,
          hint: `Open your own session with "hoop connect"; whoever opened this one can let you in with --allow-uid ${uid}.`,
          code: 'HOOP_LOCAL_PORT',
        }),
      );
}
