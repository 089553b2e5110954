/**
 * The target of `hoop connect`: a local port that keeps its address, user and password for as long
 * as the command runs, and the sessions behind it, one after another.
 */
import { CONNECTORS } from '../connectors/registry.ts';
import { HoopError } from '../errors.ts';
import type { UploadReceipt } from '../recording/client/upload-session.ts';
import { isLoginOver } from '../run/watch-login.ts';
import type { Secret } from '../secret.ts';
import {
  type ClientSession,
  type ConnectSessionOptions,
  connectSession,
} from '../tunnel/connect-session.ts';
import {
  clientConnector,
  type LocalOffer,
  type SessionPort,
  type TargetFacts,
} from '../tunnel/connector.ts';
import { closeLocalSide, type LocalSide } from '../tunnel/local-side.ts';
import { CLOSED_BY_OWNER, type SessionEnd } from '../tunnel/session-end.ts';
import { SuccessiveSessions } from '../tunnel/successive-sessions.ts';
import { uploadRecording } from '../tunnel/upload-recordings.ts';
import { plain } from '../ui/text/printable.ts';

/** The port's certificate must outlive every session behind it. */
const TLS_FOR_MS = 365 * 86_400_000;

export interface ConnectedTargetOptions extends Omit<ConnectSessionOptions, 'listen'> {
  /** Bound already; closed with the target. */
  readonly local: LocalSide;
  /** Keeps the port's password across restarts; absent: a random one. */
  readonly secret?: Secret<string> | undefined;
  /** Also keeps the port when the login ends: the next login counts. */
  readonly isLasting: boolean;
  readonly note: (text: string) => void;
  /** Called with each session, before any stream of it. */
  readonly onOpened: (session: ClientSession) => void;
  /** Called when a session ends under the port. */
  readonly onEnded: (session: ClientSession, end: SessionEnd) => void;
  readonly onUploaded: (receipt: UploadReceipt) => void;
  readonly onNotUploaded: (session: string, error: unknown) => void;
}

export class ConnectedTarget {
  readonly #options: ConnectedTargetOptions;
  readonly #sessions: SuccessiveSessions;
  readonly #over = Promise.withResolvers<SessionEnd>();
  /** The last upload waits until its session's end is reported. */
  readonly #mayUpload = Promise.withResolvers<void>();
  /** Sessions whose recording could not be uploaded, with the reason. */
  readonly #undelivered = new Map<ClientSession, unknown>();
  #redelivery: Promise<void> = Promise.resolve();
  #offer: LocalOffer | undefined;
  #port: SessionPort | undefined;
  #newest: ClientSession | undefined;
  #isClosing = false;
  #lastNote: string | undefined;

