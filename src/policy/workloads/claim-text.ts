/** Claims for people to read. Their authors may be hostile: a branch can be called anything. */
const MAX_SHOWN = 120;

/** One line of printable characters without anything that reorders text; bounded. */
export function claimText(value: unknown, maxLength = MAX_SHOWN): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  const bounded = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return bounded.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?');
}

/** Also without `@`: a workload must not look like somebody's address. */
export function nameText(value: unknown): string {
  return claimText(value).replaceAll('@', '?');
}
