/**
 * The local port: who connects here is asked for the session's password, whatever it is, and only
 * then gets a stream through the tunnel. Bound to 127.0.0.1 or to a socket in a 0700 directory.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HoopError } from '../errors.ts';
import { type CancelRequest, encodeCancelRequest } from '../protocol/pg/cancel-request.ts';
import { makeScramVerifier } from '../protocol/pg/scram-server.ts';
import { MIN_SCRAM_ITERATIONS, type ScramVerifier } from '../protocol/pg/scram-sha-256.ts';
import { encodeStartupMessage } from '../protocol/pg/startup-message.ts';
import { BYTES } from '../protocol/pg/text-codec.ts';
import type { Secret } from '../secret.ts';
import { closeGently } from './close-gently.ts';
import { LocalCancelKeys } from './local-cancel-keys.ts';
import { fatalResponse } from './local-error-response.ts';
import type { LocalListener } from './local-listener.ts';
import { type LocalLogin, logInLocally } from './local-login.ts';
import { LocalRefusal, type RefusalReason } from './local-refusal.ts';
import { relayConnection } from './relay-connection.ts';

/** Total time from connect to login: a byte a second must not hold a place for ever. */
const LOGIN_WITHIN_MS = 10_000;
/**
 * Connections that have not logged in. At the limit the one that has waited longest has to go, so
 * that silent ones cannot keep the owner out: a login takes milliseconds.
 */
const MAX_LOGINS = 128;
const SALT_LENGTH = 16;

export interface LocalPortOptions {
  /** Bound already; nobody else serves it. */
  readonly listener: LocalListener;
  readonly user: string;
  readonly password: Secret<string>;
  /** A stream to the gateway, for plain protocol from the first packet on. */
  readonly openTunnel: (kind: 'postgres' | 'cancel', signal: AbortSignal) => Promise<Duplex>;
  readonly onRefused?: (reason: RefusalReason) => void;
  /** For tests. */
  readonly loginWithinMs?: number;
}

export class LocalPort implements AsyncDisposable {
  readonly #options: LocalPortOptions;
  readonly #verifier: ScramVerifier;
  readonly #cancelKeys = new LocalCancelKeys();
  readonly #closing = new AbortController();
  /** In order of arrival. */
  readonly #logins = new Map<Socket, AbortController>();
  readonly #serving = new Set<Promise<void>>();
  readonly #refused = new Map<RefusalReason, number>();

  constructor(options: LocalPortOptions) {
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

  /** How often, by reason, since the port was opened. */
  get refused(): ReadonlyMap<RefusalReason, number> {
    return this.#refused;
  }

  /** No new connections; those that are logged in go on. */
  stopAccepting(): void {
    this.#options.listener.close();
    for (const login of this.#logins.values()) {
      login.abort(new HoopError('HOOP_SESSION_ENDED', 'the session is ending'));
    }
  }

  /** Ends all connections; those between two messages are told the reason. */
  async close(reason?: HoopError): Promise<void> {
    this.stopAccepting();
    this.#closing.abort(reason ?? new HoopError('HOOP_SESSION_ENDED', 'the session has ended'));
    await Promise.all(this.#serving);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(socket: Socket): void {
    const serving = this.#serve(socket)
      .catch((error: unknown) => this.#fail(socket, error))
      .finally(() => {
        this.#serving.delete(serving);
      });
    this.#serving.add(serving);
  }

  async #serve(socket: Socket): Promise<void> {
    const login = await this.#logIn(socket);
    switch (login.type) {
      case 'closed':
        socket.destroy();
        return;
      case 'cancel':
        await this.#cancel(socket, login.request);
        return;
      case 'session':
        await this.#connect(socket, login);
        return;
    }
  }

  async #logIn(socket: Socket): Promise<LocalLogin> {
    const [longest] = this.#logins;
    if (longest !== undefined && this.#logins.size >= MAX_LOGINS) {
      longest[1].abort(new LocalRefusal('too many connections'));
      this.#logins.delete(longest[0]);
    }
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(new LocalRefusal('login timeout')),
      this.#options.loginWithinMs ?? LOGIN_WITHIN_MS,
    );
    this.#logins.set(socket, controller);
    try {
      const signal = AbortSignal.any([controller.signal, this.#closing.signal]);
      const { user } = this.#options;
      return await logInLocally(socket, { user, verifier: this.#verifier, signal });
    } finally {
      clearTimeout(timer);
      this.#logins.delete(socket);
    }
  }

  async #connect(
    socket: Socket,
    { startup }: Extract<LocalLogin, { type: 'session' }>,
  ): Promise<void> {
    const tunnel = await this.#openTunnel(socket, 'postgres');
    tunnel.write(encodeStartupMessage(startup, BYTES));
    await relayConnection({ socket, tunnel, cancelKeys: this.#cancelKeys });
  }

  /** libpq waits for the connection to be closed as the sign that the request was dealt with. */
  async #cancel(socket: Socket, request: CancelRequest): Promise<void> {
    if (!this.#cancelKeys.has(request.processId, request.secretKey)) {
      throw new LocalRefusal('unknown cancel key');
    }
    const tunnel = await this.#openTunnel(socket, 'cancel');
    tunnel.resume();
    tunnel.write(encodeCancelRequest(request));
    await once(tunnel, 'close');
    await closeGently(socket);
  }

  async #openTunnel(socket: Socket, kind: 'postgres' | 'cancel'): Promise<Duplex> {
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new Error('the local client has gone'));
    socket.once('close', onClose);
    try {
      const signal = AbortSignal.any([gone.signal, this.#closing.signal]);
      const tunnel = await this.#options.openTunnel(kind, signal);
      // Whoever reads it learns of errors; this keeps one from being thrown after that.
      tunnel.on('error', () => undefined);
      const destroy = (): void => {
        tunnel.destroy(this.#closing.signal.reason);
      };
      this.#closing.signal.addEventListener('abort', destroy, { once: true });
      tunnel.once('close', () => this.#closing.signal.removeEventListener('abort', destroy));
      if (this.#closing.signal.aborted) {
        // The port was closed while the tunnel opened: the listener came too late.
        destroy();
      }
      return tunnel;
    } finally {
      socket.off('close', onClose);
    }
  }

  async #fail(socket: Socket, error: unknown): Promise<void> {
    if (error instanceof LocalRefusal) {
      this.#refused.set(error.reason, (this.#refused.get(error.reason) ?? 0) + 1);
      this.#options.onRefused?.(error.reason);
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
