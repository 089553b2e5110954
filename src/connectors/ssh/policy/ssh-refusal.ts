/** Refusals of what is done on a server: what was refused, by which rule, and what may be done. */

import { type RefusalText, refusal } from '../../../policy/refusal.ts';
import type { Grant, Refusal } from '../../../policy/types.ts';
import { describeSshRule } from './describe-rule.ts';
import type { SshAct, SshRule } from './types.ts';

export interface SshCase {
  /** One side of it. */
  readonly grant: Grant;
  /** Of the grant, for the user that is logged in as. */
  readonly rules: readonly SshRule[];
  /** Name of the user on the server. */
  readonly user: string;
}

/** Those rules are shown that are about the act. */
export function sshRefusal(
  { grant, rules }: SshCase,
  act: SshAct['kind'],
  text: Omit<RefusalText, 'covered'>,
): Refusal {
  const about = rules.filter(({ acts }) => acts.includes(act));
  // Nothing of the kind is allowed: what else is.
  const shown = about.some(({ effect }) => effect !== 'deny') ? about : rules;
  const describe = (effect: SshRule['effect']): string[] =>
    shown.filter((rule) => rule.effect === effect).map(describeSshRule);
  return refusal(grant, {
    ...text,
    covered: { allow: describe('allow'), approve: describe('approve') },
  });
}
