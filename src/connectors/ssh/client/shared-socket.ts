/**
 * Where the session of a target can be joined: a file that names the unix socket of the process
 * that has it open. What stands there may be old; who connects finds out.
 */
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { isMissing, writeFileAtomic } from '../../../home.ts';
import { requireHostName } from './ssh-config.ts';

const FILE = 'socket';
/** The other process speaks first (RFC 4253 §4.2); one that hangs is not waited for. */
const GREETS_WITHIN_MS = 5_000;

/** Below the state directory: what is kept for one target. @throws HoopError HOOP_LOCAL_PORT */
export function sshPlaceOf(home: { readonly state: string }, target: string): string {
  return join(home.state, 'ssh', requireHostName(target));
}

export function publishSocket(
  home: { readonly state: string },
  target: string,
  path: string,
): void {
  writeFileAtomic(join(sshPlaceOf(home, target), FILE), `${path}\n`);
}

/** Only if it is still ours. */
export function withdrawSocket(
  home: { readonly state: string },
  target: string,
  path: string,
): void {
  if (publishedSocket(home, target) === path) {
    rmSync(join(sshPlaceOf(home, target), FILE), { force: true });
  }
}

/**
 * @returns a connection to the process that has a session open, whose first bytes are there;
 *   undefined: nobody has
 */
export async function joinSession(
  home: { readonly state: string },
  target: string,
): Promise<Socket | undefined> {
  const path = publishedSocket(home, target);
  if (path === undefined) {
    return undefined;
  }
  const socket = connect(path);
  try {
    const signal = AbortSignal.timeout(GREETS_WITHIN_MS);
    await once(socket, 'readable', { signal });
    if (socket.readableLength > 0) {
      return socket;
    }
  } catch {
    // It has gone, or ends just now: a session of our own does as well.
  }
  socket.on('error', () => undefined).destroy();
  return undefined;
}

function publishedSocket(home: { readonly state: string }, target: string): string | undefined {
  try {
    return readFileSync(join(sshPlaceOf(home, target), FILE), 'utf8').trim();
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}
