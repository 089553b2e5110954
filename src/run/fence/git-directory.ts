/**
 * Where git keeps the history of a working directory, when that is somewhere else: above it, or with
 * the main checkout of a linked worktree. A commit has to write there.
 * https://git-scm.com/docs/gitrepository-layout
 *
 * A pointer (a `.git` file, or a link) is only followed as far as nobody inside could have made it
 * up: the repository itself has to name the worktree, and what fenced commands could write before
 * may lead to nothing but what they could write then.
 */
import { lstatSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isBelow } from './is-below.ts';
import type { KnownPlace } from './known-places.ts';

export interface GitDirectory {
  /** Absolute, without links; undefined: none, or it is below `cwd` anyway. */
  readonly path?: string;
  /** What a pointer names that is not followed. */
  readonly refused?: string;
}

/** @param places what fenced commands could write before */
export function gitDirectory(cwd: string, places: readonly KnownPlace[]): GitDirectory {
  const known = places.find(({ path }) => path === cwd)?.git;
  // A link in its place may have been put there since.
  if (known !== undefined && realDirectory(known) === known && isRepository(known)) {
    return { path: known };
  }
  for (let directory = cwd; ; directory = dirname(directory)) {
    const path = join(directory, '.git');
    const kind = kindOf(path);
    if (kind?.isDirectory() && isRepository(path)) {
      return directory === cwd ? {} : { path };
    }
    const pointer = kind?.isDirectory() ? undefined : pointerOf(path);
    if (pointer !== undefined) {
      return isHonest(pointer, places)
        ? { path: pointer.repository }
        : { refused: pointer.repository };
    }
    if (directory === dirname(directory)) {
      return {};
    }
  }
}

function kindOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Below a file there is nothing, and nothing that could be followed.
    return undefined;
  }
}

interface Pointer {
  readonly repository: string;
  /** Files that say so. */
  readonly by: readonly string[];
  /** The repository itself says that this is its worktree. */
  readonly isNamedBack: boolean;
}

function pointerOf(path: string): Pointer | undefined {
  const target = /^gitdir: (.+)$/m.exec(textOf(path))?.[1];
  if (target === undefined) {
    const linked = realDirectory(path);
    return linked !== undefined && isRepository(linked)
      ? { repository: linked, by: [path], isNamedBack: false }
      : undefined;
  }
  const own = realDirectory(resolve(dirname(path), target));
  const common = own === undefined ? '' : textOf(join(own, 'commondir')).trim();
  const repository = own === undefined ? undefined : realDirectory(resolve(own, common));
  if (own === undefined || common === '' || repository === undefined || !isRepository(repository)) {
    return undefined;
  }
  const back = resolve(own, textOf(join(own, 'gitdir')).trim());
  return {
    repository,
    by: [path, own],
    isNamedBack:
      own === join(repository, 'worktrees', basename(own)) &&
      basename(back) === '.git' &&
      realDirectory(dirname(back)) === dirname(path),
  };
}

/** From where fenced commands could write it leads to nothing that they could not write then. */
function isHonest(
  { repository, by, isNamedBack }: Pointer,
  places: readonly KnownPlace[],
): boolean {
  return (
    isNamedBack &&
    by.every((file) =>
      places
        .filter(({ path }) => isBelow(file, path))
        .every(({ path, git }) => isBelow(repository, path) || repository === git),
    )
  );
}

/** As git itself looks (is_git_directory in setup.c). */
export function isRepository(path: string): boolean {
  return (
    textOf(join(path, 'HEAD')) !== '' &&
    isDirectory(join(path, 'objects')) &&
    isDirectory(join(path, 'refs'))
  );
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function realDirectory(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    return isDirectory(real) ? real : undefined;
  } catch {
    // Not there, or where we cannot look.
    return undefined;
  }
}

/** Empty when there is no such file. */
function textOf(path: string): string {
  try {
    return statSync(path).isFile() ? readFileSync(path, 'utf8') : '';
  } catch {
    // Nothing at all: no repository either way.
    return '';
  }
}
