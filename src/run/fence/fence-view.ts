/**
 * Which files a fenced child sees, and how: everything readable as it is, nothing writable but the
 * working directory and what was named, and what leads to other people's doors not there at all.
 */
import { mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { HoopError } from '../../errors.ts';
import { AGENT_LOGINS } from '../agents/agent-logins.ts';
import { type GitValue, settingsOfEnvironment } from '../later/git-settings.ts';
import { closedDirectory } from './closed-directory.ts';
import { entriesOf } from './entries-of.ts';
import { gitDirectory, isRepository } from './git-directory.ts';
import { HIDDEN_IN_HOME, HIDDEN_IN_SYSTEM, isHistory, MOVED_BY } from './hidden-places.ts';
import { inHome } from './in-home.ts';
import { isBelow } from './is-below.ts';
import type { Known, KnownLink, KnownPlace } from './known-places.ts';
import { type Appearance, isAbsent, type Layer, Layers } from './layers.ts';
import { type Mount, otherNames } from './mount-table.ts';
import { namedPlace } from './named-place.ts';
import { pathOutside } from './path-outside.ts';
import { repositoriesBelow } from './repositories-below.ts';
import { gitSettings, neverWritten } from './runs-later.ts';
import type { ShadowedPlace } from './shadow-state.ts';

/** Empty and the child's own: what others keep in them (sockets above all) is not there. */
const PRIVATE: readonly string[] = ['/tmp', '/var/tmp', '/run', '/var/run'];

export interface FenceViewOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Where hoop keeps logins, this one's and what else the person may have, and its compiled code. */
  readonly ownPlaces: readonly string[];
  /** The person's home directories: of the environment, of the system's list of users. */
  readonly homes: readonly string[];
  /** 0700, of this run: its sockets and files, and the home of hoop inside, with its token. */
  readonly runDirectory: string;
  readonly runState: string;
  /** Of hoop itself: the Node.js that runs it and its package. */
  readonly programs: readonly string[];
  /** Paths of unix sockets that somebody listens on now. */
  readonly sockets: readonly string[];
  /** What is mounted on this machine. */
  readonly mounts: readonly Mount[];
  /** What fenced commands could write before, and what was named then. */
  readonly known: Known;
  /** Directories whose entries have vanished while a view of them was mapped. */
  readonly unsteady?: readonly string[];
  /** Of the configuration and the flags; relative to `cwd`, `~` is the home directory. */
  readonly hide: readonly string[];
  readonly show: readonly string[];
  readonly write: readonly string[];
  /** State of the agent, of which the run has a copy. */
  readonly shadows?: readonly ShadowedPlace[];
}

export interface FenceView {
  readonly cwd: string;
  readonly cwdIs: Appearance;
  /** The repository that a `.git` file names and that is not mapped for it. */
  readonly refusedGit?: string;
  /** From the outside inwards: of two that hold a file the one nearer to it decides. */
  readonly layers: readonly Layer[];
  /** What runs by itself later, there or not. */
  readonly neverWritten: readonly string[];
  /** Of git, that may be written. */
  readonly repositories: readonly string[];
  /** Of git, in every repository: files of settings, and settings of the environment. */
  readonly gitSettings: readonly string[];
  readonly gitValues: readonly GitValue[];
  /** To be known from now on, before anything runs inside. */
  readonly known: Known;
}

