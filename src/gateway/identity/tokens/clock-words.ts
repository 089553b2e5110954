/** Two clocks that disagree, in words from which whoever reads them knows which one to set. */
import { durationWords } from '../../../duration-words.ts';

/** Of a longer time seconds say nothing. */
const EXACT_SECONDS = 600;

/**
 * @param whose `The identity provider’s clock`
 * @param off seconds by which it is ahead of the gateway’s; negative: behind it
 * @param now the gateway's clock, seconds since 1970
 */
export function clockWords(whose: string, off: number, now: number): string {
  const direction = off > 0 ? 'ahead of' : 'behind';
  const seconds = Math.abs(off);
  const step = seconds < EXACT_SECONDS ? 1 : 60;
  const far = durationWords(Math.round(seconds / step) * step);
  return `${whose} is ${far} ${direction} the gateway’s, which says ${timeWords(now)}.`;
}

/** Why a token is refused by its age: the clock by which it is too old. @param until seconds since 1970 */
export function endedWords(until: number, now: number): string {
  return `It was good until ${timeWords(until)}; the gateway’s clock says ${timeWords(now)}.`;
}

function timeWords(seconds: number): string {
  // A claim may name any number.
  const ms = Math.min(Math.max(seconds, 0), 8.64e12) * 1000;
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
