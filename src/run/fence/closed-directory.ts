/**
 * Root passes through directories of others that are closed to it by their mode. In a user namespace
 * it does not, whatever its rights there, since their owners are not in it: neither what is inside nor
 * bwrap, which would have to mount there, gets further than to such a directory.
 */
import { statSync } from 'node:fs';

const SEARCH = 0o1;

/** @returns the uppermost directory on the way to `path` that is closed to root inside; undefined: none */
export function closedDirectory(path: string): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const groups = process.getgroups?.() ?? [];
  const names = path.split('/').slice(1, -1);
  return names
    .map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
    .find((directory) => {
      const stat = statSync(directory, { throwIfNoEntry: false });
      if (stat === undefined || stat.uid === 0) return false;
      return (stat.mode & (groups.includes(stat.gid) ? SEARCH << 3 : SEARCH)) === 0;
    });
}
