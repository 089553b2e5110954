/** Times and amounts for people. */

/**
 * The one form of a point in time for people: `2026-03-01 14:05:09+01`, in the time zone of whoever
 * reads, with its offset as PostgreSQL writes it. (JSON has UTC, RFC 3339.)
 */
export function localTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) {
    return '?';
  }
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}${offset(date)}`;
}

/** Instants that stand in a text as JSON has them, for people. */
export function localTimes(text: string): string {
  return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?!\w)/g, (instant) =>
    localTime(Date.parse(instant)),
  );
}

/** `03-01 14:05+01`, where there is no room for more. */
export function shortLocalTime(ms: number): string {
  const text = localTime(ms);
  return `${text.slice(5, 16)}${text.slice(19)}`;
}

/** `+01`, `-03:30`: at that time, which a change to summer time may set apart from now. */
function offset(date: Date): string {
  const east = -date.getTimezoneOffset();
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.abs(east) % 60;
  const hours = `${east < 0 ? '-' : '+'}${two(Math.floor(Math.abs(east) / 60))}`;
  return minutes === 0 ? hours : `${hours}:${two(minutes)}`;
}

/** Since the session began: `0:07.250`, `12:34.000`, `1:02:03.500`. */
export function elapsed(ms: number): string {
  const total = Math.max(0, Math.round(ms));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(total / 3_600_000);
  const minutes = Math.floor(total / 60_000) % 60;
  const seconds = Math.floor(total / 1000) % 60;
  const fraction = String(total % 1000).padStart(3, '0');
  const start = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${start}:${two(seconds)}.${fraction}`;
}

/** `850 µs` is not measured; `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 3 min`. */
export function duration(ms: number): string {
  if (ms < 1000) {
    return `${Math.max(0, Math.round(ms))} ms`;
  }
  const seconds = ms / 1000;
  if (seconds < 60) {
    return `${seconds.toFixed(1)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Thousands apart: `1 234 567`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** `1 row`, `2 rows`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `812 B`, `4.2 KiB`, `1.5 GiB`. */
export function byteCount(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}
