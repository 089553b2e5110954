/** The list of checks that a verification made, in order. */

export const CHECK_NAMES = [
  'bundle',
  'trust',
  'keyring',
  'log checkpoint',
  'certificate',
  'log inclusion',
  'client signature',
  'gateway signature',
  'manifest',
  'chunks',
  'tree',
  'streams',
  'cuts',
  'head chain',
  'times',
] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/**
 * failed: something was altered. untrusted: no key to check with. incomplete: could not be checked,
 * or only one side vouches for it; never written where a check was passed over in silence.
 */
export type CheckStatus =
  | 'ok'
  | 'warning'
  | 'failed'
  | 'incomplete'
  | 'untrusted'
  | 'not applicable';

export interface Check {
  readonly name: CheckName;
  readonly status: CheckStatus;
  readonly text: string;
}

export class VerifyReport {
  readonly checks: Check[] = [];

  add(name: CheckName, status: CheckStatus, text: string): void {
    this.checks.push({ name, status, text });
  }

  /** One line for the check: `failed` when there are problems, else ok. */
  conclude(name: CheckName, problems: readonly string[], ok: string): void {
    const [first] = problems;
    if (first === undefined) {
      this.add(name, 'ok', ok);
    } else {
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
      this.add(name, 'failed', `${first}${more}`);
    }
  }

  has(status: CheckStatus): boolean {
    return this.checks.some((check) => check.status === status);
  }

  first(status: CheckStatus): Check | undefined {
    return this.checks.find((check) => check.status === status);
  }
}
