/**
 * Descriptors 0 to 2, which the command gets from whoever started hoop. They belong to the world
 * outside: a file opened for reading can be opened anew for writing (/proc/self/fd/0), from a
 * directory there is a way to all others, and a socket of the network outside can be connected to
 * somewhere else.
 */
import { fstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { HoopError } from '../../errors.ts';

const O_ACCMODE = 0o3;
const O_RDONLY = 0;
const NAMES = ['standard input', 'standard output', 'standard error'];

export interface LentInput {
  readonly path: string;
  /** How much of it has been read. */
  readonly position: number;
}

/**
 * A file that is open for reading only, and shall stay so; undefined: it is none.
 * @throws HoopError HOOP_FENCE
 */
export function lentInput(descriptor: number): LentInput | undefined {
  const stats = fstatSync(descriptor);
  const about = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(about)?.[1] ?? '', 8);
  if (!stats.isFile() || (flags & O_ACCMODE) !== O_RDONLY) {
    return undefined;
  }
  const path = readlinkSync(`/proc/self/fd/${descriptor}`);
  const named = statSync(path, { throwIfNoEntry: false });
  if (named?.ino === stats.ino && named.dev === stats.dev) {
    return { path, position: Number(/^pos:\s*(\d+)$/m.exec(about)?.[1] ?? 0) };
  }
  // One that was removed (a here document) is nobody's but the command's.
  if (stats.nlink === 0) return undefined;
  throw new HoopError('HOOP_FENCE', 'standard input is a file that cannot be found by its name', {
    detail: 'Its name is not UTF-8, or it was moved or replaced.',
    hint: 'Put a pipe in between: `cat FILE | hoop run --fence …`.',
  });
}

/** @throws HoopError HOOP_FENCE */
export function requireHarmless(descriptors: readonly number[]): void {
  for (const [index, descriptor] of descriptors.entries()) {
    const stats = fstatSync(descriptor);
    const isForeign = stats.isSocket() && !isStreamOfUnix(descriptor);
    if (stats.isDirectory() || isForeign) {
      throw new HoopError(
        'HOOP_FENCE',
        `${NAMES[index]} is ${isForeign ? 'a network socket' : 'a directory'}, which would lead out of the fence`,
        { hint: 'Put a pipe in between: `cat | hoop run --fence … | cat`, or use /dev/null.' },
      );
    }
  }
}

/** Connected by hoop's parent, and to be connected nowhere else. */
function isStreamOfUnix(descriptor: number): boolean {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1];
  // Num, RefCount, Protocol, Flags, Type (1 is a stream), St, Inode, Path.
  const row = new RegExp(`^\\S+ \\S+ \\S+ \\S+ 0001 \\S+ +${inode}( |$)`, 'm');
  return row.test(readFileSync('/proc/net/unix', 'latin1'));
}
