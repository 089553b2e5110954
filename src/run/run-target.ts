/**
 * One target of a run: a local port that is there from the start, and a session behind it that is
 * opened when somebody has logged in on the port. A session that ends under the run (idle, its time
 * is up) is followed by another when somebody connects again.
 */

import { once } from 'node:events';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { EvidenceLine } from '../recording/evidence-lines.ts';
import type { UploadReceipt } from '../recording/upload-session.ts';
import type { StreamKind } from '../stream-kinds.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import type { LocalOffer, OpenTunnel, SessionPort, TargetFacts } from '../tunnel/connector.ts';
import type { Tunnel } from '../tunnel/half-close.ts';
import { LocalListener } from '../tunnel/local-listener.ts';
import type { SessionEnd } from '../tunnel/session-end.ts';
import type { CarrierChoice } from '../tunnel/stream-opener.ts';
import { uploadRecording } from '../tunnel/upload-recordings.ts';
import { untilAborted } from '../until.ts';
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
  #port: SessionPort | undefined;
  readonly #closing = new AbortController();
  #live: Promise<LiveSession> | undefined;
  /** Sessions that have ended or are ending, until they are uploaded. */
  readonly #settling = new Set<Promise<void>>();
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
      openTunnel: (kind, stop) => made.#openTunnel(kind, stop),
      onRefused: (reason) => events.note(`a local connection to ${name} was refused: ${reason}`),
      onNote: (text) => events.note(`${name}: ${text}`),
    });
    return made;
  }

  private constructor(options: RunTargetOptions) {
    this.#options = options;
    this.name = options.target.name;
  }

  /** The session that is open now, or being opened. */
  get session(): Promise<ClientSession | undefined> {
    return Promise.resolve(this.#live).then(
      (live) => live?.session,
      () => undefined,
    );
  }

  /**
   * Closes the session and uploads what was recorded. Idempotent.
   * @returns what could not be done
   */
  async close(): Promise<readonly unknown[]> {
    this.#port?.stopAccepting();
    this.#closing.abort(new HoopError('HOOP_SESSION_ENDED', 'the run has ended'));
    await this.#live?.then(
      (live) => this.#settle(live),
      () => undefined,
    );
    await Promise.all(this.#settling);
    await this.#port?.close();
    return this.#failures;
  }

  async #openTunnel(kind: StreamKind, signal: AbortSignal): Promise<Tunnel> {
    this.#live ??= this.#open();
    // One client that goes does not stop what others wait for.
    const { tunnels } = await untilAborted(this.#live, signal);
    return tunnels.open(kind, signal);
  }

  /** Of git and what else hoop runs for a session, while the command runs. */
  #ownEnvironment(): NodeJS.ProcessEnv {
    const { env, fence } = this.#options;
    return fence === undefined ? env : { ...env, PATH: fence.pathOutside(env['PATH'] ?? '') };
  }

  async #open(): Promise<LiveSession> {
    const { open, reason, version, carrier, events, onSession } = this.#options;
    const { name } = this;
    const tunnels = new AttachedTunnels();
    try {
      // Loaded with the first connection: it is half of all code, and the child starts without it.
      const { connectSession } = await import('../tunnel/connect-session.ts');
      const session = await connectSession({
        open,
        target: name,
        reason,
        listen: { type: 'attached', attach: (openTunnel) => tunnels.attach(openTunnel) },
        version,
        env: this.#ownEnvironment(),
        carrier,
        signal: this.#closing.signal,
        events: { onEvidence: (line) => events.onEvidence?.(name, line) },
      });
      const live = { session, tunnels };
      events.onOpened?.(session);
      void session.ended.then((end) => {
        this.#noteEnd(end);
        this.#settle(live);
        // closed: by its person, from elsewhere.
        if (end.reason === 'revoked' || end.reason === 'closed') {
          this.#options.onRevoked();
        }
      });
      await onSession(session);
      this.#lastNote = undefined;
      events.note(`session ${session.id} to ${name} (recorded)`);
      return live;
    } catch (error) {
      this.#live = undefined;
      const message = error instanceof Error ? error.message : String(error);
      this.#noteOnce(`${name} cannot be opened: ${message}`);
      if (isLoginOver(error)) {
        this.#options.onRevoked();
      }
      throw error;
    }
  }

  /** From here on the next connection opens another session. */
  #settle({ session }: LiveSession): void {
    this.#live = undefined;
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
    const settling = session
      .close()
      .then(() => upload(open))
      .catch((error: unknown) => {
        if (error instanceof HoopError && isLoginOver(error.cause)) {
          return upload(outer);
        }
        throw error;
      })
      .then(
        (receipt) => events.onUploaded?.(receipt),
        (error: unknown) => {
          events.onNotUploaded?.(session.id, error);
          this.#failures.push(error);
        },
      )
      .finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }

  #noteEnd(end: SessionEnd): void {
    this.#options.events.note(`the session to ${this.name} has ended: ${end.message}`);
  }

  /** A program that tries again each second must not fill the terminal. */
  #noteOnce(text: string): void {
    if (text !== this.#lastNote) {
      this.#lastNote = text;
      this.#options.events.note(text);
    }
  }
}

interface LiveSession {
  readonly session: ClientSession;
  readonly tunnels: AttachedTunnels;
}

/** The connections of one session on a port that outlives it: what ends them, and nobody else's. */
const NONE: SessionPort['refused'] = new Map();

class AttachedTunnels {
  readonly #open = new Set<Tunnel>();
  #openTunnel: OpenTunnel | undefined;
  #isEnding = false;

  /** What the session sees of its port. */
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
    hint: 'Connect again: the run opens a new one.',
  });
}
