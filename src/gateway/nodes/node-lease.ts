/**
 * That this process, and no other, is its node now. The lease is renewed every five seconds; who has
 * not renewed it for as long as it lasts may have been taken over, and asks the store before it signs
 * or forwards anything. Somebody else's term is the end of this one, for good.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { RecordingLease } from '../../recording/write/gateway-recording.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { NodeOwner } from './node-owner.ts';
import type { NodeStore } from './node-store.ts';

export const RENEW_EVERY_MS = 5000;
const LOOK_AGAIN_MS = 500;

export interface NodeLeaseOptions {
  readonly id: string;
  /** See nodePlace. */
  readonly place: string;
  readonly version: string;
  readonly nodes: NodeStore;
  readonly log: Log;
}

export class NodeLease implements AsyncDisposable, RecordingLease {
  readonly owner: NodeOwner;
  readonly #options: NodeLeaseOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #lost = new AbortController();
  #until: LeaseEnd;
  #renewing: Promise<void> | undefined;
  #url: string | undefined;

  private constructor(options: NodeLeaseOptions, term: number, until: LeaseEnd) {
    this.#options = options;
    this.owner = { id: options.id, term };
    this.#until = until;
    this.#timer = setInterval(() => void this.#renew().catch(() => undefined), RENEW_EVERY_MS);
    this.#timer.unref();
  }

  /**
   * Begins the node's next term. Where a process at another place has the lease it is waited for until
   * that is over: a container that is started anew has another name.
   * @throws HOOP_LOCAL_STATE: it is renewed, so that process lives
   */
  static async begin(options: NodeLeaseOptions, signal?: AbortSignal): Promise<NodeLease> {
    const { id, place, version, nodes } = options;
    let left = Number.POSITIVE_INFINITY;
    for (;;) {
      const until = leaseFromNow(nodes.leaseMs);
      const begun = await nodes.begin(id, place, version);
      if (begun.type === 'begun') return new NodeLease(options, begun.term, until);
      if (begun.row.leaseLeftMs > left) throw livesElsewhere();
      left = begun.row.leaseLeftMs;
      await delay(LOOK_AGAIN_MS, undefined, signal && { signal });
    }
  }

  /** Aborted when the term is over because somebody else has begun another. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** What others may tell people: where this node is. */
  set url(url: string) {
    this.#url = url;
    void this.#renew().catch(() => undefined);
  }

  /**
   * For each lot that goes to a target, so it costs two looks at a clock. A store in one file has one
   * process: where that is slow, or cannot be written, nobody takes over.
   */
  get isHeld(): boolean {
    if (this.#lost.signal.aborted) return false;
    return !this.#options.nodes.isShared || !this.#isOver();
  }

  /**
   * To be awaited right before something is signed, or closed for good.
   * @throws HOOP_NODE_LOST: this node has been taken over; what the store says: it is not known
   */
  async require(): Promise<void> {
    if (this.#lost.signal.aborted) throw lostLease();
    // Again, where the answer is to what was asked before the process stood still.
    while (this.#isOver()) {
      await this.#renew();
      if (this.#lost.signal.aborted) throw lostLease();
    }
  }

  /**
   * For who can wait: while the store is away it is not known who the owner is.
   * @throws HOOP_NODE_LOST; the signal's reason
   */
  async whenHeld(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.require();
        return;
      } catch (error) {
        if (this.#lost.signal.aborted) throw error;
      }
      await delay(LOOK_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /** Its sessions have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const { nodes, log } = this.#options;
    // What is left for others to see is that the lease runs out.
    await nodes
      .stop(this.owner)
      .catch((error: unknown) => log.warn('node.stop_failed', errorFields(error)));
  }

  #isOver(): boolean {
    return performance.now() >= this.#until.monotonic || Date.now() >= this.#until.wall;
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewNow().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewNow(): Promise<void> {
    const { nodes, log } = this.#options;
    const until = leaseFromNow(nodes.leaseMs);
    try {
      if (await nodes.renew(this.owner, this.#url)) {
        this.#until = until;
        return;
      }
    } catch (error) {
      log.warn('node.renew_failed', errorFields(error));
      throw error;
    }
    clearInterval(this.#timer);
    if (this.#lost.signal.aborted) return;
    log.error('node.lost', { node: this.owner.id, term: this.owner.term });
    this.#lost.abort(lostLease());
  }
}

/**
 * By performance.now(), which goes on while the process is stopped and stands still while the machine
 * sleeps (CLOCK_MONOTONIC), and by the wall clock, which goes on then but may be set: the earlier counts.
 */
interface LeaseEnd {
  readonly monotonic: number;
  readonly wall: number;
}

/** Counted from before the store is asked: it never lasts longer here than there. */
function leaseFromNow(leaseMs: number): LeaseEnd {
  return { monotonic: performance.now() + leaseMs, wall: Date.now() + leaseMs };
}

function lostLease(): HoopError {
  return new HoopError('HOOP_NODE_LOST', 'this gateway was taken over, or started a second time', {
    hint: 'Its sessions have ended; connect again.',
  });
}

function livesElsewhere(): HoopError {
  return new HoopError('HOOP_LOCAL_STATE', 'another gateway is running as this node', {
    detail: 'Its data directory is a copy of this one, or this one is its copy.',
    hint: 'Each gateway needs its own data directory. Before the first start, remove node-id, has-database and the contents of rec from the copy.',
  });
}
