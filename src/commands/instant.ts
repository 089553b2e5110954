import { HoopError } from '../errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `2h` ago; a day, the whole of it; a time of it, of the place of whoever asks unless it says more. */
export function instant(
  typed: string,
  flag: '--since' | '--until',
  nowMs: number,
  { orCursor = false } = {},
): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(typed) ?? [];
  const factor = UNIT_MS[unit];
  if (factor !== undefined) {
    return Math.max(0, nowMs - Number(count) * factor);
  }
  const isDay = /^\d{4}-\d\d-\d\d$/.test(typed);
  const isTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(typed);
  const ms = Date.parse(isDay ? `${typed}T00:00` : typed.replace(' ', 'T'));
  if ((!isDay && !isTime) || Number.isNaN(ms) || ms < 0) {
    const what = orCursor ? 'neither a time nor a cursor' : 'not a time';
    const cursor = orCursor ? ' A cursor is the complete `cursor` of a `--json` line.' : '';
    throw new HoopError('HOOP_USAGE', `"${typed}" is ${what} for ${flag}`, {
      hint: `Give how long ago (90s, 30m, 2h, 7d), a day (2026-03-01) or a time (2026-03-01T14:05).${cursor}`,
    });
  }
  if (!isDay || flag === '--since') {
    return ms;
  }
  // Not 24 hours: two days of the year are shorter and longer.
  const next = new Date(ms);
  return next.setDate(next.getDate() + 1) - 1;
}
