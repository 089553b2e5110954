/** Where a claim stands in a token, and what is read there. */
import { PLATFORMS, type PlatformName, type TokenClaims } from './platforms.ts';

export type ClaimPath = readonly string[];

/**
 * A short name of the platform; else a JSON pointer when it begins with a slash (RFC 6901), else
 * the name of a claim at the top, whatever is in it: `oidc.circleci.com/project-id` is one name.
 */
export function claimPath(platform: PlatformName, name: string): ClaimPath {
  const { paths } = PLATFORMS[platform];
  const known = Object.hasOwn(paths, name) ? paths[name] : undefined;
  if (known !== undefined) {
    return known;
  }
  return name.startsWith('/') ? name.slice(1).split('/').map(unescapeKey) : [name];
}

/** @returns undefined when it is not there; never what an object inherits. */
export function readClaim(claims: TokenClaims, path: ClaimPath): unknown {
  let value: unknown = claims;
  for (const key of path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) {
      return undefined;
    }
    value = value[key];
  }
  return value;
}

export function isSamePath(a: ClaimPath, b: ClaimPath): boolean {
  return a.length === b.length && isWithin(a, b);
}

/** Whether `path` is `outer` or stands in it. */
export function isWithin(path: ClaimPath, outer: ClaimPath): boolean {
  return outer.every((key, index) => path[index] === key);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unescapeKey(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}
