/**
 * The allowed-signers file (ssh-keygen(1), "ALLOWED SIGNERS"), as far as hoop looks into it.
 *
 * git checks `valid-before` against the commit's own date, which whoever holds an expired key
 * can choose. For a commit that is new here, keys that have expired by now are left out.
 */

/** The lines whose keys have not expired at `now`. */
export function withoutExpiredKeys(allowedSigners: string, now: Date): string {
  return allowedSigners
    .split('\n')
    .filter((line) => {
      const before = /(?:^|[\s,])valid-before="?([0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?)(Z?)"?/i.exec(
        line,
      );
      return !before || now < timeOf(before[1] ?? '', before[2] !== '');
    })
    .join('\n');
}

/** YYYYMMDD[HHMM[SS]], in UTC with a Z, else in the system's time zone. */
function timeOf(digits: string, utc: boolean): Date {
  const at = (from: number, length: number): number =>
    Number(digits.slice(from, from + length) || 0);
  const parts = [at(0, 4), at(4, 2) - 1, at(6, 2), at(8, 2), at(10, 2), at(12, 2)] as const;
  return utc ? new Date(Date.UTC(...parts)) : new Date(...parts);
}
