/** What is masked for somebody, and what may be done with it: the same words on every screen. */

export interface MaskWords {
  readonly column: string;
  readonly mask: string;
  readonly inference: 'allow' | 'deny';
  readonly lookup?: true | undefined;
  readonly lookupsPerDay?: number | undefined;
}

/** `public.staff.email (partial), public.staff.token (full)` */
export function maskList(masked: readonly MaskWords[]): string {
  return masked.map(({ column, mask }) => `${column} (${mask})`).join(', ');
}

/** One line for each way in which masked columns may be used; all columns are in one of them. */
export function maskUses(masked: readonly MaskWords[]): string[] {
  const open = masked.filter(({ inference }) => inference === 'allow');
  const closed = masked.filter(({ inference }) => inference === 'deny');
  const lookups = closed.filter(({ lookup }) => lookup);
  const line = (columns: readonly MaskWords[], of: string, words: string): string[] =>
    columns.length === 0
      ? []
      : [`${columns.length === masked.length ? 'Masked columns' : of} ${words}`];
  return [
    ...line(
      closed,
      namesOf(closed),
      'may be shown (also inside text expressions, min and max), not used in WHERE, JOIN, ORDER BY, DISTINCT or functions that reveal something',
    ),
    ...line(
      lookups,
      namesOf(lookups),
      `may be looked up by whole values (= and IN with constants), ${perDay(lookups)}`,
    ),
    ...line(
      open,
      namesOf(open),
      'may be shown and used in WHERE, JOIN and ORDER BY: filtering lets a client guess the values',
    ),
  ];
}

function perDay([first]: readonly MaskWords[]): string {
  return `${first?.lookupsPerDay ?? 'a limited number'} a day`;
}

function namesOf(masked: readonly MaskWords[]): string {
  return masked.map(({ column }) => column).join(', ');
}
