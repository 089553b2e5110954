/** What is running by a temporary grant must not outlive it. */
import type { Grant, RuleRef } from '../../policy/types.ts';

export const RIGHT_ENDED = 'hoop: the access that allowed this has ended';

/** @param rules by which it was allowed */
export function isWithoutRight(rules: readonly RuleRef[], { temporary = [] }: Grant): boolean {
  return rules.some(
    ({ grant }) => grant !== undefined && !temporary.some(({ id }) => id === grant),
  );
}
