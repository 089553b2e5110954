/**
 * How places look inside, by path, and the mounts that make them look so.
 *
 * A mount stands on the directory entry it was put on. Who may write around it could put it out of
 * the way: rename what is above it (inside), or put another file in its place (outside, as programs
 * do that renew a key). So what is above a mount in a writable place becomes a mount itself, which
 * cannot be renamed; and a directory that holds something hidden is made anew and shows what it held
 * at the start, without the hidden names: what comes later is not there.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PlaceGone } from './explain-failure.ts';
import { isBelow } from './is-below.ts';

/** How a place looks inside; what no layer covers is readable as it is. */
export type Appearance = 'private' | 'hidden' | 'readable' | 'writable' | 'shadowed';

export interface Layer {
  /** Absolute, without links, and there. */
  readonly path: string;
  readonly as: Appearance | 'cut';
  readonly isDirectory: boolean;
  /** What is shown in its place: of one that is shadowed, and of standard input. */
  readonly source?: string;
  /** Of a directory that is cut: what can be seen in it and has no layer of its own. */
  readonly entries?: readonly Entry[];
  readonly mode?: number;
}

export interface Entry {
  readonly name: string;
  /** Where a link leads; what is no link is there itself. */
  readonly target?: string;
}

/** bwrap makes it anew (`--dev`): nothing in it, /dev/shm above all, is there unless it is mapped. */
const DEVICES = '/dev';
/** bwrap takes 9000 words, and each mount takes time. */
const MAX_ENTRIES = 600;
/** `/etc`, `/srv` and the like are not made anew for a file in them. */
const MIN_CUT_DEPTH = 3;

export class Layers {
  readonly #byPath = new Map<string, Appearance>([[DEVICES, 'private']]);
  readonly #sources = new Map<string, string>();

  /** In place of what was said of the same paths before. */
  put(as: Appearance, paths: readonly string[]): void {
    for (const path of paths) {
      this.#byPath.set(path, as);
    }
  }

  /** Something else is shown there, which may be written. */
  shadow(path: string, source: string): void {
    this.put('shadowed', [path]);
    this.#sources.set(path, source);
  }

  /** Readable, unless they can be seen anyway. */
  reveal(paths: readonly string[]): void {
    this.put(
      'readable',
      paths.filter((path) => isAbsent(this.at(path))),
    );
  }

  /** Readable where they could be written. */
  protect(paths: readonly string[]): void {
    this.put(
      'readable',
      paths.filter((path) => this.at(path) === 'writable'),
    );
  }

  at(path: string): Appearance {
    return this.#byPath.get(path) ?? this.#around(path);
  }

  /** The layer that is nearest to `path`, wherever the one that hides it is. */
  hiderOf(path: string): string | undefined {
    const nearest = this.#nearest(path, true);
    return nearest !== undefined && this.#byPath.get(nearest) === 'hidden' ? nearest : undefined;
  }

