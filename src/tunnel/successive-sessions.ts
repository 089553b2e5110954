/**
 * Sessions one after another behind one local port. When a session ends under the port (idle, its
 * time is up, the gateway restarts, the network was away), the next local connection opens another.
 * Nothing is sent again: connections of the lost session end with the reason.
 */
import { HoopError } from '../errors.ts';
import type { StreamKind } from '../stream-kinds.ts';
import { untilAborted } from '../until.ts';
import { AttachedTunnels } from './attached-tunnels.ts';
import type { ClientSession } from './connect-session.ts';
import type { AttachPort } from './connector.ts';
import type { Tunnel } from './half-close.ts';
import type { SessionEnd } from './session-end.ts';

export interface SuccessiveSessionsOptions {
  readonly connect: (attach: AttachPort, signal: AbortSignal) => Promise<ClientSession>;
  /** Called with each session that is open, before any stream of it. */
  readonly onOpened: (session: ClientSession) => Promise<void>;
  /** Called when a connection could not have a session. */
  readonly onFailed: (error: unknown) => void;
  /** Called when a session ends for a reason other than `close`. */
  readonly onEnded: (session: ClientSession, end: SessionEnd) => void;
  /** Waits for the session's `close` and uploads its recording. Never rejects. */
  readonly deliver: (session: ClientSession) => Promise<void>;
}

interface LiveSession {
  readonly session: ClientSession;
  readonly tunnels: AttachedTunnels;
  isOver: boolean;
}

export class SuccessiveSessions {
  readonly #options: SuccessiveSessionsOptions;
  readonly #closing = new AbortController();
  #live: Promise<LiveSession> | undefined;
  /** Sessions that have ended or are ending, until they are delivered. */
  readonly #settling = new Set<Promise<void>>();

  constructor(options: SuccessiveSessionsOptions) {
    this.#options = options;
  }

  /** The session that is open now, or being opened. */
  get current(): Promise<ClientSession | undefined> {
    return Promise.resolve(this.#live).then(
      (live) => live?.session,
      () => undefined,
    );
  }

  /** Opens a session unless there is one. @throws HoopError what `connect` throws */
  async open(): Promise<ClientSession> {
    this.#live ??= this.#connect();
    return (await this.#live).session;
  }

  /** @throws HoopError what `connect` throws; what the gateway says */
  async openTunnel(kind: StreamKind, signal: AbortSignal): Promise<Tunnel> {
    const live = await this.#liveFor(signal);
    try {
      return await live.tunnels.open(kind, signal);
    } catch (error) {
      if (!isUnknownSession(error)) {
        throw error;
      }
    }
    // The gateway ended it while this machine slept. Nothing was sent on this connection yet.
    this.#ended(live, { reason: 'partition', message: 'the gateway no longer has the session' });
    const next = await this.#liveFor(signal);
    return next.tunnels.open(kind, signal);
  }

  /** Closes the session and waits until all recordings are delivered. Idempotent. */
  async close(reason: HoopError): Promise<void> {
    this.#closing.abort(reason);
    await this.#live?.then(
      (live) => this.#settle(live),
      () => undefined,
    );
    await Promise.all(this.#settling);
  }

  async #liveFor(signal: AbortSignal): Promise<LiveSession> {
    this.#closing.signal.throwIfAborted();
    this.#live ??= this.#connect();
    // One client that goes does not stop what others wait for.
    return await untilAborted(this.#live, signal);
  }

  async #connect(): Promise<LiveSession> {
    const { connect, onOpened, onFailed } = this.#options;
    const tunnels = new AttachedTunnels();
    let live: LiveSession | undefined;
    try {
      const session = await connect((port) => tunnels.attach(port), this.#closing.signal);
      const opened = { session, tunnels, isOver: false };
      live = opened;
      void session.ended.then((end) => this.#ended(opened, end));
      await onOpened(session);
      return opened;
    } catch (error) {
      this.#live = undefined;
      if (live !== undefined) {
        this.#settle(live);
      }
      onFailed(error);
      throw error;
    }
  }

  #ended(live: LiveSession, end: SessionEnd): void {
    if (!live.isOver) {
      this.#options.onEnded(live.session, end);
      this.#settle(live, end);
    }
  }

  /** From here on the next connection opens another session. */
  #settle(live: LiveSession, end?: SessionEnd): void {
    if (live.isOver) {
      return;
    }
    live.isOver = true;
    this.#live = undefined;
    const { session } = live;
    void session.close(end);
    const settling = this.#options.deliver(session).finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }
}

function isUnknownSession(error: unknown): boolean {
  return error instanceof HoopError && error.code === 'HOOP_SESSION_UNKNOWN';
}
