/** A mask whose name stands for no column, or no longer for the one that it was bound to. */
export interface MaskAlert {
  readonly target: string;
  /** As the policy names it. */
  readonly column: string;
  /** unresolved: there is no such column. moved: another one has its name now; both are masked. */
  readonly state: 'unresolved' | 'moved';
  /** Names of now of the columns that stay masked. */
  readonly boundTo: readonly string[];
}

export function maskAlertText({ target, column, state, boundTo }: MaskAlert): string {
  const now = boundTo.join(', ');
  if (state === 'moved') {
    return `${target}: the name ${column} now refers to another column; the earlier one stays masked as ${now}`;
  }
  const rest = boundTo.length > 0 ? `it stays masked as ${now}` : 'it masks nothing';
  return `${target}: there is no column ${column}; ${rest}`;
}
