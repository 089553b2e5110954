/**
 * One target of a run: a local port that is there from the start, and a session behind it that is
 * opened when somebody has logged in on the port. A session that ends under the run (idle, its time
 * is up) is followed by another when somebody connects again.
 */

import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { UploadReceipt } from '../recording/client/upload-session.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import type { AttachPort, LocalOffer, SessionPort, TargetFacts } from '../tunnel/connector.ts';
import { LocalListener } from '../tunnel/local-listener.ts';
import type { SessionEnd } from '../tunnel/session-end.ts';
import type { CarrierChoice } from '../tunnel/stream-opener.ts';
import { SuccessiveSessions } from '../tunnel/successive-sessions.ts';
import { uploadRecording } from '../tunnel/upload-recordings.ts';
import { isLoginOver } from './watch-login.ts';

export interface RunTargetEvents {
  readonly onEvidence?: (target: string, line: EvidenceLine) => void;
  readonly onOpened?: (session: ClientSession) => void;
  readonly onUploaded?: (receipt: UploadReceipt) => void;
  readonly onNotUploaded?: (session: string, error: unknown) => void;
  readonly note: (text: string) => void;
}

/** What a fence is to a run: ports of its loopback, not of ours. */
export interface ListenerSource {
  openListener(signal: AbortSignal): Promise<LocalListener>;
  /** Of the person's PATH, what the command cannot have put programs into. */
  pathOutside(path: string): string;
}

export interface RunTargetOptions {
  readonly open: OpenGateway;
  /** Of whoever started the run: delivers the recordings of a run that has lost its login. */
  readonly outer: OpenGateway;
  readonly target: TargetFacts;
  /** Of targets of its kind. */
  readonly offer: LocalOffer;
  readonly reason: string | undefined;
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly carrier: CarrierChoice;
  /** Where the child is, when it is not where we are. */
  readonly fence?: ListenerSource | undefined;
  /** Of the setting up. */
  readonly signal: AbortSignal;
  /** Called when a session is open, before any stream of it. */
  readonly onSession: (session: ClientSession) => Promise<void>;
  /** Somebody has taken something away: a session, or the right to open one. */
  readonly onRevoked: () => void;
  readonly events: RunTargetEvents;
}

export class RunTarget {
  readonly name: string;
  readonly #options: RunTargetOptions;
  readonly #sessions: SuccessiveSessions;
  #port: SessionPort | undefined;
  readonly #failures: unknown[] = [];
  #lastNote: string | undefined;

  /** @throws HoopError HOOP_LOCAL_PORT */
  static async listen(options: RunTargetOptions): Promise<RunTarget> {
    const { fence, signal } = options;
    const listener = fence
      ? await fence.openListener(signal)
      : await LocalListener.open({ type: 'tcp', port: 0 });
    const made = new RunTarget(options);
    const { target, offer, events } = options;
    const { name } = target;
    made.#port = await offer.serve({
      target,
      listener,
      openTunnel: (kind, stop) => made.#sessions.openTunnel(kind, stop),
      onRefused: (reason) => events.note(`a local connection to ${name} was refused: ${reason}`),
      onNote: (text) => events.note(`${name}: ${text}`),
    });
    return made;
  }

  private constructor(options: RunTargetOptions) {
    this.#options = options;
    this.name = options.target.name;
    this.#sessions = new SuccessiveSessions({
      connect: (attach, signal) => this.#connect(attach, signal),
      onOpened: (session) => this.#opened(session),
      onFailed: (error) => this.#failed(error),
      onEnded: (_, end) => this.#ended(end),
      deliver: (session) => this.#deliver(session),
    });
  }

  /** The session that is open now, or being opened. */
  get session(): Promise<ClientSession | undefined> {
    return this.#sessions.current;
  }

  /**
   * Closes the session and uploads what was recorded. Idempotent.
   * @returns what could not be done
   */
  async close(): Promise<readonly unknown[]> {
    this.#port?.stopAccepting();
    await this.#sessions.close(new HoopError('HOOP_SESSION_ENDED', 'the run has ended'));
    await this.#port?.close();
    return this.#failures;
  }

  /** Of git and what else hoop runs for a session, while the command runs. */
  #ownEnvironment(): NodeJS.ProcessEnv {
    const { env, fence } = this.#options;
    return fence === undefined ? env : { ...env, PATH: fence.pathOutside(env['PATH'] ?? '') };
  }

  async #connect(attach: AttachPort, signal: AbortSignal): Promise<ClientSession> {
    const { open, reason, version, carrier, events } = this.#options;
    // Loaded with the first connection: it is half of all code, and the child starts without it.
    const { connectSession } = await import('../tunnel/connect-session.ts');
    const session = await connectSession({
      open,
      target: this.name,
      reason,
      listen: { type: 'attached', attach },
      version,
      env: this.#ownEnvironment(),
      carrier,
      signal,
      events: { onEvidence: (line) => events.onEvidence?.(this.name, line) },
    });
    events.onOpened?.(session);
    return session;
  }

  async #opened(session: ClientSession): Promise<void> {
    const { events, onSession } = this.#options;
    await onSession(session);
    this.#lastNote = undefined;
    events.note(`session ${session.id} to ${this.name} (recorded)`);
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#noteOnce(`${this.name} cannot be opened: ${message}`);
    if (isLoginOver(error)) {
      this.#options.onRevoked();
    }
  }

  #ended(end: SessionEnd): void {
    this.#options.events.note(`the session to ${this.name} has ended: ${end.message}`);
    // closed: by its person, from elsewhere.
    if (end.reason === 'revoked' || end.reason === 'closed') {
      this.#options.onRevoked();
    }
  }

  async #deliver(session: ClientSession): Promise<void> {
    const { open, outer, events } = this.#options;
    const { name } = this;
    const upload = (as: OpenGateway) =>
      uploadRecording({
        open: as,
        session: session.id,
        live: session.live,
        owner: outer,
        note: (text) => events.note(`${name}: ${text}`),
      });
    try {
      await session.close();
      const receipt = await upload(open).catch((error: unknown) => {
        if (error instanceof HoopError && isLoginOver(error.cause)) {
          return upload(outer);
        }
        throw error;
      });
      events.onUploaded?.(receipt);
    } catch (error) {
      events.onNotUploaded?.(session.id, error);
      this.#failures.push(error);
    }
  }

  /** A program that tries again each second must not fill the terminal. */
  #noteOnce(text: string): void {
    if (text !== this.#lastNote) {
      this.#lastNote = text;
      this.#options.events.note(text);
    }
  }
}
