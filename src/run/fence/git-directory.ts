/**
 * Where git keeps the history of a working directory, when that is somewhere else: above it, or with
 * the main checkout of a linked worktree. A commit has to write there.
 * https://git-scm.com/docs/gitrepository-layout
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** @returns absolute, without links; undefined: none, or it is below `cwd` anyway. */
export function gitDirectory(cwd: string): string | undefined {
  for (let directory = cwd; ; directory = dirname(directory)) {
    const path = join(directory, '.git');
    const found = isDirectory(path) ? path : linkedRepository(path);
    if (found !== undefined && isRepository(found)) {
      return directory === cwd && found === path ? undefined : realpathSync(found);
    }
    if (directory === dirname(directory)) {
      return undefined;
    }
  }
}

/**
 * The `.git` file of a worktree names `REPOSITORY/worktrees/NAME`, and there a file names it back.
 * A file that came with somebody's archive could name anything: it is not named back.
 */
function linkedRepository(file: string): string | undefined {
  const target = /^gitdir: (.+)$/m.exec(textOf(file))?.[1];
  if (target === undefined) {
    return undefined;
  }
  const own = resolve(dirname(file), target);
  const back = textOf(join(own, 'gitdir')).trim();
  const common = textOf(join(own, 'commondir')).trim();
  const isNamedBack = back !== '' && resolve(own, back) === file;
  return isNamedBack && common !== '' ? resolve(own, common) : undefined;
}

/** As git itself looks (is_git_directory in setup.c). */
function isRepository(path: string): boolean {
  return (
    textOf(join(path, 'HEAD')) !== '' &&
    isDirectory(join(path, 'objects')) &&
    isDirectory(join(path, 'refs'))
  );
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Empty when there is no such file. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A directory, or nothing at all: no repository either way.
    return '';
  }
}
