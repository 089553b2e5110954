import { realpathSync } from 'node:fs';
import { delimiter, isAbsolute } from 'node:path';
import { isBelow } from './is-below.ts';

/**
 * PATH for programs that hoop itself runs, with all rights: without directories that somebody inside
 * can write, as `npm run` and virtual environments put there. A `git` in one of them would be theirs.
 */
export function pathOutside(path: string, writable: readonly { readonly path: string }[]): string {
  return path
    .split(delimiter)
    .filter((directory) => isAbsolute(directory))
    .filter((directory) => !writable.some((place) => isBelow(realOf(directory), place.path)))
    .join(delimiter);
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not there yet: somebody may make it.
    return path;
  }
}
