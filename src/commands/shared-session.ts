/** A session that `hoop ssh-stdio` has opened, for itself and for those that join it. */
import { openGateway } from '../auth/open-gateway.ts';
import { keptSshKeys } from '../connectors/ssh/client/kept-ssh-keys.ts';
import { LocalSshPort } from '../connectors/ssh/client/local-ssh-port.ts';
import { publishSocket, withdrawSocket } from '../connectors/ssh/client/shared-socket.ts';
import type { Home } from '../home.ts';
import { type ClientSession, connectSession } from '../tunnel/connect-session.ts';
import { closeLocalSide, type LocalSide, openLocalSide } from '../tunnel/local-side.ts';
import { uploadPending, uploadRecording } from '../tunnel/upload-recordings.ts';
import { plain } from '../ui/text/printable.ts';
import type { Io } from './io.ts';
import { requireServer } from './require-server.ts';
import { sessionOptions } from './session-options.ts';

const PENDING_WITHIN_MS = 300_000;

export interface StdioRequest {
  readonly target: string;
  readonly reason: string | undefined;
}

export class SharedSession {
  readonly socketPath: string;
  readonly #home: Home;
  readonly #target: string;
  readonly #local: LocalSide;
  readonly #port: LocalSshPort;
  readonly #session: ClientSession;
  readonly #open: Awaited<ReturnType<typeof openGateway>>;
  readonly #ended = Promise.withResolvers<void>();

  static async open(io: Io, home: Home, { target, reason }: StdioRequest): Promise<SharedSession> {
    const silent = { ...io, note: () => undefined };
    const keys = await keptSshKeys(home, target, io.signal);
    const open = await openGateway(silent);
    const local = await openLocalSide(open.home, { type: 'unix' });
    const made: { port?: LocalSshPort } = {};
    try {
      const session = await connectSession({
        open,
        target,
        reason,
        listen: {
          type: 'attached',
          attach: (openTunnel) => {
            made.port = new LocalSshPort({
              ...keys,
              listener: local.listener,
              openTunnel,
              isShared: true,
              onNote: (text) => io.note(plain(text)),
            });
            return made.port;
          },
        },
        ...sessionOptions(io),
        events: {},
      });
      const { port } = made;
      try {
        await requireServer(session.reply.target);
        if (port === undefined) {
          throw new TypeError('a session attaches its port before it is open');
        }
      } catch (error) {
        await session.close();
        const upload = { open, session: session.id, live: session.live };
        // What cannot be sent now is sent by a later command, and is not what went wrong.
        await uploadRecording({ ...upload, note: silent.note }).catch(() => undefined);
        throw error;
      }
      return new SharedSession({ home, target, local, port, session, open });
    } catch (error) {
      closeLocalSide(local);
      await open[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(made: {
    readonly home: Home;
    readonly target: string;
    readonly local: LocalSide;
    readonly port: LocalSshPort;
    readonly session: ClientSession;
    readonly open: Awaited<ReturnType<typeof openGateway>>;
  }) {
    this.#home = made.home;
    this.#target = made.target;
    this.#local = made.local;
    this.#port = made.port;
    this.#session = made.session;
    this.#open = made.open;
    this.socketPath = made.local.listener.socketPath ?? '';
    publishSocket(this.#home, this.#target, this.socketPath);
    void this.#session.ended.then(() => this.end());
  }

  /** As soon as possible, whoever uses it. */
  end(): void {
    this.#ended.resolve();
  }

  /** When nobody uses it any more. */
  async close(): Promise<void> {
    try {
      await Promise.race([this.#port.idle(), this.#ended.promise]);
      withdrawSocket(this.#home, this.#target, this.socketPath);
      await this.#session.close();
      // Kept for the next command when it fails: nobody is there to be told.
      const upload = { open: this.#open, note: () => undefined };
      await uploadRecording({ ...upload, session: this.#session.id, live: this.#session.live });
      // Nobody waits any more: what earlier sessions left behind may take its time.
      await uploadPending({ ...upload, signal: AbortSignal.timeout(PENDING_WITHIN_MS) });
    } finally {
      closeLocalSide(this.#local);
      await this.#open[Symbol.asyncDispose]();
    }
  }
}
