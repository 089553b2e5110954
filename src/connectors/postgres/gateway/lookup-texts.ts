/** Why a statement with lookups did not run. */

import { utcTime } from '../../../gateway/base/utc-time.ts';
import type { DayReceipt, DayUse } from '../../../gateway/index/day-budget.ts';
import { sqlRefusal } from '../policy/evaluate-refusal.ts';
import type { SqlRefusal } from '../policy/types.ts';
import { SQL_STATE } from '../sql-state.ts';

type Texts = Pick<SqlRefusal, 'message' | 'detail' | 'hint'>;

export function usedUp({ amount, limit }: DayUse, { left, resetsMs }: DayReceipt): SqlRefusal {
  const values = amount === 1 ? 'one value' : `${amount} values`;
  const rest = left === 0 ? 'none is left' : `${left} ${left === 1 ? 'is' : 'are'} left`;
  return refused({
    message: `the statement looks up ${values} of masked columns, and ${rest} today`,
    detail: `The policy permits ${limit} a day for you on this target, in all your sessions and with all your agents. Nothing was used.`,
    hint: `The next day begins at ${utcTime(resetsMs)}. ${left === 0 ? 'Whoever owns the policy can permit more.' : 'Look up fewer values at a time, or ask the owner of the policy for more.'}`,
  });
}

export function uncounted(): SqlRefusal {
  return refused({
    message: 'the values that the statement looks up cannot be counted',
    detail:
      'Each value that is compared with a masked column counts, and here they stand in an array that cannot be read for certain.',
    hint: 'Send the array as one parameter of its own type, of up to 64 KiB, or write ARRAY[$1, $2].',
  });
}

export function changedMeanwhile(): SqlRefusal {
  return refused({
    message: 'what this session may do changed while the lookups of the statement were counted',
    detail: 'It did not run. Its lookups are used.',
    hint: 'Send it again.',
  });
}

export function notStored(): SqlRefusal {
  return refused({
    message: 'the lookups of the statement cannot be counted now',
    detail: 'The gateway cannot write down that they are used.',
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
