/** What a detector put in the place of a value must not be written over the value. */
import type { Grant } from '../../../../policy/types.ts';
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { writesValues } from '../walk/written-texts.ts';
import { refusal } from './evaluate-refusal.ts';
import { builtin } from './guards.ts';

/** Whether values that the statement gets (parameters, data of COPY) must be looked through. */
export function mayWriteBack({ verbs }: StatementAnalysis, grant: Grant): boolean {
  return isMasking(grant) && writesValues(verbs);
}

function isMasking({ masks, detectors }: Grant): boolean {
  return masks.length > 0 || detectors.length > 0;
}

/** @param placeholder what was found in a value that is to be written */
export function refusePlaceholder(
  placeholder: string | undefined,
  grant: Grant,
): SqlRefusal | undefined {
  if (placeholder === undefined || !isMasking(grant)) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_MASKED_WRITE',
    message: `a value to be written contains ${placeholder}, which stands for a masked value`,
    detail: 'Writing it back would replace the real value.',
    hint: 'Write only the columns that you changed, and omit this one (in an ORM: save with a list of fields).',
    rule: builtin('placeholder'),
  });
}