/** @throws HoopError HOOP_USAGE, HOOP_FENCE */
export function fenceView(options: FenceViewOptions): FenceView {
  const { env, ownPlaces, runDirectory, runState, programs, known, shadows = [] } = options;
  const cwd = realpathSync(options.cwd);
  const { mounts } = options;
  const namedHomes = existing(options.homes);
  const homes = [...namedHomes, ...namedHomes.flatMap((home) => otherNames(mounts, home))];
  const privates = existing(PRIVATE);
  const links: KnownLink[] = [];
  const place = (path: string): string => {
    const from = absolute(path, options);
    const to = namedPlace(from, known);
    if (from !== to) {
      links.push({ from, to });
    }
    return to;
  };
  requireHonestWay(cwd, env, known);
  const show = options.show.map(place);
  const write = options.write.map(place);
  // All of somebody's home, or of a directory that everybody uses, is no place to work in.
  const isProject = !covers(cwd, [...homes, ...privates]);
  makeWhereWritable(ownPlaces, [...write, ...(isProject ? [cwd] : [])]);
  const own = existing(ownPlaces);
  requireForeign([...show, ...write], own);
  const opened = [cwd, ...show, ...write, ...shadows.map(({ path }) => path)];
  const logins = AGENT_LOGINS.filter(({ state }) =>
    existing(inHome(state, homes, env)).every((place) => !covers(place, opened)),
  ).flatMap((agent) => agent.logins);
  const wanted = [
    ...inHome([...HIDDEN_IN_HOME, ...logins], homes, env),
    ...[...homes, env['ZDOTDIR'] ?? ''].filter(isAbsolute).flatMap(histories),
    ...homes.flatMap(snapshots),
    ...HIDDEN_IN_SYSTEM,
    ...MOVED_BY.flatMap((name) => (env[name] ?? '').split(delimiter).filter(isAbsolute))
      // Files of a tool in one's home directory do not make it the tool's.
      .filter((path) => !covers(existing([path])[0] ?? path, homes)),
    ...options.hide.map((path) => absolute(path, options)),
    ...options.sockets,
  ];
  const named = existing(wanted).filter((path) => path !== '/' && !privates.includes(path));
  // Links to programs of the system and to what one works in hide neither.
  const linked = named
    .flatMap(linksOutOf)
    .filter(
      (path) => isInAny(path, homes) && !covers(path, [cwd, ...homes, ...existing(programs)]),
    );
  const found = [...new Set([...named, ...linked])];
  const all = found.flatMap((path) => [path, ...otherNames(mounts, path)]);
  const hide = [...new Set(all.map((path) => closedDirectory(path) ?? path))];

  const layers = new Layers();
  layers.put('private', privates);
  layers.put('hidden', hide);
  for (const { path, source, real } of shadows) {
    // What is hidden stays so, whoever's directory it is in.
    if (layers.at(path) !== 'hidden') {
      layers.shadow(path, source);
      for (const one of real.filter((place) => layers.at(place.path) !== 'hidden')) {
        layers.put(one.as, [one.path]);
      }
    }
  }
  layers.put('readable', show);
  layers.put('writable', write);
  layers.put('hidden', own);
  requireVisible(cwd, layers);
  const ours = isProject ? gitDirectory(cwd, known.places) : {};
  const git = ours.path !== undefined && !isAbsent(layers.at(ours.path)) ? ours.path : undefined;
  const refusedGit = ours.refused ?? (git === ours.path ? undefined : ours.path);
  if (isProject) {
    layers.put('writable', [cwd, ...(git === undefined ? [] : [git])]);
  } else if (!covers(cwd, privates)) {
    layers.reveal([cwd]);
  }
  const repositories = [
    ...[...(isProject ? [cwd] : []), ...write].flatMap(repositoriesBelow),
    ...write,
    ...(git === undefined ? [] : [git]),
  ].filter(isRepository);
  // Programs of the project are its command's work.
  const never = neverWritten(homes, repositories, {
    ...env,
    PATH: pathOutside(env['PATH'] ?? '', [{ path: cwd }]),
  });
  layers.protect(existing(never).filter((path) => ![cwd, ...write].includes(path)));
  const packages = programs.map((path) => realpathSync(path));
  layers.reveal(packages);
  // In a project that has hoop among its packages: the next one that starts has all rights.
  layers.protect(packages.filter((path) => path !== cwd));
  layers.put('writable', existing([runDirectory, runState]));
  // Where the copies are is looked at again after the run: only their contents are the command's.
  layers.put('hidden', existing(shadows.map(({ source }) => dirname(source))));

  const kept = shadows.flatMap(({ real }) =>
    real.filter(({ as }) => as === 'writable').map(({ path }) => path),
  );
  const writable = [...(isProject ? [cwd] : []), ...write, ...kept];
  const places: KnownPlace[] = [...new Set(writable)].map((path) => {
    const itsGit = path === cwd ? git : gitDirectory(path, known.places).path;
    return itsGit === undefined ? { path } : { path, git: itsGit };
  });
  return {
    cwd,
    cwdIs: layers.at(cwd),
    ...(refusedGit === undefined ? {} : { refusedGit }),
    layers: layers.ordered(
      [...wanted.flatMap(withoutLinksAbove), ...hide, ...own],
      homes,
      options.unsteady,
    ),
    neverWritten: never,
    repositories,
    gitSettings: gitSettings(homes, env),
    gitValues: settingsOfEnvironment(env),
    known: {
      places: [...places, ...(git === undefined ? [] : [{ path: git }])],
      links,
    },
  };
}

