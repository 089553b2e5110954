/**
 * What is mounted where, as a process sees it: /proc/PID/mountinfo.
 * https://www.kernel.org/doc/html/latest/filesystems/proc.html (3.5)
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isBelow } from './is-below.ts';

export interface Mount {
  readonly id: string;
  readonly parent: string;
  /** Of the file system: `major:minor`. */
  readonly device: string;
  /** Which part of the file system it shows. */
  readonly root: string;
  readonly point: string;
  readonly isReadOnly: boolean;
  readonly type: string;
}

/** A file or directory by its file system, whatever paths lead to it. */
export interface Spot {
  readonly device: string;
  readonly path: string;
}

/** Id, parent, device, root, mount point, options, optional fields, `-`, type. */
const ROW = /^(\d+) (\d+) (\d+:\d+) (\S+) (\S+) (\S+)(?: \S+)*? - (\S+) /;

/** @param process its id */
export function readMounts(process: number | 'self'): readonly Mount[] {
  return parseMounts(readFileSync(`/proc/${process}/mountinfo`, 'utf8'));
}

export function parseMounts(table: string): readonly Mount[] {
  return table.split('\n').flatMap((line) => {
    const [, id, parent, device, root, point, options, type] = ROW.exec(line) ?? [];
    if (id === undefined || parent === undefined || device === undefined || root === undefined) {
      return [];
    }
    const isReadOnly = options?.split(',').includes('ro') ?? false;
    const place = { root: unescaped(root), point: unescaped(point ?? '') };
    return [{ id, parent, device, ...place, isReadOnly, type: type ?? '' }];
  });
}

/** Blanks, tabs, line feeds and backslashes stand as octal numbers. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/**
 * The mount that a path leads into, on which others may stand that it does not meet.
 * @param path absolute, without links
 */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const ids = new Set(mounts.map(({ id }) => id));
  let at = mounts.find(({ parent, id }) => !ids.has(parent) || parent === id);
  for (;;) {
    const next: Mount | undefined = mounts
      .filter((one) => one.parent === at?.id && one !== at && isBelow(path, one.point))
      .sort((one, other) => one.point.length - other.point.length)[0];
    if (next === undefined) return at;
    at = next;
  }
}

export function spotOf(mounts: readonly Mount[], path: string): Spot | undefined {
  const mount = mountOf(mounts, path);
  if (mount === undefined) return undefined;
  return { device: mount.device, path: join(mount.root, relative(mount.point, path)) };
}

/** Other paths that lead to the same: of directories that are mounted in two places. */
export function otherNames(mounts: readonly Mount[], path: string): readonly string[] {
  const spot = spotOf(mounts, path);
  if (spot === undefined) return [];
  const names = mounts
    .filter(({ device, root }) => device === spot.device && isBelow(spot.path, root))
    .map(({ root, point }) => join(point, relative(root, spot.path)));
  return [...new Set(names)].filter(
    (name) => name !== path && isSameSpot(spotOf(mounts, name), spot),
  );
}

export function isSameSpot(one: Spot | undefined, other: Spot | undefined): boolean {
  return one !== undefined && one.device === other?.device && one.path === other.path;
}
