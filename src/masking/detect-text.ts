/**
 * Finds protected data in one piece of text and takes it out. This is the second net: it catches
 * what stands in columns that no rule names. Values of a result come here only where
 * `candidates/hit-candidates.ts` has seen something; it must not touch text that merely resembles
 * (each detector confirms its hits).
 */
import type { DetectorName } from '../policy/types.ts';
import { findCards } from './detectors/card.ts';
import { findEmails } from './detectors/email.ts';
import type { Hit } from './detectors/hit.ts';
import { findIbans } from './detectors/iban.ts';
import { findSocialSecurityNumbers } from './detectors/ssn.ts';
import { findCloudKeys, findJwts, findPrivateKeys, findVcsTokens } from './detectors/tokens.ts';
import { findUrlPasswords } from './detectors/url-password.ts';
import { hexRuns } from './hex-runs.ts';
import { unescapedText } from './unescaped-text.ts';

/** Of hits that start at the same place the one listed first gives its name. */
const FINDERS: readonly Finder[] = [
  { name: 'private-key', find: findPrivateKeys, digits: 0, isToken: true },
  { name: 'jwt', find: findJwts, digits: 0, isToken: true },
  { name: 'url-password', find: findUrlPasswords, digits: 0 },
  { name: 'vcs-token', find: findVcsTokens, digits: 0, isToken: true },
  { name: 'cloud-key', find: findCloudKeys, digits: 0, isToken: true },
  // Two check digits, and a bank that is not all letters.
  { name: 'iban', find: findIbans, digits: 4 },
  { name: 'card', find: findCards, digits: 13 },
  { name: 'ssn', find: findSocialSecurityNumbers, digits: 9 },
  { name: 'email', find: findEmails, digits: 0 },
];

interface Finder {
  readonly name: DetectorName;
  readonly find: (text: string, hits: Hit[]) => void;
  /** With fewer digits in the whole text there is no hit. */
  readonly digits: number;
  /** Without a match of TOKEN_START there is none either. */
  readonly isToken?: true;
}

/** Counts by class; the caller owns it. */
export type HitCounts = Map<DetectorName, number>;

const SSN_DIGITS = 9;

const TOKEN_START =
  /eyJ|A[KSBC][IC]A|AIza|ya29|[eE][cC][rR][eE][tT]|[aA][wW][sS]|AccountKey|_live_|xox|sk-|gh[oprsu]_|github_pat|gl(?:pat|dt|rt|cbt|ptt|soat)-|npm_|pypi-|-----BEGIN|:\/\//;

const ESCAPED_AT = /%40|\\u0040|\\x40|\\100|&#0*64;|&#x0*40;/i;

interface Traits {
  readonly digits: number;
  readonly hasToken: boolean;
}

function traitsOf(text: string): Traits {
  return { digits: digitsIn(text), hasToken: TOKEN_START.test(text) };
}

function hitsIn(text: string, traits: Traits, detectors: ReadonlySet<DetectorName>): Hit[] {
  const found: Hit[] = [];
  for (const { name, find, digits, isToken } of FINDERS) {
    if (traits.digits < digits || (isToken && !traits.hasToken)) continue;
    if (detectors.has(name)) find(text, found);
  }
  return found;
}

/** At most: beyond ASCII any character from U+0660, the first digit of another script, counts. */
function digitsIn(text: string): number {
  let digits = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code <= 0x39 ? code >= 0x30 : code >= 0x660) digits += 1;
  }
  return digits;
}

/** All hits, in order, none overlapping another. */
export function detectText(text: string, detectors: ReadonlySet<DetectorName>): Hit[] {
  const traits = traitsOf(text);
  const found = hitsIn(text, traits, detectors);
  // An escaped digit has a digit in it, and tokens have no character that needs an escape.
  const mayBeEscaped = traits.digits >= SSN_DIGITS || traits.hasToken || ESCAPED_AT.test(text);
  const unescaped = mayBeEscaped ? unescapedText(text) : undefined;
  if (unescaped !== undefined) {
    const { placeOf } = unescaped;
    const hits = hitsIn(unescaped.text, traitsOf(unescaped.text), detectors);
    for (const { detector, start, end } of hits) {
      found.push({ detector, start: placeOf(start), end: placeOf(end) });
    }
  }
  for (const { text: inside, placeOf } of hexRuns(text)) {
    for (const { detector, start, end } of hitsIn(inside, traitsOf(inside), detectors)) {
      found.push({ detector, start: placeOf(start), end: placeOf(end), isHex: true });
    }
  }
  // Stable: of hits that start together the one of the first finder comes first.
  found.sort((left, right) => left.start - right.start);
  const hits: Hit[] = [];
  for (const hit of found) {
    const last = hits.at(-1);
    if (last === undefined || hit.start >= last.end) {
      hits.push(hit);
    } else if (hit.end > last.end && !isHostOfUrl(last, hit)) {
      // Two classes share a stretch: all of both goes, under the name of the first.
      hits[hits.length - 1] = { ...last, end: hit.end };
    }
  }
  return hits;
}

/** In `scheme://user:password@host.example` the tail also looks like an address. */
function isHostOfUrl(password: Hit, address: Hit): boolean {
  return password.detector === 'url-password' && address.detector === 'email';
}

/** @returns the text with every hit replaced by its class in brackets, or undefined: no hit. */
export function withoutHits(
  text: string,
  detectors: ReadonlySet<DetectorName>,
  counts: HitCounts,
): string | undefined {
  const hits = detectText(text, detectors);
  if (hits.length === 0) return undefined;
  let result = '';
  let from = 0;
  for (const hit of hits) {
    // Brackets and letters need no quoting in JSON strings, array literals and row literals.
    const shown = `[${hit.detector}]`;
    result += text.slice(from, hit.start) + (hit.isHex ? hexOf(shown) : shown);
    from = hit.end;
    countHit(counts, hit.detector);
  }
  return result + text.slice(from);
}

function hexOf(text: string): string {
  return Buffer.from(text).toString('hex');
}

export function countHit(counts: HitCounts, detector: DetectorName): void {
  counts.set(detector, (counts.get(detector) ?? 0) + 1);
}
