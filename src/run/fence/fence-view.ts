/**
 * Which files a fenced child sees, and how: everything readable as it is, nothing writable but the
 * working directory and what was named, and what leads to other people's doors not there at all.
 */
import { realpathSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, relative, resolve } from 'node:path';
import { HoopError } from '../../errors.ts';
import type { Home } from '../../home.ts';
import { gitDirectory } from './git-directory.ts';
import { HIDDEN_IN_HOME, HIDDEN_IN_SYSTEM, MOVED_BY } from './hidden-places.ts';

/** Empty and the child's own: what others keep in them (sockets above all) is not there. */
const PRIVATE: readonly string[] = ['/tmp', '/var/tmp', '/run', '/var/run'];

export interface FenceViewOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Where hoop keeps logins, this one's and what else the person may have. */
  readonly hoopHomes: readonly Home[];
  /** The person's home directories: of the environment, of the system's list of users. */
  readonly homes: readonly string[];
  /** 0700, of this run: its sockets and files, and the home of hoop inside, with its token. */
  readonly runDirectory: string;
  readonly runState: string;
  /** Of hoop itself: the Node.js that runs it and its package. */
  readonly programs: readonly string[];
  /** Paths of unix sockets that somebody listens on now. */
  readonly sockets: readonly string[];
  /** Of the configuration and the flags; relative to `cwd`, `~` is the home directory. */
  readonly hide: readonly string[];
  readonly show: readonly string[];
  readonly write: readonly string[];
}

/** How a place looks inside; what no layer covers is readable as it is. */
export type Appearance = 'private' | 'hidden' | 'readable' | 'writable';

export interface Layer {
  /** Absolute, without links, and there. */
  readonly path: string;
  readonly as: Appearance;
  readonly isDirectory: boolean;
}

export interface FenceView {
  readonly cwd: string;
  readonly cwdIs: Appearance;
  /** From the outside inwards: of two that hold a file the one nearer to it decides. */
  readonly layers: readonly Layer[];
}

/** @throws HoopError HOOP_USAGE, HOOP_FENCE */
export function fenceView(options: FenceViewOptions): FenceView {
  const { env, hoopHomes, runDirectory, runState, programs } = options;
  const cwd = realpathSync(options.cwd);
  const homes = existing(options.homes);
  const privates = existing(PRIVATE);
  const own = existing(hoopHomes.flatMap(({ config, state, runtime }) => [config, state, runtime]));
  const show = options.show.map((path) => requireThere(path, options));
  const write = options.write.map((path) => requireThere(path, options));
  requireForeign([...show, ...write], own);
  const hide = existing([
    ...homes.flatMap((directory) => HIDDEN_IN_HOME.map((name) => join(directory, name))),
    ...HIDDEN_IN_SYSTEM,
    ...existing(MOVED_BY.flatMap((name) => (env[name] ?? '').split(delimiter)).filter(isAbsolute))
      // Files of a tool in one's home directory do not make it the tool's.
      .filter((path) => !covers(path, homes)),
    ...options.hide.map((path) => absolute(path, options)),
    ...options.sockets,
  ]).filter((path) => path !== '/' && !privates.includes(path));

  const layers = new Layers();
  layers.put('private', privates);
  layers.put('hidden', hide);
  layers.put('readable', show);
  layers.put('writable', write);
  layers.put('hidden', own);
  requireVisible(cwd, layers);
  // All of somebody's home, or of a directory that everybody uses, is no place to work in.
  const isProject = !covers(cwd, [...homes, ...privates]);
  const git = isProject ? gitDirectory(cwd) : undefined;
  if (isProject) {
    layers.put('writable', [cwd, ...(git === undefined ? [] : [git])]);
  } else if (!covers(cwd, privates)) {
    layers.reveal([cwd]);
  }
  layers.reveal(programs.map((path) => realpathSync(path)));
  layers.put('writable', existing([runDirectory, runState]));
  return { cwd, cwdIs: layers.at(cwd), layers: layers.ordered() };
}

class Layers {
  readonly #byPath = new Map<string, Appearance>();

  /** In place of what was said of the same paths before. */
  put(as: Appearance, paths: readonly string[]): void {
    for (const path of paths) {
      this.#byPath.set(path, as);
    }
  }

  /** Readable, unless they can be seen anyway. */
  reveal(paths: readonly string[]): void {
    for (const path of paths) {
      if (isAbsent(this.at(path))) {
        this.#byPath.set(path, 'readable');
      }
    }
  }

  at(path: string): Appearance {
    return this.#byPath.get(path) ?? this.#around(path);
  }

  /** The layer that is nearest to `path`, wherever the one that hides it is. */
  hiderOf(path: string): string | undefined {
    const nearest = this.#nearest(path, true);
    return nearest !== undefined && this.#byPath.get(nearest) === 'hidden' ? nearest : undefined;
  }

  /** Without those that change nothing. */
  ordered(): readonly Layer[] {
    return [...this.#byPath]
      .filter(([path, as]) => {
        const around = this.#around(path);
        return as !== around && !(isAbsent(as) && isAbsent(around));
      })
      .map(([path, as]) => ({ path, as, isDirectory: statSync(path).isDirectory() }))
      .sort((one, other) => depth(one.path) - depth(other.path));
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

function isAbsent(as: Appearance): boolean {
  return as === 'private' || as === 'hidden';
}

function depth(path: string): number {
  return path === '/' ? 0 : path.split('/').length;
}

function isInAny(path: string, places: readonly string[]): boolean {
  return places.some((place) => isBelow(path, place));
}

/** Whether one of `places` is `path` or somewhere in it. */
function covers(path: string, places: readonly string[]): boolean {
  return places.some((place) => isBelow(place, path));
}

/** Whether `path` is `place` or somewhere in it. */
function isBelow(path: string, place: string): boolean {
  const way = relative(place, path);
  return way === '' || !(way === '..' || way.startsWith('../'));
}

/** Where the links end: a mount on a link would be on something else. */
function existing(paths: readonly string[]): string[] {
  return [...new Set(paths)].flatMap((path) => {
    try {
      return [realpathSync(path)];
    } catch {
      // Not there, or where we cannot look, and the child neither.
      return [];
    }
  });
}

function absolute(path: string, { cwd, homes: [home] }: FenceViewOptions): string {
  const isInHome = path === '~' || path.startsWith('~/');
  return isInHome && home !== undefined ? join(home, path.slice(1)) : resolve(cwd, path);
}

function requireThere(path: string, options: FenceViewOptions): string {
  const [found] = existing([absolute(path, options)]);
  if (found === undefined) {
    throw new HoopError('HOOP_USAGE', `"${path}" is not there`, {
      detail: 'What a fence shows or lets be written has to exist before the run starts.',
      hint: 'Create it first, or leave it out.',
    });
  }
  return found;
}

function requireForeign(paths: readonly string[], own: readonly string[]): void {
  const wrong = paths.find((path) => isInAny(path, own));
  if (wrong !== undefined) {
    throw new HoopError('HOOP_USAGE', `"${wrong}" cannot be shown inside the fence`, {
      detail: 'hoop keeps your login there; inside, the run has one of its own.',
    });
  }
}

function requireVisible(cwd: string, layers: Layers): void {
  const place = layers.hiderOf(cwd);
  if (place !== undefined) {
    throw new HoopError('HOOP_FENCE', `the working directory is hidden inside the fence`, {
      detail: `"${place}" is one of the places that a fenced command does not see.`,
      hint: 'Start the run in another directory, or show this one with --fence-show.',
    });
  }
}
