import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { entriesOf } from './entries-of.ts';
import { isBelow } from './is-below.ts';

/** Of one directory: keys stand near its top, and caches of browsers are large. */
const MAX_LOOKED_AT = 2000;

/** Where links in a directory lead that is hidden: what they name is as secret as the directory. */
export function linksOutOf(top: string): readonly string[] {
  const found: string[] = [];
  const rest = [top];
  for (let looked = 0; rest.length > 0 && looked < MAX_LOOKED_AT; ) {
    const directory = rest.shift() ?? top;
    for (const entry of entriesOf(directory)) {
      looked += 1;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        rest.push(path);
      } else if (entry.isSymbolicLink()) {
        found.push(...targetOf(path));
      }
    }
  }
  return found.filter((path) => !isBelow(path, top));
}

function targetOf(path: string): readonly string[] {
  try {
    return [realpathSync(path)];
  } catch {
    // Leads nowhere.
    return [];
  }
}
