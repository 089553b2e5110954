/**
 * Which files a fenced child sees, and how: everything readable as it is, nothing writable but the
 * working directory and what was named, and what leads to other people's doors not there at all.
 */
import { realpathSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
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
  readonly home: Home;
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

/** All paths are absolute, without links, and there. Later ones lie on top of earlier ones. */
export interface FenceView {
  readonly cwd: string;
  readonly isCwdWritable: boolean;
  /** Empty, and gone with the child. */
  readonly privateDirectories: readonly string[];
  /** Programs that would be covered. */
  readonly readable: readonly string[];
  readonly writable: readonly string[];
  readonly hiddenDirectories: readonly string[];
  readonly hiddenFiles: readonly string[];
  /** What was named, and the run's own directory, although they lie in something hidden. */
  readonly shown: readonly { readonly path: string; readonly isWritable: boolean }[];
}

/** @throws HoopError HOOP_USAGE, HOOP_FENCE */
export function fenceView(options: FenceViewOptions): FenceView {
  const { env, home, runDirectory, runState } = options;
  const cwd = realpathSync(options.cwd);
  const homes = existing([homedir(), userInfo().homedir]);
  const privateDirectories = outermost(existing(PRIVATE));
  const own = existing([home.config, home.state, home.runtime]);
  const show = options.show.map((path) => requireThere(path, options));
  const write = options.write.map((path) => requireThere(path, options));
  requireForeign([...show, ...write], own);

  const isOpen = !covers(cwd, [...homes, ...privateDirectories]);
  const git = isOpen ? gitDirectory(cwd) : undefined;
  const writable = outermost([
    ...(isOpen ? [cwd] : []),
    ...(git !== undefined && !covers(git, [...homes, ...privateDirectories]) ? [git] : []),
    ...write,
  ]);
  const places = existing([
    ...homes.flatMap((directory) => HIDDEN_IN_HOME.map((name) => join(directory, name))),
    ...HIDDEN_IN_SYSTEM,
    ...MOVED_BY.flatMap((name) => (env[name] ?? '').split(delimiter)).filter(isAbsolute),
    ...options.hide.map((path) => absolute(path, options)),
    ...options.sockets,
  ]).filter((path) => ![...show, ...write].includes(path) && !covers(path, privateDirectories));
  const isVisible = (path: string): boolean =>
    !isInAny(path, privateDirectories) || isInAny(path, writable);
  const hidden = outermost([...own, ...places].filter(isVisible));
  requireVisible(cwd, hidden);

  const covered = [...privateDirectories, ...hidden];
  return {
    cwd,
    isCwdWritable: isInAny(cwd, writable),
    privateDirectories,
    readable: outermost(options.programs.filter((path) => isInAny(path, covered))),
    writable,
    hiddenDirectories: hidden.filter(isDirectory),
    hiddenFiles: hidden.filter((path) => !isDirectory(path)),
    shown: [
      ...show.filter((path) => isInAny(path, covered)).map((path) => ({ path, isWritable: false })),
      ...write.filter((path) => isInAny(path, hidden)).map((path) => ({ path, isWritable: true })),
      { path: runDirectory, isWritable: true },
      { path: runState, isWritable: true },
    ],
  };
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

/** Without doubles, and without what lies in another of them. */
function outermost(paths: readonly string[]): string[] {
  return [...new Set(paths)].filter(
    (path, _, all) => !all.some((other) => other !== path && isBelow(path, other)),
  );
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

function isDirectory(path: string): boolean {
  return statSync(path).isDirectory();
}

function absolute(path: string, { cwd }: FenceViewOptions): string {
  const isHome = path === '~' || path.startsWith('~/');
  return isHome ? join(homedir(), path.slice(1)) : resolve(cwd, path);
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

function requireVisible(cwd: string, hidden: readonly string[]): void {
  const place = hidden.find((path) => isBelow(cwd, path));
  if (place !== undefined) {
    throw new HoopError('HOOP_FENCE', `the working directory is hidden inside the fence`, {
      detail: `"${place}" is one of the places that a fenced command does not see.`,
      hint: 'Start the run in another directory, or show this one with --fence-show.',
    });
  }
}
