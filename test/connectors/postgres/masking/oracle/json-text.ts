/**
 * Detectors inside JSON text: strings and numbers are looked at one by one, so that the result is
 * JSON again and escapes (`\u0034`) hide nothing.
 */

import { isCardNumber } from '../../../../../src/masking/detectors/card.ts';
import type { DetectorName } from '../../../../../src/policy/types.ts';
import { countHit, type HitCounts, withoutHits } from './detect-text.ts';

/** A string or a number token. No nesting is followed, so depth costs nothing. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

/** @returns the new text, or undefined: nothing found. */
export function jsonWithoutHits(
  json: string,
  detectors: ReadonlySet<DetectorName>,
  counts: HitCounts,
): string | undefined {
  let result = '';
  let from = 0;
  for (const match of json.matchAll(TOKEN)) {
    const token = match[0];
    const replacement = token.startsWith('"')
      ? stringWithoutHits(token, detectors, counts)
      : numberWithoutHits(token, detectors, counts);
    if (replacement === undefined) continue;
    result += json.slice(from, match.index) + replacement;
    from = match.index + token.length;
  }
  return from === 0 ? undefined : result + json.slice(from);
}

function stringWithoutHits(
  token: string,
  detectors: ReadonlySet<DetectorName>,
  counts: HitCounts,
): string | undefined {
  const text = token.includes('\\') ? unescaped(token) : token.slice(1, -1);
  const clean = withoutHits(text, detectors, counts);
  return clean === undefined ? undefined : JSON.stringify(clean);
}

/** The server has checked the syntax; what it accepts and JSON.parse does not is taken as it is. */
function unescaped(token: string): string {
  try {
    const value: unknown = JSON.parse(token);
    return typeof value === 'string' ? value : token.slice(1, -1);
  } catch (error) {
    if (error instanceof SyntaxError) return token.slice(1, -1);
    throw error;
  }
}

function numberWithoutHits(
  token: string,
  detectors: ReadonlySet<DetectorName>,
  counts: HitCounts,
): string | undefined {
  if (!detectors.has('card')) return undefined;
  const digits = /^-?(\d+)(?:\.0+)?$/.exec(token)?.[1];
  if (digits === undefined || !isCardNumber(digits)) return undefined;
  countHit(counts, 'card');
  return 'null';
}
