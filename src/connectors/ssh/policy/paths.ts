/** Paths on a server, and the patterns of rules about them. */
import { wildcardMatches } from '../../../policy/patterns.ts';

const CONTROL = /\p{Cc}/u;

/** Absolute, without `.`, `..`, doubled slashes, a slash at the end, and control characters. */
export function isNormalPath(path: string): boolean {
  return (
    path === '/' ||
    (path.startsWith('/') &&
      !CONTROL.test(path) &&
      path
        .slice(1)
        .split('/')
        .every((name) => name !== '' && name !== '.' && name !== '..'))
  );
}

/** `**` stands alone between slashes: `/srv/**`; what `/srv/a**` would mean nobody agrees on. */
export function isPathPattern(pattern: string): boolean {
  return (
    isNormalPath(pattern) &&
    pattern.split('/').every((name) => name === '**' || !name.includes('**'))
  );
}

/**
 * `*` is any text within a name, `**` any number of names: `/srv/**` covers `/srv` itself and
 * everything in it.
 */
export function pathMatches(pattern: string, path: string): boolean {
  return isNormalPath(path) && namesMatch(namesOf(pattern), namesOf(path));
}

/** For deny and approve: file systems that do not tell cases apart are some servers' own. */
export function pathMayMatch(pattern: string, path: string): boolean {
  return pathMatches(pattern.toLowerCase(), path.toLowerCase());
}

/**
 * Whether the path is a folder on the way to what a pattern covers: clients look at each before
 * they enter it.
 */
export function leadsThrough(pattern: string, path: string): boolean {
  const names = namesOf(pattern);
  const wild = names.findIndex((name) => name.includes('*'));
  const fixed = wild < 0 ? names.slice(0, -1) : names.slice(0, wild);
  const given = namesOf(path);
  return (
    isNormalPath(path) &&
    given.length <= fixed.length &&
    given.every((name, index) => name === fixed[index])
  );
}

function namesOf(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/');
}

/** Greedy, and back to the last `**` only: linear in both for each. */
function namesMatch(pattern: readonly string[], names: readonly string[]): boolean {
  let at = 0;
  let from = 0;
  let lastStars = -1;
  let lastFrom = 0;
  while (from < names.length) {
    const name = pattern[at];
    if (name === '**') {
      lastStars = at;
      lastFrom = from;
      at += 1;
    } else if (name !== undefined && nameMatches(name, names[from] ?? '')) {
      at += 1;
      from += 1;
    } else if (lastStars >= 0) {
      at = lastStars + 1;
      lastFrom += 1;
      from = lastFrom;
    } else {
      return false;
    }
  }
  return pattern.slice(at).every((name) => name === '**');
}

function nameMatches(pattern: string, name: string): boolean {
  return pattern.includes('*') ? wildcardMatches(pattern, name) : pattern === name;
}
