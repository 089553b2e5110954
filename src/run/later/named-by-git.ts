/** What the settings of a repository and of the person name: git runs it, or reads it as settings of its own. */
import { basename, dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { realOf, statOf } from './file-state.ts';
import {
  type Effort,
  includedPath,
  inFull,
  type Setting,
  settingsFrom,
  shortText,
} from './git-settings.ts';

/** Names and places of other repositories, which may be called as a file is. An alias begins with `!`. */
const NO_COMMANDS: ReadonlySet<string> = new Set([
  ...['name', 'email', 'url', 'pushurl', 'fetch', 'push', 'remote', 'merge', 'rebase'],
]);

/**
 * Paths, there or not: `core.hooksPath`, `include.path`, and files that commands (`core.fsmonitor`,
 * `filter.*.clean`, `alias.*`) begin with or are given.
 * @param git a repository, or the file of a worktree or a submodule that leads to one
 * @param persons settings of the person, which hold in every repository
 */
export function namedByGit(
  git: string,
  persons: readonly Setting[],
  effort: Effort,
): readonly string[] {
  const leads = /^gitdir: (.+)$/m.exec(shortText(git, effort) ?? '')?.[1];
  const directory = leads === undefined ? git : resolve(dirname(git), leads);
  const commonDir = shortText(join(directory, 'commondir'), effort)?.trim() ?? '';
  const common = resolve(directory, commonDir);
  const own = [join(common, 'config'), join(directory, 'config.worktree')].flatMap((path) =>
    settingsFrom(path, effort),
  );
  const top = leads === undefined ? topOf(git, own) : dirname(git);
  return [...new Set([...own, ...persons].flatMap((setting) => namedBy(setting, top, effort)))];
}

/**
 * What settings of the person name by a path that is relative: it holds wherever somebody makes a
 * repository or stands in one, so it is watched in any directory, repository or not.
 * @returns paths below a directory
 */
export function namedAnywhere(persons: readonly Setting[], effort: Effort): readonly string[] {
  const words = persons.flatMap((setting) => {
    const { key, value } = setting;
    if (key === 'hookspath') return [inFull(value)];
    if (key === 'path') return [];
    // Without a slash it is a program of PATH, or a word.
    return wordsOf(setting, effort).filter((word) => word.includes('/'));
  });
  const relative = words
    .filter((word) => !isAbsolute(word) && !word.includes(':'))
    // What is beside one directory is in another.
    .map((word) =>
      normalize(word)
        .replace(/^(\.\.\/)+/, '')
        .replace(/\/$/, ''),
    );
  return [...new Set(relative)].filter((path) => !['', '.', '..'].includes(path));
}

/** Where commands of the repository run. */
function topOf(git: string, own: readonly Setting[]): string {
  const worktree = own.find(({ key }) => key === 'worktree')?.value;
  if (worktree !== undefined) return resolve(git, inFull(worktree));
  return basename(git) === '.git' ? dirname(git) : git;
}

function namedBy(setting: Setting, top: string, effort: Effort): readonly string[] {
  const { key, value } = setting;
  if (key === 'path') return [includedPath(setting)];
  if (key === 'hookspath') return [resolve(top, inFull(value))];
  return wordsOf(setting, effort)
    .map((word) => resolve(top, inFull(word)))
    .filter((path) => statOf(realOf(path) ?? path)?.isFile() === true);
}

function wordsOf({ key, value, from }: Setting, effort: Effort): readonly string[] {
  if (NO_COMMANDS.has(key) && !value.startsWith('!')) return [];
  const words = value.split(/[\s"'!;&|]+/).filter((word) => word !== '');
  if (words.length > effort.words) {
    effort.leftOut.add(from);
    return [];
  }
  effort.words -= words.length;
  return words;
}
