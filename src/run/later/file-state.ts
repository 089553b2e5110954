/** What stands at a path, and what is needed to put it back. Nothing is followed, and nothing but a file is opened. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as z from 'zod';

/** Larger ones are compared and not kept: what tools run by themselves is short. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** Larger ones are told by their time. */
const MAX_READ_BYTES = 64 * 1024 * 1024;
/** Of all files of a run together: kept, and read. */
const MAX_ALL_BYTES = 32 * 1024 * 1024;
const MAX_ALL_READ_BYTES = 512 * 1024 * 1024;
/** What a byte that is no UTF-8 is read as. */
const REPLACEMENT = '\ufffd';

export const FileState = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('absent') }),
  z.object({
    kind: z.literal('file'),
    /** Permissions. */
    mode: z.number(),
    /** hex; of a file that is not kept a name of this version of it */
    sha256: z.string(),
    /** base64 */
    content: z.string().optional(),
  }),
  z.object({
    kind: z.literal('link'),
    to: z.string(),
    /** Where it ends. */
    real: z.string().optional(),
  }),
  /** A directory, or what cannot be read. */
  z.object({ kind: z.literal('other'), what: z.string() }),
]);
export type FileState = z.infer<typeof FileState>;

export const ABSENT: FileState = { kind: 'absent' };

/** What may still be kept and read, in bytes; one for all files that are looked at together. */
export interface Room {
  left: number;
  toRead: number;
}

export function newRoom(): Room {
  return { left: MAX_ALL_BYTES, toRead: MAX_ALL_READ_BYTES };
}

export function readState(path: string, room: Room = newRoom()): FileState {
  const stat = statOf(path);
  if (stat === undefined) return hasStrangeName(path) ? strangeState(path) : ABSENT;
  if (stat.isSymbolicLink()) return linkState(path);
  if (!stat.isFile()) return { kind: 'other', what: stat.isDirectory() ? 'directory' : 'no file' };
  let descriptor: number | undefined;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const opened = fstatSync(descriptor);
    if (!opened.isFile()) return { kind: 'other', what: 'no file' };
    const mode = opened.mode & 0o777;
    if (opened.size > Math.min(MAX_READ_BYTES, room.toRead)) {
      return { kind: 'file', mode, sha256: versionOf(opened) };
    }
    room.toRead -= opened.size;
    const bytes = readFileSync(descriptor);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (bytes.length > MAX_KEPT_BYTES || bytes.length > room.left) {
      return { kind: 'file', mode, sha256 };
    }
    room.left -= bytes.length;
    return { kind: 'file', mode, sha256, content: bytes.toString('base64') };
  } catch {
    return { kind: 'other', what: `unreadable ${versionOf(stat)}` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Names that a string cannot say, because they are no UTF-8, are read with this in them. */
export function hasStrangeName(path: string): boolean {
  return basename(path).includes(REPLACEMENT);
}

/** Of what has such a name, that it is there, and which version of it. */
function strangeState(path: string): FileState {
  try {
    const directory = dirname(path);
    const name = readdirSync(directory, { encoding: 'buffer' }).find(
      (bytes) => bytes.toString('utf8') === basename(path),
    );
    if (name === undefined) return ABSENT;
    const stat = lstatSync(Buffer.concat([Buffer.from(join(directory, '/')), name]));
    return { kind: 'other', what: `a name that is not UTF-8 ${versionOf(stat)}` };
  } catch {
    return ABSENT;
  }
}

/**
 * Whether at `path` is what was `shown`, which was given another name since: that changes the time
 * of change, in the version of a file that is too long to be read.
 */
export function isSameMoved(shown: FileState, path: string): boolean {
  if (shown.kind !== 'file' || !isVersion(shown.sha256)) return isSame(shown, readState(path));
  const now = readState(path, { left: 0, toRead: -1 });
  if (now.kind !== 'file') return false;
  return now.mode === shown.mode && unmoved(now.sha256) === unmoved(shown.sha256);
}

function isVersion(sha256: string): boolean {
  return sha256.includes(':');
}

function unmoved(version: string): string {
  return version.slice(0, version.lastIndexOf(':'));
}

function linkState(path: string): FileState {
  const real = realOf(path);
  try {
    return { kind: 'link', to: readlinkSync(path), ...(real === undefined ? {} : { real }) };
  } catch {
    return ABSENT;
  }
}

export function isSame(one: FileState, other: FileState): boolean {
  const { content: _a, ...a } = { content: undefined, ...one };
  const { content: _b, ...b } = { content: undefined, ...other };
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: object): readonly (readonly [string, unknown])[] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Without what would be put back. */
export function withoutContent(state: FileState): FileState {
  if (state.kind !== 'file') return state;
  const { content: _, ...rest } = state;
  return rest;
}

function versionOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

export function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Below a file, or where we cannot look.
    return undefined;
  }
}

export function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