  /**
   * Without those that change nothing, from the outside inwards.
   * @param names that are hidden, there or not
   * @param homes directories in which all on the way to a hidden name is made anew
   * @param unsteady more of them, unless they are the system's: what vanishes there needs no mount
   */
  ordered(
    names: readonly string[],
    homes: readonly string[],
    unsteady: readonly string[] = [],
  ): readonly Layer[] {
    const needed = new Map(
      [...this.#byPath].filter(([path, as]) => {
        const around = this.#around(path);
        return path !== DEVICES && as !== around && !(isAbsent(as) && isAbsent(around));
      }),
    );
    const absent = new Set(names.filter((name) => !isVisible(this.#byPath.get(name))));
    const roots = [...homes, ...unsteady.filter((path) => depth(path) >= MIN_CUT_DEPTH)];
    const cuts = this.#cuts(absent, roots.sort(byDepth));
    const layers: Layer[] = [];
    for (const [path, as] of needed) {
      // In a directory that is cut it is not there at all.
      if (!cuts.has(path) && !(as === 'hidden' && cuts.has(dirname(path)))) {
        const source = as === 'shadowed' ? this.#sources.get(path) : undefined;
        const stat = statSync(path, { throwIfNoEntry: false });
        if (stat === undefined) {
          throw new PlaceGone(path);
        }
        layers.push({
          path,
          as,
          isDirectory: stat.isDirectory(),
          ...(source === undefined ? {} : { source }),
        });
      }
    }
    for (const path of this.#pins([...needed.keys(), ...cuts.keys()])) {
      if (!needed.has(path) && !cuts.has(path)) {
        layers.push({ path, as: 'writable', isDirectory: true });
      }
    }
    const covered = new Set(layers.map(({ path }) => path));
    for (const [path, entries] of cuts) {
      const isShown = ({ name }: Entry): boolean => {
        const entry = join(path, name);
        return !covered.has(entry) && !cuts.has(entry) && !absent.has(entry);
      };
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) {
        // Nothing of that name is shown in a directory that is made anew.
        if (cuts.has(dirname(path))) continue;
        throw new PlaceGone(path);
      }
      const mode = stat.mode & 0o777;
      layers.push({ path, as: 'cut', isDirectory: true, entries: entries.filter(isShown), mode });
    }
    return layers.sort((one, other) => byDepth(one.path, other.path));
  }

  #cuts(absent: ReadonlySet<string>, roots: readonly string[]): Map<string, readonly Entry[]> {
    const cuts = new Map<string, readonly Entry[]>();
    for (const name of absent) {
      const parent = dirname(name);
      const root = roots.find((directory) => directory !== '/' && isBelow(parent, directory));
      const isFile = isThereAndNoDirectory(name);
      if (root === undefined && !(isFile && depth(parent) >= MIN_CUT_DEPTH)) {
        continue;
      }
      for (let place = parent; ; place = dirname(place)) {
        const entries =
          cuts.get(place) ?? (this.at(place) === 'readable' ? entriesOf(place) : undefined);
        if (entries !== undefined) {
          cuts.set(place, entries);
        }
        if (root === undefined || place === root) {
          break;
        }
      }
    }
    return cuts;
  }

  /** Directories between a place that may be written and a layer in it. */
  #pins(paths: readonly string[]): ReadonlySet<string> {
    const pins = new Set<string>();
    for (const path of paths) {
      for (let above = dirname(path); above !== '/'; above = dirname(above)) {
        if (this.#byPath.has(above) || this.at(above) !== 'writable') {
          break;
        }
        pins.add(above);
      }
    }
    return pins;
  }

  #around(path: string): Appearance {
    const nearest = this.#nearest(path, false);
    return (nearest === undefined ? undefined : this.#byPath.get(nearest)) ?? 'readable';
  }

  #nearest(path: string, withItself: boolean): string | undefined {
    return [...this.#byPath.keys()]
      .filter((place) => isBelow(path, place) && (withItself || place !== path))
      .reduce<string | undefined>(
        (best, place) => (best === undefined || depth(place) > depth(best) ? place : best),
        undefined,
      );
  }
}

export function isAbsent(as: Appearance): boolean {
  return as === 'private' || as === 'hidden';
}

function isVisible(as: Appearance | undefined): boolean {
  return as !== undefined && !isAbsent(as);
}

function depth(path: string): number {
  return path === '/' ? 0 : path.split('/').length;
}

function byDepth(one: string, other: string): number {
  return depth(one) - depth(other);
}

function isThereAndNoDirectory(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
  } catch {
    // Below a file.
    return false;
  }
}

/** Directories, files and links; undefined: it cannot be listed, or is too much to be made anew. */
function entriesOf(directory: string): readonly Entry[] | undefined {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    // Not there, or we may not look.
    return undefined;
  }
  if (names.length > MAX_ENTRIES) {
    return undefined;
  }
  return names.flatMap((name) => {
    const path = join(directory, name);
    try {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) {
        return [{ name, target: readlinkSync(path) }];
      }
      // Sockets and pipes lead to somebody else.
      return stat.isDirectory() || stat.isFile() ? [{ name }] : [];
    } catch {
      // Gone meanwhile, or of a file system that only its owner may see.
      return [];
    }
  });
}
