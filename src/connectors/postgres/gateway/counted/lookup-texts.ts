/** Why a statement with lookups did not run. */

import { utcTime } from '../../../../gateway/base/utc-time.ts';
import type { DayReceipt, DayUse } from '../../../../gateway/index/day-budget.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { SQL_STATE } from '../../sql-state.ts';

type Texts = Pick<SqlRefusal, 'message' | 'detail' | 'hint'>;

export function usedUp({ amount, limit }: DayUse, { left, resetsMs }: DayReceipt): SqlRefusal {
  const values = amount === 1 ? 'one value' : `${amount} values`;
  const rest = left === 0 ? 'none is left' : `${left} ${left === 1 ? 'is' : 'are'} left`;
  return refused({
    message: `the statement looks up ${values} of masked columns, and ${rest} today`,
    detail: `The policy permits you ${limit} a day on this target, across all your sessions and agents. This statement used none.`,
    hint: `The next day begins at ${utcTime(resetsMs)}. ${left === 0 ? 'The policy’s owner can permit more.' : 'Look up fewer values at a time, or ask the policy’s owner for more.'}`,
  });
}

export function uncounted(): SqlRefusal {
  return refused({
    message: 'the values that the statement looks up cannot be counted',
    detail:
      'Each value that is compared with a masked column counts, and here they are in an array that cannot be read reliably.',
    hint: 'Send the array as one parameter of its own type, of up to 64 KiB, or write ARRAY[$1, $2].',
  });
}

export function changedMeanwhile(): SqlRefusal {
  return refused({
    message: 'the session’s rights changed while the statement’s lookups were counted',
    detail: 'It did not run, but its lookups are used up.',
    hint: 'Send it again.',
  });
}

export function notStored(): SqlRefusal {
  return refused({
    message: 'the lookups of the statement cannot be counted now',
    detail: 'The gateway cannot store that they are used.',
    hint: 'Try again later, or tell whoever runs the gateway.',
  });
}

function refused(texts: Texts): SqlRefusal {
  return sqlRefusal(
    {
      ...texts,
      code: 'HOOP_LOOKUPS',
    },
    SQL_STATE.programLimitExceeded,
  );
}