  constructor(options: ConnectedTargetOptions) {
    this.#options = options;
    this.#sessions = new SuccessiveSessions({
      connect: (attach, closing) =>
        connectSession({
          ...options,
          listen: { type: 'attached', attach },
          signal: AbortSignal.any([closing, options.signal]),
        }),
      onOpened: async (session) => this.#opened(session),
      onFailed: (error) => this.#failed(error),
      onEnded: (session, end) => void this.#ended(session, end),
      deliver: (session) => this.#deliver(session),
    });
  }

  /**
   * Serves the port.
   * @param known facts from an earlier start; absent: the first session is opened now and has them
   * @throws HoopError what the gateway says; HOOP_USAGE, HOOP_LOCAL_PORT
   */
  async start(known: TargetFacts | undefined): Promise<ClientSession | undefined> {
    try {
      const first = known === undefined ? await this.#sessions.open() : undefined;
      await this.#serve(known ?? first?.reply.target);
      return first;
    } catch (error) {
      // A recording that cannot be sent now is sent by a later command, and is not what went wrong.
      await this.close(() => undefined).catch(() => undefined);
      throw error;
    }
  }

  /** The target, for programs of this machine. */
  get offer(): LocalOffer {
    if (this.#offer === undefined) {
      throw new TypeError('the port is not served yet');
    }
    return this.#offer;
  }

  get refused(): SessionPort['refused'] {
    return this.#port?.refused ?? new Map();
  }

  /** Resolves when the port must close although nobody has asked for that here. */
  get over(): Promise<SessionEnd> {
    return this.#over.promise;
  }

  /**
   * Ends the session, then the port, then uploads what is left. Idempotent.
   * @param onClosed called when the session has ended, before its recording is uploaded
   * @throws HoopError HOOP_UPLOAD_FAILED
   */
  async close(onClosed: () => Promise<void> | void): Promise<void> {
    this.#isClosing = true;
    const ended = new HoopError('HOOP_SESSION_ENDED', CLOSED_BY_OWNER.message);
    this.#port?.stopAccepting();
    try {
      await this.#sessions.current;
      const settled = this.#sessions.close(ended);
      // Also one that is ending by itself: its connections get its own reason first.
      await this.#newest?.close();
      await this.#port?.close(ended);
      closeLocalSide(this.#options.local);
      await onClosed();
      this.#mayUpload.resolve();
      await settled;
      await this.#redeliver();
    } finally {
      closeLocalSide(this.#options.local);
    }
    const [failure] = this.#undelivered.values();
    if (failure !== undefined) {
      throw failure;
    }
  }

  async #serve(target: (TargetFacts & { readonly kind?: unknown }) | undefined): Promise<void> {
    const { local, tls, allowedUids, env, self = [], secret, events } = this.#options;
    if (target === undefined || typeof target.kind !== 'string') {
      throw new TypeError('a port needs to know the kind of its target');
    }
    const connector = await clientConnector(CONNECTORS, { ...target, kind: target.kind });
    const place = { directory: local.runtime, env, self, secret };
    this.#offer = connector.open(place);
    this.#port = await this.#offer.serve({
      target,
      listener: local.listener,
      openTunnel: (kind, signal) => this.#sessions.openTunnel(kind, signal),
      tlsUntil: tls ? Date.now() + TLS_FOR_MS : undefined,
      allowedUids,
      onRefused: events.onRefused,
      onNote: events.onNote,
    });
  }

  #opened(session: ClientSession): void {
    this.#lastNote = undefined;
    this.#newest = session;
    this.#options.onOpened(session);
    // The gateway answers again.
    void this.#redeliver();
  }

  /** A program that tries again each second must not fill the terminal. */
  #failed(error: unknown): void {
    if (this.#port === undefined || this.#isClosing) {
      return;
    }
    const { note, target, isLasting } = this.#options;
    const text = error instanceof Error ? error.message : String(error);
    if (text !== this.#lastNote) {
      this.#lastNote = text;
      note(`${plain(target)} cannot be opened: ${plain(text)}`);
    }
    if (!isLasting && isWithoutLogin(error)) {
      this.#over.resolve({ reason: 'revoked', message: text });
    }
  }

  async #ended(session: ClientSession, end: SessionEnd): Promise<void> {
    if (this.#options.isLasting || (await this.#staysAfter(end))) {
      this.#options.onEnded(session, end);
    } else {
      this.#over.resolve(end);
    }
  }

  async #staysAfter({ reason }: SessionEnd): Promise<boolean> {
    if (reason !== 'revoked') {
      // Its owner ended it, with `hoop sessions end`.
      return reason !== 'closed';
    }
    const { open, signal } = this.#options;
    try {
      await open.client.whoami(signal);
    } catch (error) {
      return !isWithoutLogin(error);
    }
    // The next connection learns what may no longer be reached.
    return true;
  }

  async #deliver(session: ClientSession): Promise<void> {
    const { open, note, onUploaded, onNotUploaded } = this.#options;
    try {
      await session.close();
      if (this.#isClosing) {
        await this.#mayUpload.promise;
      }
      const { id, live } = session;
      onUploaded(await uploadRecording({ open, session: id, live, note }));
    } catch (error) {
      this.#undelivered.set(session, error);
      onNotUploaded(session.id, error);
    }
  }

  /** Resolves when each recording that could not be uploaded has been tried once more. */
  #redeliver(): Promise<void> {
    this.#redelivery = this.#redelivery.then(async () => {
      const sessions = [...this.#undelivered.keys()];
      this.#undelivered.clear();
      for (const session of sessions) {
        await this.#deliver(session);
      }
    });
    return this.#redelivery;
  }
}

function isWithoutLogin(error: unknown): boolean {
  return isLoginOver(error) || (error instanceof HoopError && error.code === 'HOOP_NOT_LOGGED_IN');
}
