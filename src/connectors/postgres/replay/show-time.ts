/** Dates and times from their binary format (src/backend/utils/adt/{date,timestamp}.c). */

/** Days and microseconds count from 2000-01-01; JavaScript counts from 1970. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const DAY_MS = 86_400_000;
const INFINITY = 0x7fffffffffffffffn;
/** What a JavaScript Date can hold, in milliseconds from its epoch. */
const MAX_DATE_MS = 8.64e15;

export function showDate(view: DataView): string {
  const days = view.getInt32(0);
  if (days === 0x7fffffff || days === -0x80000000) {
    return days > 0 ? 'infinity' : '-infinity';
  }
  return calendar(EPOCH_MS + days * DAY_MS) ?? `${days} days from 2000-01-01`;
}

export function showTimestamp(microseconds: bigint): string {
  if (microseconds === INFINITY || microseconds === -INFINITY - 1n) {
    return microseconds > 0n ? 'infinity' : '-infinity';
  }
  const dayMicroseconds = BigInt(DAY_MS) * 1000n;
  const time = ((microseconds % dayMicroseconds) + dayMicroseconds) % dayMicroseconds;
  const date = calendar(EPOCH_MS + Number((microseconds - time) / 1000n));
  return date ? `${date} ${clock(time)}` : `${microseconds} µs from 2000-01-01`;
}

export function withZone(timestamp: string): string {
  return timestamp.includes(':') ? `${timestamp}+00` : timestamp;
}

function calendar(ms: number): string | undefined {
  if (Math.abs(ms) > MAX_DATE_MS) {
    return undefined;
  }
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  const monthDay = date.toISOString().slice(-20, -14);
  // There is no year 0: 1 BC comes before AD 1.
  return year > 0
    ? `${String(year).padStart(4, '0')}${monthDay}`
    : `${String(1 - year).padStart(4, '0')}${monthDay} BC`;
}

export function clock(microseconds: bigint): string {
  const seconds = microseconds / 1_000_000n;
  const two = (value: bigint) => String(value).padStart(2, '0');
  const fraction = String(microseconds % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const whole = `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
  return fraction ? `${whole}.${fraction}` : whole;
}

export function showInterval(view: DataView): string {
  const microseconds = view.getBigInt64(0);
  const days = view.getInt32(8);
  const months = view.getInt32(12);
  const parts: string[] = [];
  const years = Math.trunc(months / 12);
  if (years !== 0) {
    parts.push(`${years} ${Math.abs(years) === 1 ? 'year' : 'years'}`);
  }
  if (months % 12 !== 0) {
    parts.push(`${months % 12} ${Math.abs(months % 12) === 1 ? 'mon' : 'mons'}`);
  }
  if (days !== 0) {
    parts.push(`${days} ${Math.abs(days) === 1 ? 'day' : 'days'}`);
  }
  if (microseconds !== 0n || parts.length === 0) {
    parts.push(microseconds < 0n ? `-${clock(-microseconds)}` : clock(microseconds));
  }
  return parts.join(' ');
}
