/** What the settings of a repository and of the person name: git runs it, or reads it as settings of its own. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { realOf, statOf } from './file-state.ts';

/** Longer ones nobody writes. */
const MAX_BYTES = 256 * 1024;
/** Names and places of other repositories, which may be called as a file is. An alias begins with `!`. */
const NO_COMMANDS: ReadonlySet<string> = new Set([
  ...['name', 'email', 'url', 'pushurl', 'fetch', 'push', 'remote', 'merge', 'rebase'],
]);
/** Files of settings that include one another. */
const MAX_FILES = 100;

/** A setting, and the file in which it stands. */
export interface Setting {
  readonly key: string;
  readonly value: string;
  readonly from: string;
}

/**
 * Paths, there or not: `core.hooksPath`, `include.path`, and files that commands (`core.fsmonitor`,
 * `filter.*.clean`, `alias.*`) begin with or are given.
 * @param git a repository, or the file of a worktree or a submodule that leads to one
 * @param persons settings of the person, which hold in every repository
 */
export function namedByGit(git: string, persons: readonly Setting[]): readonly string[] {
  const leads = /^gitdir: (.+)$/m.exec(shortText(git) ?? '')?.[1];
  const directory = leads === undefined ? git : resolve(dirname(git), leads);
  const common = resolve(directory, shortText(join(directory, 'commondir'))?.trim() ?? '');
  const own = [join(common, 'config'), join(directory, 'config.worktree')].flatMap((path) =>
    settingsFrom(path),
  );
  const top = leads === undefined ? topOf(git, own) : dirname(git);
  return [...new Set([...own, ...persons].flatMap((setting) => namedBy(setting, top)))];
}

/**
 * Of a file of settings, and of those that it includes, whatever the condition; each once, since a
 * run can write settings that include themselves thousands of times.
 */
export function settingsFrom(config: string, seen = new Set<string>()): readonly Setting[] {
  if (seen.has(config) || seen.size >= MAX_FILES) return [];
  seen.add(config);
  return settingsIn(config).flatMap((one) =>
    one.key === 'path' ? [one, ...settingsFrom(included(one), seen)] : [one],
  );
}

/** Where commands of the repository run. */
function topOf(git: string, own: readonly Setting[]): string {
  const worktree = own.find(({ key }) => key === 'worktree')?.value;
  if (worktree !== undefined) return resolve(git, pathOf(worktree));
  return basename(git) === '.git' ? dirname(git) : git;
}

function namedBy(setting: Setting, top: string): readonly string[] {
  const { key, value } = setting;
  if (key === 'path') return [included(setting)];
  if (key === 'hookspath') return [resolve(top, inFull(pathOf(value)))];
  if (NO_COMMANDS.has(key) && !value.startsWith('!')) return [];
  return value
    .split(/[\s"'!;&|]+/)
    .filter((word) => word !== '')
    .map((word) => resolve(top, inFull(word)))
    .filter((path) => statOf(realOf(path) ?? path)?.isFile() === true);
}

function included({ value, from }: Setting): string {
  return resolve(dirname(from), inFull(pathOf(value)));
}

/** Without quotes, or without a comment behind it. */
function pathOf(value: string): string {
  return /^"([^"]*)"/.exec(value)?.[1] ?? value.replace(/[#;].*$/, '').trim();
}

function inFull(path: string): string {
  return path.replace(/^~(?=\/|$)/, () => homedir());
}

/** https://git-scm.com/docs/git-config#_syntax: a line each; keys do not tell case apart. */
function settingsIn(path: string): readonly Setting[] {
  const text = shortText(path) ?? '';
  // Blanks of one line: over empty lines by the thousand each would be gone through from each.
  const setting = /^[^\S\n]*(?:\[[^\]\n]*\][^\S\n]*)?([A-Za-z][A-Za-z0-9-]*)[^\S\n]*=[ \t]*(.*)$/gm;
  return [...text.matchAll(setting)].map(([, key = '', value = '']) => ({
    key: key.toLowerCase(),
    value: value.trim(),
    from: path,
  }));
}

function shortText(path: string): string | undefined {
  const stat = statOf(realOf(path) ?? path);
  if (stat?.isFile() !== true || stat.size > MAX_BYTES) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
