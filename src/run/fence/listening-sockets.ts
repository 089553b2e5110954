/**
 * Unix sockets that somebody on this machine has bound to a path now: an agent's, a database's, a
 * container engine's. Whoever sees the path can connect, read-only mount or not.
 * https://www.kernel.org/doc/html/latest/filesystems/proc.html (/proc/net/unix)
 *
 * The table says what was bound, which need not be where the socket is: a name may be relative to
 * where its process was then, and a socket can be renamed and have other names. So the directories
 * of its process, of the names and of the work are looked through as well.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { entriesOf } from './entries-of.ts';

/** Num, RefCount, Protocol, Flags, Type, St, Inode, Path. A path may hold blanks. */
const ROW = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ +(\d+) (.+)$/;
/** Of a directory that is looked through: what is beyond is not found. */
const MAX_LOOKED_AT = 20_000;
/** Sockets of programs do not stand in there, and much else does. */
const NOT_LOOKED_THROUGH: ReadonlySet<string> = new Set(['node_modules', 'objects', '.venv']);

export interface BoundSocket {
  readonly inode: string;
  /** As it was bound; abstract ones (`@…`) belong to the network namespace and are left out. */
  readonly path: string;
}

/** @param places that can be written inside: they are looked through for sockets of any name */
export function listeningSockets(places: readonly string[]): readonly string[] {
  const bound = [...socketsIn(readFileSync('/proc/net/unix', 'utf8')), ...ofOtherNetworks()];
  const absolute = bound.filter(({ path }) => isAbsolute(path));
  const relative = bound.filter(({ path }) => !isAbsolute(path));
  const directories =
    relative.length === 0 ? new Map<string, Set<string>>() : directoriesOfHolders();
  const names = [
    ...absolute.map(({ path }) => path),
    ...relative.flatMap(({ inode, path }) =>
      [...(directories.get(inode) ?? [])].map((directory) => normalize(join(directory, path))),
    ),
  ];
  const around = relative.flatMap(({ inode }) => [...(directories.get(inode) ?? [])]);
  const linked = absolute.flatMap(({ path }) => (hasOtherNames(path) ? [dirname(path)] : []));
  return [
    ...new Set([
      ...names,
      ...[...around, ...linked].flatMap((directory) => socketsBelow(directory, 1)),
      ...places.flatMap((place) => socketsBelow(place, Number.POSITIVE_INFINITY)),
    ]),
  ];
}

/**
 * A name of a socket leads to it from every network namespace (the kernel goes by the inode), but the
 * table has those of one. Names of others are as their process sees files, so they count only where a
 * socket stands here as well.
 */
function ofOtherNetworks(): readonly BoundSocket[] {
  const seen = new Set([linkOf('/proc/self/ns/net')]);
  return processes().flatMap((id) => {
    const network = linkOf(`/proc/${id}/ns/net`);
    if (network === undefined || seen.has(network)) return [];
    seen.add(network);
    try {
      return socketsIn(readFileSync(`/proc/${id}/net/unix`, 'utf8')).filter(
        ({ path }) => isAbsolute(path) && statOf(path)?.isSocket() === true,
      );
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

function processes(): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** @returns undefined: gone, or somebody else's */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** @param table text of /proc/net/unix */
export function socketsIn(table: string): readonly BoundSocket[] {
  return table.split('\n').flatMap((line) => {
    const [, inode = '', path = ''] = ROW.exec(line) ?? [];
    return path === '' || path.startsWith('@') ? [] : [{ inode, path }];
  });
}

/**
 * Of the processes that hold sockets, as far as we may look: number of the socket to directories. A
 * worker may hold one from somewhere else.
 */
function directoriesOfHolders(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const id of processes()) {
    const directory = linkOf(`/proc/${id}/cwd`);
    if (directory === undefined) continue;
    for (const descriptor of descriptorsOf(id)) {
      // One that was closed meanwhile must not hide the others.
      const link = linkOf(`/proc/${id}/fd/${descriptor}`) ?? '';
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
      if (inode !== undefined) {
        found.set(inode, (found.get(inode) ?? new Set()).add(directory));
      }
    }
  }
  return found;
}

function descriptorsOf(id: string): readonly string[] {
  try {
    return readdirSync(`/proc/${id}/fd`);
  } catch {
    // It has ended meanwhile, or is somebody else's.
    return [];
  }
}

function hasOtherNames(path: string): boolean {
  const stat = statOf(path);
  return stat === undefined || stat.nlink > 1;
}

/** @param depth how many levels of directories are looked at */
function socketsBelow(top: string, depth: number): string[] {
  const found: string[] = [];
  const rest = [{ directory: realOf(top), left: depth }];
  for (let looked = 0; rest.length > 0 && looked < MAX_LOOKED_AT; ) {
    const { directory, left } = rest.shift() ?? { directory: undefined, left: 0 };
    for (const entry of directory === undefined ? [] : entriesOf(directory)) {
      looked += 1;
      if (entry.isSocket() && directory !== undefined) {
        found.push(join(directory, entry.name));
      } else if (entry.isDirectory() && left > 1 && !NOT_LOOKED_THROUGH.has(entry.name)) {
        rest.push({ directory: join(entry.parentPath, entry.name), left: left - 1 });
      }
    }
  }
  return found;
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function statOf(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
