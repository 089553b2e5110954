/**
 * What programs inside a run keep on disk, `<state>/runs/<run>/`: the run's tokens, the pin of its
 * gateway, recordings. It is a home of its own, so that they never need the person's, and it is in
 * the state directory, so that recordings survive a `hoop run` that is killed.
 *
 * A fenced program may write here and nowhere near, and hoop reads it outside of the fence: a link
 * is never followed, and what is no file is never opened.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { holdLock, isHeld } from '../held-lock.ts';
import { isClaimedByOther, spoolDirectory } from '../recording/client/spool.ts';
import { isSessionId } from '../session-id.ts';

/** Of `state`, wherever that is: a run inside a run has its own below that of the outer one. */
interface State {
  readonly state: string;
}

/** Beside the directory, where nothing inside a fence can write: it decides when hoop takes over. */
function ownerPath(directory: string): string {
  return `${directory}.owner`;
}

/**
 * The lock on the tokens of a run. It is a database that hoop opens outside of the fence: in the
 * directory itself, what lies there (a link, a journal that names other files) would be the run's.
 */
export function runLockPath(directory: string): string {
  return `${directory}.lock`;
}

/** Of runs of this process: what is not held any more belongs to nobody. */
const owned = new Map<string, Disposable>();

/** @returns the new directory, 0700, which belongs to this process */
export function makeRunState(home: State, run: string): string {
  const directory = join(home.state, 'runs', run);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  owned.set(directory, holdLock(ownerPath(directory)));
  return directory;
}

/** Directories of runs whose process was killed. */
export async function abandonedRunStates(home: State): Promise<string[]> {
  const runs = join(home.state, 'runs');
  return (await directoriesIn(runs)).map((name) => join(runs, name)).filter((one) => !isOwned(one));
}

/**
 * Takes over the recordings that programs inside the run have left, and removes the rest of the
 * directory. One that a program is still writing stays, with its directory, for the next time.
 * @returns sessions that are below `home` now
 */
export async function adoptRunState(home: State, directory: string): Promise<string[]> {
  // Tokens and keys first: nothing that is left shall be good for anything.
  for (const name of ['tokens.json', 'config.json', 'trust.json']) {
    rmSync(join(directory, name), { force: true });
  }
  const adopted: string[] = [];
  const runs = join(directory, 'runs');
  for (const inner of await directoriesIn(runs)) {
    adopted.push(...(await adoptRunState(home, join(runs, inner))));
  }
  const from = join(directory, 'sessions');
  const to = join(home.state, 'sessions');
  await mkdir(to, { recursive: true, mode: 0o700 });
  let isInUse = (await directoriesIn(runs)).length > 0;
  for (const session of (await directoriesIn(from)).filter(isSessionId).sort()) {
    const spool = spoolDirectory(from, session);
    if (!holdsOnlyFiles(spool)) {
      continue;
    }
    if (await isClaimedByOther(spool)) {
      isInUse = true;
    } else if (!isThere(spoolDirectory(to, session))) {
      await rename(spool, spoolDirectory(to, session));
      adopted.push(session);
    }
  }
  if (!isInUse) {
    // A command inside the run that ends just now may still write there.
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    owned.get(directory)?.[Symbol.dispose]();
    owned.delete(directory);
    rmSync(ownerPath(directory), { force: true });
    rmSync(runLockPath(directory), { force: true });
    await rmdir(join(home.state, 'runs')).catch(() => undefined);
  }
  return adopted;
}

function isOwned(directory: string): boolean {
  const path = ownerPath(directory);
  return isFile(path) && isHeld(path);
}

/** Names of the directories in `parent`, if that is one itself. */
async function directoriesIn(parent: string): Promise<string[]> {
  if (!lstatSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
    return [];
  }
  const entries = await readdir(parent, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function holdsOnlyFiles(directory: string): boolean {
  return readdirSync(directory).every((name) => isFile(join(directory, name)));
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
