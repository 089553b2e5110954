import { join } from 'node:path';
import { entriesOf } from './entries-of.ts';

/** Directories that are looked at, those nearest first. */
const MAX_LOOKED_AT = 3000;
/** Each is mounts; those nearest count. */
const MAX_FOUND = 100;
/**
 * Git looks for none in there, and packages stand in them by the thousand; what of those runs is told
 * by package.json and lock files.
 */
export const NOT_LOOKED_THROUGH: ReadonlySet<string> = new Set(['node_modules', '.git', '.venv']);

/**
 * The `.git` of a directory, there or not, and of what was cloned into it: hooks of all of them run
 * when somebody works there later.
 */
export function repositoriesBelow(top: string): readonly string[] {
  const found = [join(top, '.git')];
  const rest = [top];
  for (
    let looked = 0;
    rest.length > 0 && looked < MAX_LOOKED_AT && found.length < MAX_FOUND;
    looked += 1
  ) {
    const directory = rest.shift() ?? top;
    for (const entry of entriesOf(directory)) {
      const { name } = entry;
      // Also a file, which leads to a repository of any name.
      if (name === '.git' && directory !== top) found.push(join(directory, name));
      if (entry.isDirectory() && !NOT_LOOKED_THROUGH.has(name)) rest.push(join(directory, name));
    }
  }
  return found;
}
