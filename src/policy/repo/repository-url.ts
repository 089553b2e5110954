/**
 * Which repositories and branches may be handed to git. git itself would take `ext::sh -c …` as
 * a transport that runs a command, and anything with a leading dash as an option.
 */
import { isAbsolute } from 'node:path';
import { HoopError } from '../../errors.ts';

const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** https://git-scm.com/docs/git-check-ref-format, and narrower. */
const BRANCH = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/** @returns the URL as git gets it. @throws HoopError HOOP_CONFIG */
export function checkRepository(repository: string): string {
  if (/[\0-\x1f\x7f]/.test(repository) || repository.length > 2000) {
    throw badRepository('It contains control characters or is too long.');
  }
  if (isAbsolute(repository)) {
    return `file://${repository.split('/').map(encodeURIComponent).join('/')}`;
  }
  const scp = /^(?:([^@/:]+)@)?([^@/:]+):(?!:)([^:].*)$/.exec(repository);
  if (scp && !repository.includes('://')) {
    const [, user, host = '', path = ''] = scp;
    if (!HOST.test(host) || (user !== undefined && !USER.test(user)) || path.startsWith('-')) {
      throw badRepository('The host or the user is not a plain name.');
    }
    return repository;
  }
  return checkUrl(repository);
}

function checkUrl(repository: string): string {
  let url: URL;
  try {
    url = new URL(repository);
  } catch {
    throw badRepository('It is neither a URL nor an absolute path.');
  }
  if (!['https:', 'ssh:', 'file:'].includes(url.protocol)) {
    throw badRepository('Only https, ssh and local paths are allowed.');
  }
  if (url.password !== '' || (url.protocol === 'https:' && url.username !== '')) {
    // It would be in the process list and in error texts.
    throw badRepository('It contains a user name or password.');
  }
  if (url.search !== '' || url.hash !== '') {
    // Nor is a token there that some hosts take.
    throw badRepository('It contains a query or a fragment.');
  }
  if (url.protocol === 'file:' && url.hostname !== '') {
    throw badRepository('A file URL must not name a host.');
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol !== 'file:' && !HOST.test(host) && !/^[0-9a-f:]+$/.test(host)) {
    throw badRepository('The host is not a plain name.');
  }
  if (url.username !== '' && !USER.test(decodeURIComponent(url.username))) {
    throw badRepository('The user is not a plain name.');
  }
  return repository;
}

/** @returns the full name of the ref. @throws HoopError HOOP_CONFIG */
export function branchRef(branch: string): string {
  if (!BRANCH.test(branch) || branch.includes('..') || /(\.lock|\.)(\/|$)/.test(branch)) {
    throw new HoopError('HOOP_CONFIG', `"${branch}" is not a branch name that hoop accepts`, {
      hint: 'Letters, digits, ".", "_", "-" and "/" are allowed.',
    });
  }
  return `refs/heads/${branch}`;
}

function badRepository(detail: string): HoopError {
  // The URL itself is not repeated: it may hold a password.
  return new HoopError('HOOP_CONFIG', 'the policy repository is not one that hoop accepts', {
    detail,
    hint: 'Use https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or an absolute path.',
  });
}
