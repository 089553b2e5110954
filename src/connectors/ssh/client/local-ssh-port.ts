/**
 * The local port of a server: who connects here has to show a user key of the session, and only
 * then gets a stream through the tunnel. As local-port.ts, which is PostgreSQL's.
 */
import type { Socket } from 'node:net';
import { closeGently } from '../../../tunnel/close-gently.ts';
import type { OpenTunnel } from '../../../tunnel/connector.ts';
import { LocalConnections } from '../../../tunnel/local-connections.ts';
import type { LocalListener } from '../../../tunnel/local-listener.ts';
import { LocalRefusal, type RefusalReason } from '../../../tunnel/local-refusal.ts';
import type { SshKeyPair } from './ssh-keys.ts';

export interface LocalSshPortOptions {
  /** Bound already; nobody else serves it. */
  readonly listener: LocalListener;
  readonly hostKeys: readonly SshKeyPair[];
  readonly userKeys: readonly Pick<SshKeyPair, 'publicKey'>[];
  readonly openTunnel: OpenTunnel;
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  /** What ssh(1) does not tell, or not well. */
  readonly onNote?: ((text: string, isTold?: boolean) => void) | undefined;
  /** Only the first connection is of who has started the session, and sees its notes. */
  readonly isShared?: boolean;
  /** Users of this machine who may connect, beside our own and root; default: none. */
  readonly allowedUids?: readonly number[] | undefined;
  /** For tests. */
  readonly loginWithinMs?: number;
}

export class LocalSshPort extends LocalConnections {
  readonly #options: LocalSshPortOptions;
  #count = 0;

  constructor(options: LocalSshPortOptions) {
    super(options);
    this.#options = options;
    options.listener.serve((socket) =>
      this.accept(socket, this.#serve(socket), async (error) => {
        options.onNote?.(error instanceof Error ? error.message : String(error));
        await closeGently(socket);
      }),
    );
  }

  async #serve(socket: Socket): Promise<void> {
    const { hostKeys, userKeys, openTunnel, onNote, isShared = false } = this.#options;
    this.#count += 1;
    const count = this.#count;
    const pending = this.login();
    try {
      if ((await this.stranger(socket)) !== undefined) {
        throw new LocalRefusal('another user');
      }
      // Loaded for who connects: a run opens its ports at its start, and most are not used.
      const { serveSshConnection } = await import('./serve-ssh-connection.ts');
      await serveSshConnection({
        socket,
        hostKeys,
        userKeys,
        openTunnel: (signal) => openTunnel('ssh', signal),
        onSpoken: pending.spoken,
        onKnown: pending.over,
        isJoined: isShared && count > 1,
        note: (text) => onNote?.(text, true),
        signal: AbortSignal.any([pending.signal, this.closing]),
      });
    } finally {
      pending.over();
    }
  }
}
