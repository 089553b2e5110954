/** The connections of one session on a local port that outlives the session. */
import { once } from 'node:events';
import { HoopError } from '../errors.ts';
import type { StreamKind } from '../stream-kinds.ts';
import type { OpenTunnel, SessionPort } from './connector.ts';
import type { Tunnel } from './half-close.ts';

const NONE: SessionPort['refused'] = new Map();

export class AttachedTunnels {
  readonly #open = new Set<Tunnel>();
  #openTunnel: OpenTunnel | undefined;
  #isEnding = false;

  /** Returns what the session sees of its port. */
  attach(openTunnel: OpenTunnel): SessionPort {
    this.#openTunnel = openTunnel;
    return {
      refused: NONE,
      stopAccepting: () => {
        this.#isEnding = true;
      },
      close: (reason) => this.#close(reason),
    };
  }

  /** @throws HoopError HOOP_SESSION_ENDED; what the gateway says */
  async open(kind: StreamKind, signal: AbortSignal): Promise<Tunnel> {
    if (this.#openTunnel === undefined || this.#isEnding) {
      throw ending();
    }
    const tunnel = await this.#openTunnel(kind, signal);
    this.#open.add(tunnel);
    tunnel.once('close', () => this.#open.delete(tunnel));
    if (this.#isEnding) {
      tunnel.on('error', () => undefined);
      tunnel.destroy(ending());
    }
    return tunnel;
  }

  async #close(reason?: HoopError): Promise<void> {
    this.#isEnding = true;
    const closed = [...this.#open].map((tunnel) =>
      tunnel.closed ? undefined : once(tunnel, 'close'),
    );
    for (const tunnel of this.#open) {
      tunnel.destroy(reason ?? ending());
    }
    await Promise.allSettled(closed);
  }
}

function ending(): HoopError {
  return new HoopError('HOOP_SESSION_ENDED', 'the session is ending', {
    hint: 'Connect again: that opens a new session.',
  });
}
