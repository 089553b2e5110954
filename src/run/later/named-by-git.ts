/** What the settings of a repository name: git runs it, or reads it as settings of its own. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { realOf, statOf } from './file-state.ts';

/** Longer ones nobody writes. */
const MAX_BYTES = 256 * 1024;
/** Names and places of other repositories, which may be called as a file is. An alias begins with `!`. */
const NO_COMMANDS: ReadonlySet<string> = new Set([
  ...['name', 'email', 'url', 'pushurl', 'fetch', 'push', 'remote', 'merge', 'rebase'],
]);
/** Of settings that include settings. */
const MAX_INCLUDED = 3;

/**
 * Paths, there or not: `core.hooksPath`, `include.path`, and files that commands (`core.fsmonitor`,
 * `filter.*.clean`, `alias.*`) begin with or are given.
 * @param git a repository
 */
export function namedByGit(git: string): readonly string[] {
  return ['config', 'config.worktree'].flatMap((name) => namedIn(resolve(git, name), git, 0));
}

function namedIn(config: string, git: string, depth: number): readonly string[] {
  const settings = settingsIn(config);
  const worktree = settings.find(({ key }) => key === 'worktree')?.value;
  const top = worktree === undefined ? dirname(git) : resolve(git, worktree);
  return settings.flatMap(({ key, value }) => {
    if (key === 'path') {
      const included = resolve(dirname(config), value);
      return [included, ...(depth < MAX_INCLUDED ? namedIn(included, git, depth + 1) : [])];
    }
    if (key === 'hookspath') return [resolve(top, value)];
    if (NO_COMMANDS.has(key) && !value.startsWith('!')) return [];
    return value
      .split(/[\s"'!;&|]+/)
      .filter((word) => word !== '')
      .map((word) => resolve(top, word))
      .filter((path) => statOf(realOf(path) ?? path)?.isFile() === true);
  });
}

/** https://git-scm.com/docs/git-config#_syntax: a line each; keys do not tell case apart. */
function settingsIn(path: string): readonly { readonly key: string; readonly value: string }[] {
  const stat = statOf(realOf(path) ?? path);
  if (stat?.isFile() !== true || stat.size > MAX_BYTES) return [];
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  return [...text.matchAll(/^\s*(?:\[[^\]\n]*\]\s*)?([A-Za-z][A-Za-z0-9-]*)\s*=[ \t]*(.*)$/gm)].map(
    ([, key = '', value = '']) => ({
      key: key.toLowerCase(),
      value: value.trim().replace(/^"(.*)"$/, '$1'),
    }),
  );
}
