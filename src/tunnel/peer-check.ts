import type { Socket } from 'node:net';
import type { LocalListener } from './local-listener.ts';
import { canTellPeers, endsOf, peerUid } from './local-peer.ts';

/** Whether a local connection comes from somebody who may connect, before anything is read of it. */
export class PeerCheck {
  readonly #listener: LocalListener;
  readonly #allowedUids: readonly number[];
  #canTellPeers: Promise<boolean> | undefined;

  /** @param allowedUids users of this machine, beside our own and root */
  constructor(listener: LocalListener, allowedUids: readonly number[] = []) {
    this.#listener = listener;
    this.#allowedUids = allowedUids;
  }

  /**
   * Where it cannot be known (not Linux, no /proc) the login is all there is; in the network of a
   * fenced child there is nobody else.
   * @returns undefined: it may; a uid of undefined: its other end has gone.
   */
  async stranger(socket: Socket): Promise<{ readonly uid: number | undefined } | undefined> {
    if (this.#listener.isElsewhere) {
      return undefined;
    }
    const ends = endsOf(socket);
    this.#canTellPeers ??= canTellPeers(this.#listener.host, this.#listener.port);
    if (ends === undefined || !(await this.#canTellPeers)) {
      return undefined;
    }
    const uid = await peerUid(ends);
    const own = process.getuid?.();
    // Root could read our secrets out of our memory.
    const isAllowed = uid === own || uid === 0;
    return isAllowed || (uid !== undefined && this.#allowedUids.includes(uid))
      ? undefined
      : { uid };
  }
}
