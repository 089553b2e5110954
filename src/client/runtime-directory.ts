/**
 * The directory of one session for its socket, service file and password file. Its name holds the
 * process that made it: one that was killed could not remove its own, so the next command does.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import { isRunning } from '../is-running.ts';

/** sun_path on macOS, with the name of libpq's socket in it; Linux has four bytes more. */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = '/.s.PGSQL.5432';
/** In `runtime`. */
const PREFIX = 's-';
/** In the system's temporary directory, which is everybody's. */
const SHORT_PREFIX = 'hoop-s-';

/** A new 0700 directory below `runtime`, short enough for a socket. The caller removes it. */
export function makeRuntimeDirectory(runtime: string): string {
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  requireOwn(runtime);
  const directory = mkdtempSync(join(runtime, `${PREFIX}${process.pid}-`));
  if (Buffer.byteLength(directory + SOCKET_NAME) <= MAX_SOCKET_PATH_BYTES) {
    return directory;
  }
  // A deep HOOP_HOME: the system's temporary directory is short, and mkdtemp makes it 0700.
  rmSync(directory, { recursive: true });
  return mkdtempSync(join(tmpdir(), `${SHORT_PREFIX}${process.pid}-`));
}

/**
 * Removes what sessions left behind whose process was killed. Never fails: it is not what the user
 * came for, and the next command tries again.
 */
export function sweepRuntimeDirectories(runtime: string): void {
  sweep(runtime, PREFIX);
  sweep(tmpdir(), SHORT_PREFIX);
}

function sweep(parent: string, prefix: string): void {
  for (const name of entriesOf(parent)) {
    const processId = name.startsWith(prefix)
      ? /^(\d{1,10})-[A-Za-z0-9]{6}$/.exec(name.slice(prefix.length))?.[1]
      : undefined;
    if (processId !== undefined && !isRunning(Number(processId))) {
      removeOwn(join(parent, name));
    }
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Not there yet, or not ours to look into: nothing of ours is in it.
    return [];
  }
}

/** A link, or somebody else's directory under a name like ours, is left alone. */
function removeOwn(path: string): void {
  try {
    const stats = lstatSync(path);
    if (stats.isDirectory() && (process.getuid === undefined || stats.uid === process.getuid())) {
      rmSync(path, { recursive: true, force: true });
    }
  } catch {
    // Another command was quicker, or a file in it is not ours: it harms nobody until next time.
  }
}

/**
 * Without XDG_RUNTIME_DIR it is a name in /tmp that anybody can foresee. Whoever owns or may write
 * the directory could put files of his own in place of ours, and clients would talk to him.
 */
function requireOwn(directory: string): void {
  const stats = lstatSync(directory);
  // Windows has neither; its directories are below the user's profile.
  const isOwn =
    process.getuid === undefined || (stats.uid === process.getuid() && (stats.mode & 0o022) === 0);
  if (!stats.isDirectory() || !isOwn) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${directory}" is not private to you`, {
      detail: 'It is a link, belongs to somebody else, or others can write in it.',
      hint: 'Remove it, or set HOOP_HOME or XDG_RUNTIME_DIR to a directory of your own.',
    });
  }
}