/** Directories in which file systems show snapshots, with keys in them; some appear in no listing. */
function snapshots(home: string): string[] {
  const above = home
    .split('/')
    .map((_, index, parts) => parts.slice(0, index + 1).join('/') || '/');
  return above.flatMap((place) =>
    ['.zfs', '.snapshot', '.snapshots'].map((name) => join(place, name)),
  );
}

/** A home directory shows what it held at the start: what comes later is not there. */
function histories(home: string): string[] {
  try {
    return readdirSync(home)
      .filter(isHistory)
      .map((name) => join(home, name));
  } catch {
    // Not for us to see, and for the command neither.
    return [];
  }
}

/**
 * The way to the working directory may lead over a link that a fenced command has planted; the person
 * meant another directory.
 * @throws HoopError HOOP_FENCE
 */
function requireHonestWay(cwd: string, env: NodeJS.ProcessEnv, known: Known): void {
  const way = env['PWD'] ?? '';
  const isNew = !isInAny(
    cwd,
    known.places.map(({ path }) => path),
  );
  if (isNew && isAbsolute(way) && existing([way]).includes(cwd)) {
    namedPlace(way, { ...known, links: [] });
  }
}

/** Places of hoop's that are not there yet: what somebody inside put there, hoop would believe. */
function makeWhereWritable(ownPlaces: readonly string[], writable: readonly string[]): void {
  for (const path of ownPlaces) {
    if (isInAny(path, writable)) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    }
  }
}

function isInAny(path: string, places: readonly string[]): boolean {
  return places.some((place) => isBelow(path, place));
}

/** Whether one of `places` is `path` or somewhere in it. */
function covers(path: string, places: readonly string[]): boolean {
  return places.some((place) => isBelow(place, path));
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

/** The name itself, which may be a link or not there, in a directory that is. */
function withoutLinksAbove(path: string): string[] {
  return existing([dirname(path)]).map((directory) => join(directory, basename(path)));
}

function absolute(path: string, { cwd, homes: [home] }: FenceViewOptions): string {
  const isInHome = path === '~' || path.startsWith('~/');
  return isInHome && home !== undefined ? join(home, path.slice(1)) : resolve(cwd, path);
}

function requireForeign(paths: readonly string[], own: readonly string[]): void {
  const wrong = paths.find((path) => isInAny(path, own));
  if (wrong !== undefined) {
    throw new HoopError('HOOP_USAGE', `"${wrong}" cannot be shown inside the fence`, {
      detail: 'hoop keeps your login there; inside, the run has its own.',
    });
  }
}

function requireVisible(cwd: string, layers: Layers): void {
  const place = layers.hiderOf(cwd);
  if (place !== undefined) {
    throw new HoopError('HOOP_FENCE', `the working directory is hidden inside the fence`, {
      detail: `"${place}" is hidden from fenced commands.`,
      hint: 'Start the run in another directory, or show this one with --fence-show.',
    });
  }
}

/** Of one directory: keys stand near its top, and caches of browsers are large. */
const MAX_LOOKED_AT = 2000;

/** Where links in a directory lead that is hidden: what they name is as secret as the directory. */
function linksOutOf(top: string): readonly string[] {
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
