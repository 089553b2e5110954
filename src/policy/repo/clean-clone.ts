/**
 * Whether a clone holds what hoop has put there and nothing else. git runs programs that the settings
 * of a repository name (`core.alternateRefsCommand`, `remote.….uploadpack`, hooks), follows files to
 * other object stores (`objects/info/alternates`, `commondir`) and believes files about its history
 * (`shallow`, `info/grafts`). Whoever could put such a file into the clone would run a program as
 * whoever runs hoop, so git is not asked about it: the files themselves are looked at.
 * https://git-scm.com/docs/gitrepository-layout
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What `git init` writes; some of it depends on the file system. */
const CONFIG =
  /^\[core\]\n(\t(repositoryformatversion = 0|(filemode|bare|ignorecase|precomposeunicode|symlinks) = (true|false))\n)*$/;
const AT_THE_TOP: ReadonlySet<string> = new Set([
  'HEAD',
  'config',
  'objects',
  'refs',
  'packed-refs',
]);
const LOCKS = /^(HEAD|config|packed-refs)\.lock$/;
const LOOSE = /^[0-9a-f]{2}$/;
const IN_PACK = /^(pack-[0-9a-f]+\.(pack|idx|rev|keep|mtimes)(\.temp)?|tmp_[\w.-]+|\.tmp-[\w.-]+)$/;
const LEFT_BY_A_FETCH = /^(tmp_|incoming-)/;
/** git refuses to walk more in a name, too. */
const MAX_REF_DEPTH = 32;

export function isCleanClone(gitDir: string): boolean {
  return (
    isOwn(gitDir, 'directory') &&
    readdirSync(gitDir).every((name) => AT_THE_TOP.has(name) || LOCKS.test(name)) &&
    isGoneOr('file', join(gitDir, 'packed-refs')) &&
    isText(join(gitDir, 'config'), CONFIG) &&
    isText(join(gitDir, 'HEAD'), /^ref: refs\/heads\/[\w./-]+\n$/) &&
    isObjectStore(join(gitDir, 'objects')) &&
    holdsOnlyFiles(join(gitDir, 'refs'), MAX_REF_DEPTH)
  );
}

function isObjectStore(directory: string): boolean {
  return (
    isOwn(directory, 'directory') &&
    readdirSync(directory).every((name) => {
      const path = join(directory, name);
      return name === 'info'
        ? isOwn(path, 'directory') && readdirSync(path).length === 0
        : name === 'pack'
          ? isOwn(path, 'directory') &&
            readdirSync(path).every(
              (file) => IN_PACK.test(file) && isGoneOr('file', join(path, file)),
            )
          : (LOOSE.test(name) && isOwn(path, 'directory')) || LEFT_BY_A_FETCH.test(name);
    })
  );
}

function holdsOnlyFiles(directory: string, depth: number): boolean {
  return (
    depth > 0 &&
    isOwn(directory, 'directory') &&
    readdirSync(directory).every((name) => {
      const path = join(directory, name);
      return isGoneOr('file', path) || holdsOnlyFiles(path, depth - 1);
    })
  );
}

function isText(path: string, expected: RegExp): boolean {
  return isOwn(path, 'file') && expected.test(readFileSync(path, 'utf8'));
}

/** Another git of ours may be at work, and its temporary files go away. */
function isGoneOr(kind: 'file', path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined || isOwn(path, kind);
}

/** No link, and nobody else's. */
function isOwn(path: string, kind: 'file' | 'directory'): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const isKind = kind === 'file' ? stat?.isFile() : stat?.isDirectory();
  const user = process.getuid?.();
  return isKind === true && (user === undefined || stat?.uid === user);
}
