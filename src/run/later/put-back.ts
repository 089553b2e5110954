/**
 * Puts back what stood in a file before a run, and keeps what the run had left there aside, out of
 * the way of everything that would run it. The directories above are held open on the way (Linux:
 * /proc/self/fd), so that a link that is put among them meanwhile leads nowhere.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  cpSync,
  fchmodSync,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { errorCode } from '../../error-code.ts';
import { isBelow } from '../fence/is-below.ts';
import { type FileState, hasStrangeName, isSameMoved, readState, statOf } from './file-state.ts';
import type { Change } from './later-changes.ts';

export type PutBack =
  /** @property aside where what was there is now; undefined: nothing was */
  | { readonly done: true; readonly aside: string | undefined }
  /** It is not what was shown any more. */
  | { readonly done: false; readonly why: 'changed again' }
  | { readonly done: false; readonly why: string };

/** Whether it is known what stood there. */
export function canPutBack({ before }: Change): boolean {
  return before === undefined
    ? false
    : before.kind === 'file'
      ? before.content !== undefined
      : before.kind !== 'other';
}

/** @param aside directory, made when it is needed */
export function putBack(change: Change, aside: string): PutBack {
  let directory: OpenDirectory | undefined;
  try {
    directory = OpenDirectory.open(change.place, dirname(change.path));
    return exchange(change, directory, join(aside, change.path));
  } catch (error) {
    const code = errorCode(error) ?? 'it failed';
    return { done: false, why: WHY[code] ?? code };
  } finally {
    directory?.close();
  }
}

const NO_TEXT = 'its name is not UTF-8';

const WHY: Readonly<Record<string, string>> = {
  ELOOP: 'a parent directory is now a link',
  ENOTDIR: 'a parent directory is now a link or a file',
  EACCES: 'it is not writable',
  EROFS: 'it is not writable',
  EPERM: 'it is not writable',
};

function exchange(change: Change, directory: OpenDirectory, aside: string): PutBack {
  const { before, after } = change;
  const name = basename(change.path);
  const path = directory.at(name);
  const taken = directory.at(ownName());
  if (after.kind !== 'absent') {
    if (statOf(path) === undefined) {
      return { done: false, why: hasStrangeName(name) ? NO_TEXT : 'changed again' };
    }
    // Taken first and looked at then: what is written meanwhile has no way to it by its name.
    renameSync(path, taken);
    if (!isShown(change, taken)) {
      giveBack(taken, path);
      return { done: false, why: 'changed again' };
    }
  }
  try {
    writeBefore(before, directory, name);
  } catch (error) {
    if (after.kind !== 'absent') giveBack(taken, path);
    if (errorCode(error) === 'EEXIST') {
      return { done: false, why: 'changed again' };
    }
    throw error;
  }
  if (after.kind === 'absent') return { done: true, aside: undefined };
  try {
    return { done: true, aside: keepAside(taken, aside) };
  } catch {
    // No room, or a pipe: under its other name it stays where it is, and nothing runs it.
    return { done: true, aside: join(dirname(change.path), basename(taken)) };
  }
}

/** Of a directory only that it is one. Under its other name a link may end somewhere else. */
function isShown({ after }: Change, taken: string): boolean {
  if (after.kind === 'file') return isSameMoved(after, taken);
  const now = readState(taken);
  if (after.kind === 'link' && now.kind === 'link') return after.to === now.to;
  return after.kind === 'other' && now.kind === 'other';
}

/** Nothing runs what is called so; without the name of the file, which may have its full length. */
function ownName(): string {
  return `.hoop-${randomBytes(8).toString('hex')}`;
}

function giveBack(taken: string, path: string): void {
  // What stands there now is newer than what was taken, and both must stay.
  if (statOf(path) === undefined) renameSync(taken, path);
}

/** Never over what somebody has put there meanwhile. */
function writeBefore(before: FileState | undefined, directory: OpenDirectory, name: string): void {
  if (before?.kind === 'link') {
    symlinkSync(before.to, directory.at(name));
  } else if (before?.kind === 'file' && before.content !== undefined) {
    const made = directory.at(ownName());
    const descriptor = openSync(made, 'wx', 0o600);
    try {
      writeFileSync(descriptor, Buffer.from(before.content, 'base64'));
      fchmodSync(descriptor, before.mode);
      linkSync(made, directory.at(name));
    } finally {
      closeSync(descriptor);
      unlinkSync(made);
    }
  }
}

/** @returns where it is now */
function keepAside(taken: string, aside: string): string {
  mkdirSync(dirname(aside), { recursive: true, mode: 0o700 });
  const stat = statOf(taken);
  const to = statOf(aside) === undefined ? aside : `${aside}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(taken, to);
  } catch (error) {
    // Another file system.
    if (errorCode(error) !== 'EXDEV') throw error;
    try {
      if (stat?.isSymbolicLink()) symlinkSync(readlinkSync(taken), to);
      else cpSync(taken, to, { recursive: true, verbatimSymlinks: true, force: false });
    } catch (failed) {
      // Half of it is of no use, and may have filled the disk.
      rmSync(to, { recursive: true, force: true });
      throw failed;
    }
    rmSync(taken, { recursive: true, force: true });
  }
  return to;
}

/** Removes directories of settings (`.claude/hooks`) above a file that is gone again, as far as they are empty. */
export function removeEmpty({ path, place }: Pick<Change, 'path' | 'place'>): void {
  for (let at = dirname(path); isBelow(at, place) && at !== place; at = dirname(at)) {
    const isOfSettings = relative(dirname(place), at)
      .split('/')
      .some((name) => name.startsWith('.'));
    if (!isOfSettings) return;
    try {
      rmdirSync(at);
    } catch {
      return;
    }
  }
}

/** A directory that stays the one it was, whatever is renamed above it. */
class OpenDirectory {
  readonly #descriptor: number;

  /** Makes what is not there below `place`. @throws ELOOP, ENOTDIR when a link is on the way, also above it */
  static open(place: string, path: string): OpenDirectory {
    const names = relative(place, path).split('/').filter(Boolean);
    let descriptor = openPlace(place);
    for (const name of names) {
      const next = `/proc/self/fd/${descriptor}/${name}`;
      try {
        if (statOf(next) === undefined) mkdirSync(next);
        const opened = openDirectory(next);
        closeSync(descriptor);
        descriptor = opened;
      } catch (error) {
        closeSync(descriptor);
        throw error;
      }
    }
    return new OpenDirectory(descriptor);
  }

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  at(name: string): string {
    return `/proc/self/fd/${this.#descriptor}/${name}`;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** By the kernel's name of what was opened: above it may be what another run can write. */
function openPlace(place: string): number {
  const descriptor = openDirectory(place);
  if (readlinkSync(`/proc/self/fd/${descriptor}`) === place) return descriptor;
  closeSync(descriptor);
  throw Object.assign(new Error('a link above the place'), { code: 'ELOOP' });
}

function openDirectory(path: string): number {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}
