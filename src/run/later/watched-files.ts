/**
 * The files that run by themselves later and that a fenced command may write, each with what stands
 * in it: once before the command starts and once after the last process of it has ended.
 */
import { type Dirent, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { errorCode } from '../../error-code.ts';
import { entriesOf } from '../fence/entries-of.ts';
import { isBelow } from '../fence/is-below.ts';
import { NOT_LOOKED_THROUGH } from '../fence/repositories-below.ts';
import {
  ANYWHERE,
  AT_TOP,
  IN_REPOSITORY,
  KEPT_ENVIRONMENT,
  maybeSettings,
  VENVS,
  withModules,
  worktreesIn,
} from '../fence/runs-later.ts';
import {
  ABSENT,
  type FileState,
  hasStrangeName,
  newRoom,
  type Room,
  readState,
  realOf,
  statOf,
} from './file-state.ts';
import { type GitValue, newEffort, type Setting, settingsFrom } from './git-settings.ts';
import { namedAnywhere, namedByGit } from './named-by-git.ts';

/** Directories of the project, those nearest first. After the run more: it may have made some. */
export const MAX_DIRECTORIES = { before: 5000, after: 200_000 } as const;
/** In one directory that is watched as a whole. */
const MAX_IN_DIRECTORY = 5000;
/** In directories that an agent keeps. */
const MAX_LISTED = 50_000;
/** Links that lead to links. */
const MAX_LINKS = 8;
/** Usual names of environments of Python, which are told by this file in them. */
const OTHER_VENVS: ReadonlySet<string> = new Set(['venv', 'env']);
const VENV_MARK = 'pyvenv.cfg';
/** git takes no such hook. */
const SAMPLE = /\.sample$/;

/** What is watched of a run. */
export interface Watch {
  /** What it may write; absolute, without links. */
  readonly places: readonly string[];
  /** Those that are looked through: the working directory, when it may be written. */
  readonly projects: readonly string[];
  readonly repositories: readonly string[];
  /** Files of settings of git that hold in all of them. */
  readonly gitSettings: readonly string[];
  /** Settings of git that hold in all of them and stand in no file. */
  readonly gitValues: readonly GitValue[];
  /** Files and directories, there or not. */
  readonly paths: readonly string[];
  /** Patterns with `*` for any name. */
  readonly patterns: readonly string[];
  /** New links in there are told. */
  readonly kept: readonly string[];
}

export interface Looked {
  readonly files: ReadonlyMap<string, FileState>;
  /** `.git`, of repositories below the projects. */
  readonly repositories: ReadonlySet<string>;
  /** Directories at the top whose names nobody knows: a new one is told as a whole. */
  readonly unknown: ReadonlySet<string>;
  /** Environments of Python that were not looked through. */
  readonly venvs: ReadonlySet<string>;
  /** Directories at which it ended, and places of which a part was left out. */
  readonly notLookedAt: readonly string[];
}

/**
 * @param most directories of a project
 * @param venvs environments of Python that were there before the run; undefined: what is one now
 */
export function lookAt(watch: Watch, most: number, venvs?: ReadonlySet<string>): Looked {
  return new Look(watch, most, venvs).all();
}

class Look {
  readonly #watch: Watch;
  readonly #most: number;
  readonly #known: ReadonlySet<string> | undefined;
  readonly #room: Room = newRoom();
  readonly #files = new Map<string, FileState>();
  readonly #repositories = new Set<string>();
  readonly #unknown = new Set<string>();
  readonly #venvs = new Set<string>();
  readonly #effort = newEffort();
  readonly #persons: readonly Setting[];
  /** In any directory. By the first part of what is watched: all that begins so. */
  readonly #below: ReadonlyMap<string, readonly string[]>;
  readonly #left: string[] = [];

  constructor(watch: Watch, most: number, known: ReadonlySet<string> | undefined) {
    this.#watch = watch;
    this.#most = most;
    this.#known = known;
    this.#persons = [
      ...watch.gitSettings.flatMap((path) => settingsFrom(path, this.#effort)),
      ...watch.gitValues.map((value) => ({ ...value, from: '' })),
    ];
    const anywhere = new Set([...ANYWHERE, ...namedAnywhere(this.#persons, this.#effort)]);
    this.#below = Map.groupBy(anywhere, (name) => name.split('/')[0] ?? name);
  }

  all(): Looked {
    const { places, projects, repositories, paths, patterns } = this.#watch;
    for (const project of projects) this.#project(project);
    const ofGit = [...new Set([...repositories, ...this.#repositories])].flatMap((git) =>
      // A file leads to the repository.
      statOf(git)?.isFile()
        ? [git, ...namedByGit(git, this.#persons, this.#effort)]
        : withModules(git).flatMap((one) => this.#settingsOf(one)),
    );
    for (const path of [...ofGit, ...paths, ...patterns.flatMap(matching)]) {
      const place = places.find((one) => isBelow(path, one));
      if (place !== undefined && path !== place) this.#path(place, relative(place, path));
    }
    return {
      files: this.#files,
      repositories: this.#repositories,
      unknown: this.#unknown,
      venvs: this.#venvs,
      notLookedAt: [...this.#left, ...this.#effort.leftOut],
    };
  }

  #project(top: string): void {
    for (const name of AT_TOP) {
      const isVenv = VENVS.includes(name) && statOf(join(top, name))?.isDirectory() === true;
      if (!isVenv) this.#path(top, name);
    }
    for (const venv of VENVS) {
      for (const path of startFilesOf(join(top, venv))) this.#path(top, relative(top, path));
    }
    this.#dotted(top);
    const rest = [top];
    for (let looked = 0; looked < rest.length; looked += 1) {
      const directory = rest[looked] ?? top;
      if (looked >= this.#most) {
        // Not spread: there may be more than a call takes arguments.
        for (const left of rest.slice(looked)) this.#left.push(left);
        return;
      }
      this.#directory(directory, rest);
    }
  }

  /** What is settings by its name, as far as nobody knows better. */
  #dotted(top: string): void {
    const known = new Set([...AT_TOP.map((name) => name.split('/')[0]), ...VENVS, '.git']);
    for (const entry of listed(top) ?? []) {
      const { name } = entry;
      if (known.has(name) || this.#below.has(name) || !maybeSettings(name)) continue;
      if (entry.isDirectory()) {
        this.#unknown.add(join(top, name));
      } else if (entry.isFile() || entry.isSymbolicLink()) {
        this.#path(top, name);
      }
    }
  }

  #directory(directory: string, rest: string[]): void {
    const entries = listed(directory);
    if (entries === undefined) {
      // Who knows a name gets at it all the same.
      this.#left.push(directory);
      for (const name of [...this.#below.values()].flat()) this.#path(directory, name);
      if (statOf(join(directory, '.git'))) this.#repositories.add(join(directory, '.git'));
      return;
    }
    for (const entry of entries) this.#entry(directory, entry, rest);
    const names = new Set(entries.map(({ name }) => name));
    // What git takes for a repository without a worktree, wherever somebody stands in it.
    if (names.has('HEAD') && (names.has('objects') || names.has('commondir'))) {
      for (const path of [join(directory, 'HEAD'), ...this.#settingsOf(directory)]) {
        this.#path(directory, relative(directory, path));
      }
    }
  }

  #entry(directory: string, entry: Dirent, rest: string[]): void {
    const { name } = entry;
    const path = join(directory, name);
    const watched = this.#below.get(name);
    for (const below of watched ?? []) this.#path(directory, below);
    if (KEPT_ENVIRONMENT.test(path)) this.#path(directory, name);
    if (hasStrangeName(path) && statOf(path) === undefined) {
      if (entry.isFile()) return;
      this.#left.push(path);
      this.#files.set(path, readState(path));
    } else if (name === '.git') {
      this.#repositories.add(path);
    } else if (entry.isSymbolicLink()) {
      this.#link(path);
    } else if (entry.isDirectory() && !this.#isLeftOut(path, name) && !watched?.includes(name)) {
      rest.push(path);
    }
  }

  /** What the run itself has made an environment of Python could hide anything. */
  #isLeftOut(path: string, name: string): boolean {
    if (NOT_LOOKED_THROUGH.has(name)) return true;
    if (!OTHER_VENVS.has(name) || statOf(join(path, VENV_MARK)) === undefined) return false;
    if (this.#known?.has(path) === false) return false;
    this.#venvs.add(path);
    return true;
  }

  /** What git runs, or lets run, of a repository that is a directory. */
  #settingsOf(git: string): readonly string[] {
    return [
      ...IN_REPOSITORY.map((name) => join(git, name)),
      ...worktreesIn(git),
      ...namedByGit(git, this.#persons, this.#effort),
    ];
  }

  /** To a directory that is not looked through itself: what is watched could stand in there. */
  #link(path: string): void {
    if (this.#files.has(path)) return;
    const real = realOf(path);
    if (real === undefined || statOf(real)?.isDirectory() !== true) return;
    const { projects } = this.#watch;
    const isLookedThrough = projects.some(
      (project) =>
        isBelow(real, project) &&
        !relative(project, real)
          .split('/')
          .some((name) => NOT_LOOKED_THROUGH.has(name) || OTHER_VENVS.has(name)),
    );
    if (!isLookedThrough) this.#files.set(path, readState(path, this.#room));
  }

  /** @param tail below `top`, which is no link; what is on the way may be one */
  #path(top: string, tail: string, links = 0): void {
    const names = tail.split('/');
    for (const [index] of names.entries()) {
      const path = join(top, ...names.slice(0, index + 1));
      const stat = statOf(path);
      if (stat === undefined && !hasStrangeName(path)) return;
      if (stat?.isSymbolicLink()) {
        this.#files.set(path, readState(path, this.#room));
        this.#behind(realOf(path), names.slice(index + 1), links);
        return;
      }
      if (index === names.length - 1) {
        this.#whole(path);
      } else if (stat?.isDirectory() !== true) {
        return;
      }
    }
  }

  /** What a link leads to is as good as what is named itself, where it may be written. */
  #behind(real: string | undefined, names: readonly string[], links: number): void {
    const place = this.#watch.places.find((one) => real !== undefined && isBelow(real, one));
    if (real === undefined || place === undefined || links >= MAX_LINKS) return;
    const path = join(real, ...names);
    if (path === place) return;
    this.#path(place, relative(place, path), links + 1);
  }

  /** A file, or all that is in a directory. */
  #whole(top: string): void {
    const rest = [top];
    for (let looked = 0; rest.length > 0; looked += 1) {
      const path = rest.pop() ?? top;
      if (looked >= MAX_IN_DIRECTORY) {
        this.#left.push(top);
        return;
      }
      const stat = statOf(path);
      if (stat?.isDirectory()) {
        const isHooks = path.endsWith('/hooks');
        for (const { name } of entriesOf(path)) {
          if (!(isHooks && SAMPLE.test(name))) rest.push(join(path, name));
        }
      } else if (!this.#files.has(path)) {
        const state = readState(path, this.#room);
        if (state.kind !== 'absent') this.#files.set(path, state);
      }
    }
  }
}

/** One path, as it is now. @param place that it is in; behind a link nothing is there */
export function stateAt(place: string, path: string): FileState {
  const names = relative(place, path).split('/');
  for (const [index] of names.slice(0, -1).entries()) {
    const above = statOf(join(place, ...names.slice(0, index + 1)));
    if (above?.isDirectory() !== true) return ABSENT;
  }
  return readState(path);
}

/** Links in directories that an agent keeps, made since: over these it would write elsewhere. */
export function linksSince(directories: readonly string[], sinceMs: number): readonly string[] {
  return directories.flatMap(linksIn).filter((path) => (statOf(path)?.ctimeMs ?? 0) >= sinceMs);
}

function linksIn(top: string): readonly string[] {
  const found: string[] = [];
  const rest = [top];
  for (let listed = 0; rest.length > 0 && listed < MAX_LISTED; ) {
    const directory = rest.pop() ?? top;
    for (const entry of entriesOf(directory)) {
      listed += 1;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) rest.push(path);
      if (entry.isSymbolicLink()) found.push(path);
    }
  }
  return found;
}

/** `lib/python3.N/site-packages/*.pth` and the like, and what terminals of editors begin with. */
function startFilesOf(venv: string): readonly string[] {
  return [
    ...matching(join(venv, 'lib', '*', 'site-packages', '*')).filter((path) =>
      /\/[^/]+\.pth$|\/(site|user)customize\.py$/.test(path),
    ),
    ...matching(join(venv, 'bin', '*')).filter((path) => /\/activate(\.\w+)?$/.test(path)),
  ];
}

/** Paths that are there. @param pattern with `*` for any name */
function matching(pattern: string): readonly string[] {
  const [, ...parts] = pattern.split('/');
  return parts.reduce<readonly string[]>(
    (found, part) =>
      found.flatMap((path) =>
        (part === '*' ? entriesOf(path || '/').map(({ name }) => name) : [part])
          .map((name) => `${path}/${name}`)
          .filter((one) => statOf(one) !== undefined || hasStrangeName(one)),
      ),
    [''],
  );
}

/** @returns undefined: it is ours, and cannot be listed */
function listed(directory: string): readonly Dirent[] | undefined {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    // That of another user is as closed to the command as it is to us.
    const owner = statOf(directory)?.uid;
    return owner === undefined || owner === process.getuid?.() ? undefined : [];
  }
}
