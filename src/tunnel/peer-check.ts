import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { LocalListener } from './local-listener.ts';
import { canTellPeers, endsOf, peerUid, type TcpEnds } from './local-peer.ts';

/** Whether a local connection comes from somebody who may connect. */
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
    const uid = await knownUid(ends);
    const own = process.getuid?.();
    // Root could read our secrets out of our memory.
    const isAllowed = uid === own || uid === 0;
    return isAllowed || (uid !== undefined && this.#allowedUids.includes(uid))
      ? undefined
      : { uid };
  }
}

/** In a user namespace all whom it does not know have one uid, which may be that of somebody in it. */
async function knownUid(ends: TcpEnds): Promise<number | undefined> {
  const uid = await peerUid(ends);
  return uid === OVERFLOW_UID && !knowsAllUids() ? undefined : uid;
}

/** DEFAULT_OVERFLOWUID in include/linux/highuid.h; kernel.overflowuid could change it. */
const OVERFLOW_UID = 65_534;
/** The one line where there is no user namespace: https://man7.org/linux/man-pages/man7/user_namespaces.7.html */
const ALL_UIDS = /^\s*0\s+0\s+4294967295\s*$/;

function knowsAllUids(): boolean {
  try {
    return ALL_UIDS.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return false;
  }
}
