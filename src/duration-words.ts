const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 60 * SECONDS_PER_MINUTE;

/** A time that a policy sets, in words, the same on every screen: `8 h`, `90 min`, `90 s`. */
export function durationWords(seconds: number): string {
  if (seconds % SECONDS_PER_HOUR === 0) return `${seconds / SECONDS_PER_HOUR} h`;
  return seconds % SECONDS_PER_MINUTE === 0
    ? `${seconds / SECONDS_PER_MINUTE} min`
    : `${seconds} s`;
}
