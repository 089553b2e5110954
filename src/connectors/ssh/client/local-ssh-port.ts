/**
 * The local port of a server: who connects here has to show the user key of the session, and only
 * then gets a stream through the tunnel. As local-port.ts, which is PostgreSQL's.
 */
import type { Socket } from 'node:net';
import type { HoopError } from '../../../errors.ts';
import { closeGently } from '../../../tunnel/close-gently.ts';
import type { OpenTunnel } from '../../../tunnel/connector.ts';
import { LocalConnections } from '../../../tunnel/local-connections.ts';
import type { LocalListener } from '../../../tunnel/local-listener.ts';
import { LocalRefusal, type RefusalReason } from '../../../tunnel/local-refusal.ts';
import type { SshKeyPair } from './ssh-keys.ts';

export interface LocalSshPortOptions {
  /** Bound already; nobody else serves it. */
  readonly listener: LocalListener;
  readonly hostKey: SshKeyPair;
  readonly userKey: Pick<SshKeyPair, 'publicKey'>;
  readonly openTunnel: OpenTunnel;
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  /** What ssh(1) does not tell, or not well. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** Only the first connection is of who has started the session, and sees its notes. */
  readonly isShared?: boolean;
  /** Users of this machine who may connect, beside our own and root; default: none. */
  readonly allowedUids?: readonly number[] | undefined;
  /** For tests. */
  readonly loginWithinMs?: number;
}

export class LocalSshPort implements AsyncDisposable {
  readonly #options: LocalSshPortOptions;
  readonly #connections: LocalConnections;
  #count = 0;

  constructor(options: LocalSshPortOptions) {
    this.#options = options;
    const { listener, allowedUids, loginWithinMs, onRefused } = options;
    this.#connections = new LocalConnections({ listener, allowedUids, loginWithinMs, onRefused });
    listener.serve((socket) => this.serve(socket));
  }

  get refused(): ReadonlyMap<RefusalReason, number> {
    return this.#connections.refused;
  }

  /** Resolves when no connection is served; new ones may come until it is closed. */
  async idle(): Promise<void> {
    await this.#connections.idle();
  }

  /** No new connections; those that are logged in go on. */
  stopAccepting(): void {
    this.#connections.stopAccepting();
  }

  /** Ends all connections; their clients are told the reason. */
  async close(reason?: HoopError): Promise<void> {
    await this.#connections.close(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A connection that came another way than over the listener. Resolves when it is over. */
  serve(socket: Socket): Promise<void> {
    return this.#connections.accept(socket, this.#serve(socket), async (error) => {
      this.#options.onNote?.(error instanceof Error ? error.message : String(error));
      await closeGently(socket);
    });
  }

  async #serve(socket: Socket): Promise<void> {
    const { hostKey, userKey, openTunnel, onNote, isShared = false } = this.#options;
    this.#count += 1;
    const count = this.#count;
    const pending = this.#connections.login();
    try {
      if ((await this.#connections.stranger(socket)) !== undefined) {
        throw new LocalRefusal('another user');
      }
      // Loaded for who connects: a run opens its ports at its start, and most are not used.
      const { serveSshConnection } = await import('./serve-ssh-connection.ts');
      await serveSshConnection({
        socket,
        hostKey,
        userKey,
        openTunnel: (signal) => openTunnel('ssh', signal),
        onSpoken: pending.spoken,
        onKnown: pending.over,
        isJoined: isShared && count > 1,
        note: (text) => onNote?.(text),
        signal: AbortSignal.any([pending.signal, this.#connections.closing]),
      });
    } finally {
      pending.over();
    }
  }
}
