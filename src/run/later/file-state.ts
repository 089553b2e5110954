/** What stands at a path, and what is needed to put it back. Nothing is followed, and nothing but a file is opened. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import * as z from 'zod';

/** Larger ones are compared and not kept: what tools run by themselves is short. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** Larger ones are told by their time. */
const MAX_READ_BYTES = 64 * 1024 * 1024;
/** Of all files of a run together. */
const MAX_ALL_BYTES = 32 * 1024 * 1024;

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

/** What may still be kept; one for all files that are read together. */
export interface Room {
  left: number;
}

export function newRoom(): Room {
  return { left: MAX_ALL_BYTES };
}

export function readState(path: string, room: Room = newRoom()): FileState {
  const stat = statOf(path);
  if (stat === undefined) return ABSENT;
  if (stat.isSymbolicLink()) return linkState(path);
  if (!stat.isFile()) return { kind: 'other', what: stat.isDirectory() ? 'directory' : 'no file' };
  let descriptor: number | undefined;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const opened = fstatSync(descriptor);
    if (!opened.isFile()) return { kind: 'other', what: 'no file' };
    const mode = opened.mode & 0o777;
    if (opened.size > MAX_READ_BYTES) return { kind: 'file', mode, sha256: versionOf(opened) };
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

function versionOf({ dev, ino, size, ctimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${ctimeMs}`;
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
