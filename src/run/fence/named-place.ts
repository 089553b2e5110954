/** A path that somebody named, as the place that it leads to. */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isBelow } from './is-below.ts';
import type { Known } from './known-places.ts';

/** As the kernel does. */
const MAX_LINKS = 40;

/**
 * @param path absolute
 * @returns without links
 * @throws HoopError HOOP_USAGE when it is not there, HOOP_FENCE when links lead out of a place that
 * fenced commands could write, and they were not there before
 */
export function namedPlace(path: string, known: Known): string {
  let place: string;
  try {
    place = realpathSync(path);
  } catch {
    // Not there, or where we cannot look, and the child neither.
    throw new HoopError('HOOP_USAGE', `"${path}" does not exist`, {
      detail: 'Paths that a fence shows or makes writable must exist before the run starts.',
      hint: 'Create it first, or omit it.',
    });
  }
  const before = known.links.find(({ from }) => from === path);
  const isPlanted =
    before === undefined
      ? linksOn(path).some((link) =>
          known.places.some((one) => isBelow(link, one.path) && !isBelow(place, one.path)),
        )
      : before.to !== place;
  if (isPlanted) {
    throw new HoopError('HOOP_FENCE', `"${path}" leads to "${place}" through a link`, {
      detail: 'An earlier fenced command could write there and may have created the link.',
      hint: `If that is intended, name "${place}" itself.`,
    });
  }
  return place;
}

/** Where the links on the way are themselves. */
function linksOn(path: string): readonly string[] {
  const links: string[] = [];
  const rest = path.split('/').reverse();
  let at = '/';
  while (rest.length > 0 && links.length <= MAX_LINKS) {
    const part = rest.pop() ?? '';
    if (part === '' || part === '.') {
      continue;
    }
    const next = part === '..' ? dirname(at) : join(at, part);
    if (part !== '..' && lstatSync(next, { throwIfNoEntry: false })?.isSymbolicLink()) {
      links.push(next);
      const target = readlinkSync(next);
      rest.push(...target.split('/').reverse());
      at = isAbsolute(target) ? '/' : at;
    } else {
      at = next;
    }
  }
  return links;
}
