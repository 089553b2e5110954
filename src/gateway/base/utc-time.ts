/**
 * A point in time in a text that the gateway writes: it does not know where its reader is, so the
 * text says that it is UTC. `2026-03-01 13:05:09 UTC`. (What the CLI itself writes is local time.)
 */
export function utcTime(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
}
