/**
 * What a fenced run has changed of what runs by itself later. Looked at before the run and after it,
 * and written down in between where no run can write, so that a hoop that is killed owes the answer
 * to the next one in the same directory (owed-changes.ts).
 */
import { dirname } from 'node:path';
import * as z from 'zod';
import type { FenceView } from '../fence/fence-view.ts';
import { isBelow } from '../fence/is-below.ts';
import type { Kept } from '../fence/shadow-state.ts';
import { ABSENT, FileState, isSame, readState, statOf } from './file-state.ts';
import { GitValue } from './git-settings.ts';
import {
  type Looked,
  linksSince,
  lookAt,
  MAX_DIRECTORIES,
  stateAt,
  type Watch,
} from './watched-files.ts';

/** Times of files are those of the last tick of the kernel's clock. */
const TICK_MS = 20;

export const Change = z.object({
  path: z.string(),
  /** That it is in: what the run could write. */
  place: z.string(),
  /** Undefined: nobody looked there before the run. */
  before: FileState.optional(),
  after: FileState,
  /** A whole repository of git, which was not there. */
  isRepository: z.boolean().default(false),
});
export type Change = z.infer<typeof Change>;

const Paths = z.array(z.string()).readonly();
const WatchText = z.object({
  places: Paths,
  projects: Paths,
  repositories: Paths,
  gitSettings: Paths,
  gitValues: z.array(GitValue).readonly().default([]),
  paths: Paths,
  patterns: Paths,
  kept: Paths,
});

/** As it is written down. */
export const BeforeRun = z.object({
  watch: WatchText,
  sinceMs: z.number(),
  files: z.record(z.string(), FileState),
  repositories: Paths,
  unknown: Paths.default([]),
  venvs: Paths,
  notLookedAt: Paths,
});
export type BeforeRun = z.infer<typeof BeforeRun>;

export function watchOf(
  { cwd, cwdIs, known, neverWritten, repositories, gitSettings, gitValues }: WatchedView,
  kept: Kept = { directories: [], instructions: [] },
): Watch {
  const places = known.places.map(({ path }) => path);
  return {
    places,
    projects: places.filter((place) => cwdIs === 'writable' && place === cwd),
    repositories,
    gitSettings,
    gitValues,
    paths: neverWritten,
    patterns: kept.instructions,
    kept: kept.directories,
  };
}

type WatchedView = Pick<
  FenceView,
  'cwd' | 'cwdIs' | 'known' | 'neverWritten' | 'repositories' | 'gitSettings' | 'gitValues'
>;

export function beforeRun(watch: Watch, most: number = MAX_DIRECTORIES.before): BeforeRun {
  const sinceMs = Date.now() - TICK_MS;
  const { files, repositories, unknown, venvs, notLookedAt } = lookAt(watch, most);
  return {
    watch,
    sinceMs,
    files: Object.fromEntries(files),
    repositories: [...repositories],
    unknown: [...unknown],
    venvs: [...venvs],
    notLookedAt,
  };
}

export interface AfterRun {
  readonly changes: readonly Change[];
  /** Places that were not looked at, or not all of them: a person has to. */
  readonly notLookedAt: readonly string[];
}

/** When nothing of the run is left that could write. */
export function afterRun(before: BeforeRun, most: number = MAX_DIRECTORIES.after): AfterRun {
  const { watch } = before;
  const after = lookAt(watch, most, new Set(before.venvs));
  const files = new Map(Object.entries(before.files));
  const left = new Set(before.notLookedAt);
  const changes = [...new Set([...files.keys(), ...after.files.keys()])].flatMap((path) =>
    changeOf(path, files, after, { ...before, left }),
  );
  const links = linksSince(watch.kept, before.sinceMs).filter((path) => !after.files.has(path));
  const repositories = newOf(after.repositories, before.repositories).filter(
    (path) => oneAbove(path, left) === undefined,
  );
  const unknown = newOf(after.unknown, before.unknown);
  // One question for all that is in them.
  const wholes = new Set(unknown);
  const newOnes = new Set([...repositories, ...unknown]);
  return {
    changes: [
      ...changes.filter(({ path }) => oneAbove(path, newOnes) === undefined),
      ...made(watch, links),
      ...made(watch, unknown),
      ...made(
        watch,
        repositories.filter((path) => oneAbove(path, wholes) === undefined),
      ).map((change) => ({ ...change, isRepository: true })),
    ].sort((a, b) => (a.path < b.path ? -1 : 1)),
    notLookedAt: after.notLookedAt,
  };
}

function newOf(after: ReadonlySet<string>, before: readonly string[]): readonly string[] {
  const known = new Set(before);
  return [...after].filter((path) => !known.has(path));
}

/** What was not there before. */
function made({ places }: Pick<Watch, 'places'>, paths: readonly string[]): readonly Change[] {
  return paths.flatMap((path) => {
    const place = placeOf(path, places);
    const after = readState(path);
    return place === undefined ? [] : [{ path, place, before: ABSENT, after, isRepository: false }];
  });
}

function changeOf(
  path: string,
  files: ReadonlyMap<string, FileState>,
  after: Looked,
  before: BeforeLooked,
): readonly Change[] {
  const place = placeOf(path, before.watch.places);
  if (place === undefined) return [];
  // New in a directory that was looked at before, or in one that is new itself.
  const was = files.get(path) ?? (oneAbove(path, before.left) === undefined ? ABSENT : undefined);
  // Where the second look came to its end before: what is known is asked for by name.
  const is = after.files.get(path) ?? stateAt(place, path);
  const isChanged = was === undefined ? isSince(path, before) : !isSame(was, is);
  return isChanged ? [{ path, place, before: was, after: is, isRepository: false }] : [];
}

type BeforeLooked = BeforeRun & { readonly left: ReadonlySet<string> };

/** The one that `path` is, or is in. By walking up, since there may be tens of thousands of each. */
function oneAbove(path: string, some: ReadonlySet<string>): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    if (some.has(at)) return at;
    if (at === dirname(at)) return undefined;
  }
}

/**
 * By the time of the kernel (ctime), of it or of a directory that may have been put there with it;
 * that also changes with each entry that is made in it, so more is told than has changed.
 */
function isSince(path: string, { sinceMs, left }: BeforeLooked): boolean {
  const top = oneAbove(path, left) ?? path;
  for (let at = path; isBelow(at, top); at = dirname(at)) {
    const stat = statOf(at);
    const isOwn = at === path || stat?.isDirectory() === true;
    if (isOwn && (stat?.ctimeMs ?? 0) >= sinceMs) return true;
  }
  return false;
}

/** The nearest. */
function placeOf(path: string, places: readonly string[]): string | undefined {
  return places
    .filter((place) => path !== place && isBelow(path, place))
    .sort((a, b) => b.length - a.length)[0];
}
