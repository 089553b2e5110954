/** Files that hold keys: 0600, written whole or not at all, refused when others may read them. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing } from '../../home.ts';

/** @returns undefined when there is no such file. @throws HoopError HOOP_CONFIG for loose modes */
export function readPrivateFile(path: string): Uint8Array | undefined {
  let fd: number;
  try {
    // A link could point at a file that someone else controls.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
  try {
    const { mode } = fstatSync(fd);
    // On Windows the mode says nothing about who may read: the user's profile is private.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new HoopError('HOOP_CONFIG', `"${path}" can be read by others`, {
        detail: 'The file holds a private key.',
        hint: `Replace the key if others may have read it, then run: chmod 600 '${path}'`,
      });
    }
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** On disk when this returns. Replaces what was there. */
export function writePrivateFile(path: string, content: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  writeAside(temporary, content);
  renameSync(temporary, path);
  syncDirectoryOf(path);
}

/**
 * Whole or not at all, and once: of several processes that make it at the same time all have that
 * of the first.
 * @returns what is in it when this returns, on disk
 * @throws HoopError HOOP_CONFIG for loose modes
 */
export function createPrivateFile(path: string, make: () => Uint8Array): Uint8Array {
  const before = readPrivateFile(path);
  if (before !== undefined) return before;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Process ids are of a container; two of them may share the directory.
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  writeAside(temporary, make());
  try {
    // Unlike rename it does not replace: it is the first, or fails.
    linkSync(temporary, path);
  } catch (error) {
    if (!isExisting(error)) throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncDirectoryOf(path);
  const content = readPrivateFile(path);
  if (content === undefined) throw new Error(`"${path}" was removed while it was made`);
  return content;
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}

function writeAside(temporary: string, content: Uint8Array | string): void {
  const fd = openSync(temporary, 'w', 0o600);
  try {
    // Not writeSync: on a disk that is nearly full it may take a part and call that a success.
    writeFileSync(fd, content);
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function syncDirectoryOf(path: string): void {
  // Windows opens no directories, and writes names through by itself.
  if (process.platform === 'win32') {
    return;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
