/**
 * What a git that was stopped or killed has left: it may be stopped before it knows that it has a lock,
 * and it never removes the pack that it was receiving. Nobody else would ever do that: no policy would
 * come into force any more, and each poll would cost as much of the disk as a fetch may.
 */
import { type Dirent, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../error-code.ts';
import { GIT_TIMEOUT_MS } from './git.ts';

const STALE_MS = 2 * GIT_TIMEOUT_MS;
const BESIDE_THE_CLONE = /^(policy\.git|unclean|incoming|gitconfig|allowed-signers|signature)\../;
const AMONG_OBJECTS = /^(tmp_|\.tmp-|incoming-)|\.(temp|lock)$/;
const LOCK = /\.lock$/;
const AMONG_REFS = /^new-|\.lock$/;

/** @param isAlone - nobody else uses the directory, else only what no git can have any more goes */
export function removeLeftovers(dir: string, gitDir: string, isAlone: boolean): void {
  const objects = join(gitDir, 'objects');
  const left = [
    ...named(BESIDE_THE_CLONE, dir),
    ...named(LOCK, gitDir),
    ...named(AMONG_REFS, join(gitDir, 'refs/hoop')),
    ...named(LOCK, join(gitDir, 'refs'), { below: true }),
    ...named(AMONG_OBJECTS, objects, { below: true }),
  ];
  for (const path of left) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && (isAlone || Date.now() - stat.mtimeMs > STALE_MS)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** By hand: the first `globSync` of a process takes 10 ms. */
function named(name: RegExp, directory: string, { below = false } = {}): string[] {
  return entriesOf(directory).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (name.test(entry.name)) return [path];
    return below && entry.isDirectory() ? named(name, path, { below }) : [];
  });
}

/** What goes while it is read is not among them. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
