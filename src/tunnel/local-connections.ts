/**
 * The connections to one local port, whatever protocol it speaks: who may come, who has not logged
 * in yet, who was refused and why, and the end of them all. A port of one protocol is one of these.
 */
import type { Socket } from 'node:net';
import { HoopError } from '../errors.ts';
import type { SessionPort } from './connector.ts';
import type { LocalListener } from './local-listener.ts';
import { LocalRefusal, type RefusalReason } from './local-refusal.ts';
import { PeerCheck } from './peer-check.ts';

export interface LocalConnectionsOptions {
  readonly listener: LocalListener;
  readonly allowedUids?: readonly number[] | undefined;
  /** For tests. */
  readonly loginWithinMs?: number | undefined;
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
}

export class LocalConnections implements SessionPort, AsyncDisposable {
  readonly #options: LocalConnectionsOptions;
  readonly #closing = new AbortController();
  readonly #logins: PendingLogins;
  readonly #peers: PeerCheck;
  readonly #serving = new Set<Promise<void>>();
  readonly #refused = new Map<RefusalReason, number>();

  constructor(options: LocalConnectionsOptions) {
    this.#options = options;
    this.#logins = new PendingLogins(options.loginWithinMs);
    this.#peers = new PeerCheck(options.listener, options.allowedUids);
  }

  /** Aborted with the reason when all connections are to end. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** How often, by reason, since the port was opened. */
  get refused(): ReadonlyMap<RefusalReason, number> {
    return this.#refused;
  }

  /** @returns undefined: it comes from a user who may connect */
  stranger(socket: Socket): ReturnType<PeerCheck['stranger']> {
    return this.#peers.stranger(socket);
  }

  /** A place among those that have not logged in. */
  login(): PendingLogin {
    return this.#logins.add();
  }

  /** @param connection settles when it is over: `close` and `idle` wait for it */
  serve(connection: Promise<void>): Promise<void> {
    const serving = connection.finally(() => {
      this.#serving.delete(serving);
    });
    this.#serving.add(serving);
    return serving;
  }

  /**
   * As `serve`, where whoever is refused is told nothing.
   * @param connection rejects with LocalRefusal when nobody may come in that way
   * @param failed what is done about other errors
   */
  accept(
    socket: Socket,
    connection: Promise<void>,
    failed: (error: unknown) => Promise<void> | void = () => void socket.destroy(),
  ): Promise<void> {
    const end = async (error: unknown): Promise<void> => {
      if (!(error instanceof LocalRefusal)) return failed(error);
      this.countRefusal(error.reason);
      socket.destroy();
    };
    return this.serve(connection.catch(end));
  }

  countRefusal(reason: RefusalReason): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
    this.#options.onRefused?.(reason);
  }

  /** Resolves when no connection is served; new ones may come until it is closed. */
  async idle(): Promise<void> {
    while (this.#serving.size > 0) {
      await Promise.race(this.#serving);
    }
  }

  /** No new connections; those that are logged in go on. */
  stopAccepting(): void {
    this.#options.listener.close();
    this.#logins.abort(new HoopError('HOOP_SESSION_ENDED', 'the session is ending'));
  }

  /** Ends all of them; their clients are told the reason. Resolves when the last one is over. */
  async close(reason?: HoopError): Promise<void> {
    this.stopAccepting();
    this.#closing.abort(reason ?? new HoopError('HOOP_SESSION_ENDED', 'the session has ended'));
    await Promise.all(this.#serving);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Total time from connect to login: a byte a second must not hold a place for ever. */
const LOGIN_WITHIN_MS = 10_000;
/**
 * Connections that have not logged in. At the limit one has to go, so that they cannot keep the
 * owner out: the one that has waited longest of those that have not said anything, or else of all,
 * since a login takes milliseconds.
 */
const MAX_LOGINS = 128;

/** A connection to the local port that nobody knows yet. */
interface PendingLogin {
  /** Aborted with a LocalRefusal when its time is up or its place is needed. */
  readonly signal: AbortSignal;
  /** It has sent something whole. */
  spoken(): void;
  /** It is logged in, or gone. */
  over(): void;
}

interface Entry {
  readonly controller: AbortController;
  isSilent: boolean;
}

class PendingLogins {
  readonly #withinMs: number;
  /** In order of arrival. */
  readonly #entries = new Set<Entry>();

  /** @param withinMs for tests */
  constructor(withinMs = LOGIN_WITHIN_MS) {
    this.#withinMs = withinMs;
  }

  add(): PendingLogin {
    this.#makeRoom();
    const entry: Entry = { controller: new AbortController(), isSilent: true };
    const { controller } = entry;
    const timer = setTimeout(
      () => controller.abort(new LocalRefusal('login timeout')),
      this.#withinMs,
    );
    this.#entries.add(entry);
    return {
      signal: controller.signal,
      spoken: () => {
        entry.isSilent = false;
      },
      over: () => {
        clearTimeout(timer);
        this.#entries.delete(entry);
      },
    };
  }

  /** Ends them all. */
  abort(reason: Error): void {
    for (const { controller } of this.#entries) {
      controller.abort(reason);
    }
  }

  #makeRoom(): void {
    if (this.#entries.size < MAX_LOGINS) {
      return;
    }
    const [oldest] = this.#entries;
    const goes = this.#entries.values().find(({ isSilent }) => isSilent) ?? oldest;
    if (goes !== undefined) {
      goes.controller.abort(new LocalRefusal('too many connections'));
      this.#entries.delete(goes);
    }
  }
}
