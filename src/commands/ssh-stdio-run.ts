/**
 * The work of `hoop ssh-stdio`: ssh(1) speaks to our standard input and output. The first one opens
 * a session and serves it on a unix socket, to itself and to those that come while it lasts.
 */
import { closeSync, openSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openGateway } from '../auth/open-gateway.ts';
import { withStateLock } from '../auth/state-lock.ts';
import { HoopError } from '../errors.ts';
import { type Home, locateHome } from '../home.ts';
import { packageVersion } from '../package-version.ts';
import { type ClientSession, connectSession } from '../tunnel/connect-session.ts';
import { closeLocalSide, type LocalSide, openLocalSide } from '../tunnel/local-side.ts';
import { keptSshKeys, sshPlaceOf } from '../tunnel/ssh/kept-ssh-keys.ts';
import { LocalSshPort } from '../tunnel/ssh/local-ssh-port.ts';
import { joinSession, publishSocket, withdrawSocket } from '../tunnel/ssh/shared-socket.ts';
import { uploadRecording } from '../tunnel/upload-recordings.ts';
import { plain } from '../ui/printable.ts';
import type { Io } from './io.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

interface StdioRequest {
  readonly target: string;
  readonly reason: string | undefined;
}

/** `--socket FILE`. @throws HoopError HOOP_LOCAL_PORT */
export async function joinSocket(path: string): Promise<void> {
  await relay(connect(path));
}

export async function runSshStdio(io: Io, request: StdioRequest): Promise<void> {
  const home = locateHome(io.env);
  const joined = await joinSession(home, request.target);
  if (joined !== undefined) {
    await relay(joined);
    return;
  }
  // Those that start at once: one opens, the others join it.
  const lock = join(sshPlaceOf(home, request.target), 'session.lock');
  const opened = await withStateLock(lock, io.signal, async () => {
    const other = await joinSession(home, request.target);
    return other ?? SharedSession.open(io, home, request);
  });
  if (opened instanceof Socket) {
    await relay(opened);
    return;
  }
  // ssh(1) hangs up when it is done, and Ctrl-C is meant for it: others may use the session still.
  const release = io.onSignal((signal) => {
    if (signal === 'SIGTERM') {
      opened.end();
    }
  });
  try {
    await relay(connect(opened.socketPath));
  } finally {
    letGoOfStderr();
    await opened.close();
    release();
  }
}

class SharedSession {
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
              onNote: (text) => io.note(plain(text)),
            });
            return made.port;
          },
        },
        version: packageVersion(),
        env: io.env,
        carrier: io.env['HOOP_CARRIER'] === 'websocket' ? 'websocket' : 'auto',
        signal: io.signal,
        events: {},
      });
      if (session.reply.target.kind !== 'ssh' || made.port === undefined) {
        await session.close();
        throw new HoopError('HOOP_USAGE', `"${plain(target)}" is a database, not a server`);
      }
      return new SharedSession({ home, target, local, port: made.port, session, open });
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
      await uploadRecording({ open: this.#open, session: this.#session.id, note: () => undefined });
    } finally {
      closeLocalSide(this.#local);
      await this.#open[Symbol.asyncDispose]();
    }
  }
}

/** Our standard input and output are ssh's connection, until either side has ended. */
async function relay(socket: Socket): Promise<void> {
  const input = new Socket({ fd: STDIN, readable: true, writable: false });
  // Not process.stdout: to a pipe it writes in one go, and waits for ssh with everything else.
  const output = new Socket({ fd: STDOUT, readable: false, writable: true });
  const up = pipeline(input, socket).catch(() => undefined);
  const down = pipeline(socket, output).catch((error: unknown) => {
    if (error instanceof Error && 'syscall' in error && error.syscall === 'connect') {
      throw new HoopError('HOOP_LOCAL_PORT', 'the session is not there any more', {
        detail: 'The program that opened it has ended.',
        cause: error,
      });
    }
    // ssh has gone, which is an end like any other.
  });
  await Promise.race([up, down]);
  socket.destroySoon();
  input.destroy();
  await down;
}

/** Who waits for the end of our output (`ssh … 2>&1 | less`) need not wait for what is left to do. */
function letGoOfStderr(): void {
  closeSync(STDERR);
  // Whatever is opened next must not stand where errors are written to; the others may be free, too.
  for (let fd = -1; fd < STDERR; ) {
    fd = openSync('/dev/null', 'r+');
  }
}
