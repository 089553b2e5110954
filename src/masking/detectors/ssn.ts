/**
 * US social security numbers with separators. Areas 000, 666 and 900–999, group 00 and serial 0000
 * were never given out: https://www.ssa.gov/employer/randomizationfaqs.html
 */
import { asciiDigits } from './card.ts';
import type { Hit } from './hit.ts';

const DASHED =
  /(?<![\p{L}\p{Nd}-]|\p{Nd}\.)(\p{Nd}{3})([\u2010-\u2015\u2212-]|[-\u200b-\u200f\u2060\ufeff]{2,3})(\p{Nd}{2})\2(\p{Nd}{4})(?![\p{L}\p{Nd}]|-\p{Nd}|\.\p{Nd})/gu;
/** Three numbers with spaces between are common; only a word that announces one makes it an SSN. */
const SPACED =
  /(?<![\p{L}\p{Nd}-]|\p{Nd}\.)(\p{Nd}{3})([ \u00a0\u2007\u202f.])(\p{Nd}{2})\2(\p{Nd}{4})(?![\p{L}\p{Nd}])/gu;
const CUE = /\b(?:ssn|social|tin|itin)\b/i;

export function findSocialSecurityNumbers(text: string, hits: Hit[]): void {
  collect(text, DASHED, hits);
  if (CUE.test(text)) collect(text, SPACED, hits);
}

function collect(text: string, pattern: RegExp, hits: Hit[]): void {
  for (const match of text.matchAll(pattern)) {
    const area = asciiDigits(match[1] ?? '');
    const group = asciiDigits(match[3] ?? '');
    const serial = asciiDigits(match[4] ?? '');
    if (area === '000' || area === '666' || area[0] === '9') continue;
    if (group === '00' || serial === '0000') continue;
    hits.push({ detector: 'ssn', start: match.index, end: match.index + match[0].length });
  }
}
