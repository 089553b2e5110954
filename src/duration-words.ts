/** A time that a policy sets, in words, the same on every screen: `480 min`, `90 s`. */
export function durationWords(seconds: number): string {
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
