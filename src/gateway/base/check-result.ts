/** One line of `hoop gateway check`. */
export interface CheckResult {
  readonly check: string;
  readonly ok: boolean;
  /** Present: it works, and is not as it should be. */
  readonly warning?: true;
  /** One or more lines. */
  readonly text: string;
  readonly hint?: string;
}
