/**
 * The work of `hoop ssh-stdio`: ssh(1) speaks to our standard input and output. The first one opens
 * a session and serves it on a unix socket, to itself and to those that come while it lasts.
 */
import { closeSync, openSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { withStateLock } from '../../auth/state-lock.ts';
import { joinSession, sshPlaceOf } from '../../connectors/ssh/client/shared-socket.ts';
import { HoopError } from '../../errors.ts';
import { locateHome } from '../../home.ts';
import { doneOrAborted, onAbort } from '../../until.ts';
import type { Io } from '../io.ts';
import type { StdioRequest } from '../shared-session.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

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
    if (other !== undefined) {
      return other;
    }
    // What only joins has nothing of this to load.
    const { SharedSession } = await import('../shared-session.ts');
    return SharedSession.open(io, home, request);
  });
  if (opened instanceof Socket) {
    await relay(opened);
    return;
  }
  // ssh(1) hangs up when it is done, and Ctrl-C is meant for it: others may use the session still.
  const release = io.onSignal(() => undefined, 'SIGTERM');
  using _ = onAbort(io.signal, () => opened.end());
  try {
    await doneOrAborted(relay(connect(opened.socketPath)), io.signal);
  } finally {
    letGoOfStderr();
    await opened.close();
    release();
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
      throw new HoopError('HOOP_LOCAL_PORT', 'the session no longer exists', {
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
