/** Why a statement whose rows are counted is refused, besides its count. */

import { describeChanges, type RowChanges } from '../../../../policy/row-changes.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { describeStatement } from '../../policy/verdict/evaluate-access.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';

function rowsRefusal(
  allowed: Pick<AllowedStatement, 'rowThresholds'>,
  text: { readonly message: string; readonly detail: string; readonly hint: string },
): SqlRefusal {
  const [threshold] = allowed.rowThresholds ?? [];
  return sqlRefusal({
    ...text,
    code: 'HOOP_ROWS',
    rule: threshold?.rule,
  });
}

/** @param maxBytes of rows that are kept until the count is known. */
export function resultTooLarge(allowed: AllowedStatement, maxBytes: number): SqlRefusal {
  return rowsRefusal(allowed, {
    message: `${describeStatement(allowed.analysis)} was rolled back: its result is too large`,
    detail: `The gateway keeps its result until the changed rows are counted: at most ${maxBytes / 1024 / 1024} MiB.`,
    hint: 'Return only the key, or change fewer rows at a time; in an ORM, write in batches.',
  });
}

export function countOverdue(allowed: AllowedStatement, limitMs: number): SqlRefusal {
  return rowsRefusal(allowed, {
    message: `${describeStatement(allowed.analysis)} was rolled back: its rows were not counted in time`,
    detail: `The changed rows are counted before the commit, which may take up to ${limitMs / 1000} s. It may have waited for a lock.`,
    hint: 'Change fewer rows at a time.',
  });
}

/** What an approver would be asked about one of several statements, which run together or not at all. */
export function onlyAlone(allowed: AllowedStatement, changes: RowChanges): SqlRefusal {
  return rowsRefusal(allowed, {
    message: `${describeStatement(allowed.analysis)} needs an approval and shares one text with other statements`,
    detail: describeChanges(changes),
    hint: 'Send it by itself.',
  });
}

/** What was approved as a whole can be run only statement by statement by now. */
export function changedBeside(): SqlRefusal {
  return rowsRefusal(
    {},
    {
      message: 'statements cannot be counted in one text',
      detail: 'The policy or the catalog has changed since they were approved.',
      hint: 'Send the statements one by one.',
    },
  );
}
