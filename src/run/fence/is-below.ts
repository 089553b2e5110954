import { relative } from 'node:path';

/** Whether `path` is `place` or somewhere in it; both absolute. */
export function isBelow(path: string, place: string): boolean {
  const way = relative(place, path);
  return way === '' || !(way === '..' || way.startsWith('../'));
}
