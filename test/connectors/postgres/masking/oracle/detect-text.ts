/**
 * Finds protected data in one piece of text and takes it out. This is the second net: it catches
 * what stands in columns that no rule names, so it must be cheap where there is nothing to find
 * (`mayHoldHit`) and must not touch text that merely resembles (each detector confirms its hits).
 */

import { findCards } from '../../../../../src/masking/detectors/card.ts';
import { findEmails } from '../../../../../src/masking/detectors/email.ts';
import type { Hit } from '../../../../../src/masking/detectors/hit.ts';
import { findIbans } from '../../../../../src/masking/detectors/iban.ts';
import { findSocialSecurityNumbers } from '../../../../../src/masking/detectors/ssn.ts';
import {
  findCloudKeys,
  findJwts,
  findPrivateKeys,
  findVcsTokens,
} from '../../../../../src/masking/detectors/tokens.ts';
import { findUrlPasswords } from '../../../../../src/masking/detectors/url-password.ts';
import { hexRuns } from '../../../../../src/masking/hex-runs.ts';
import { unescapedText } from '../../../../../src/masking/unescaped-text.ts';
import type { DetectorName } from '../../../../../src/policy/types.ts';

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

/** The shortest thing any detector looks for is `a@b.co`. */
const SHORTEST_HIT = 6;
/** Was 20, and missed `xoxb-` with ten characters that stood alone; what replaced it does not. */
const SHORTEST_TOKEN = 15;
const SSN_DIGITS = 9;

const TOKEN_START =
  /eyJ|A[KSBC][IC]A|AIza|ya29|[eE][cC][rR][eE][tT]|[aA][wW][sS]|AccountKey|_live_|xox|sk-|gh[oprsu]_|github_pat|gl(?:pat|dt|rt|cbt|ptt|soat)-|npm_|pypi-|-----BEGIN|:\/\//;

const ESCAPED_AT = /%40|\\u0040|\\x40|\\100|&#0*64;|&#x0*40;/i;

const DIGIT = 1;
/** Lead byte of a character that may be a digit of another script; the first is U+0660. */
const FOREIGN = 2;
const AT = 4;
const ESCAPE = 16;
/** Every token has one of these characters: `_ - : =`, the J of eyJ, the A of AKIA. */
const TOKEN = 8;

const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x30 && byte <= 0x39) return DIGIT;
  if (byte >= 0xd9) return FOREIGN;
  if (byte === 0x40) return AT;
  if (byte === 0x25 || byte === 0x26 || byte === 0x5c) return ESCAPE;
  return '_-:=JA'.includes(String.fromCharCode(byte)) ? TOKEN : 0;
});

/** Whether it is worth to decode and search these bytes (ASCII-compatible encoding). */
export function mayHoldHit(bytes: Uint8Array): boolean {
  if (bytes.length < SHORTEST_HIT) return false;
  // Bytes within rows, arrays and JSON passed here; now they are searched as well.
  if (hexRuns(latin1(bytes)).length > 0) return true;
  let digits = 0;
  let mayBeToken = false;
  let hasEscape = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const kind = CLASSES[bytes[index] ?? 0] ?? 0;
    if (kind === 0) continue;
    if (kind === AT) return true;
    if (kind === TOKEN) mayBeToken = true;
    else if (kind === ESCAPE) hasEscape = true;
    else if (++digits >= SSN_DIGITS) return true;
  }
  // Escaped digits are of digits, an escaped @ is not an @.
  if (hasEscape && digits > 1 && ESCAPED_AT.test(latin1(bytes))) return true;
  // Only ya29 has none of those characters, but digits.
  if (bytes.length < SHORTEST_TOKEN || !(mayBeToken || digits > 1)) return false;
  return TOKEN_START.test(latin1(bytes));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

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
