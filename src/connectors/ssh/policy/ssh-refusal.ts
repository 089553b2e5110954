/** Refusals of what is done on a server: what was refused, by which rule, and what may be done. */

import { type RefusalText, refusal } from '../../../policy/refusal.ts';
import type { ApprovalDemand, Grant, Refusal } from '../../../policy/types.ts';
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

export function deniedBy(
  { grant }: Pick<SshCase, 'grant'>,
  rule: SshRule,
  message: string,
): Refusal {
  return refusal(grant, { code: 'HOOP_DENIED', message, rule: rule.rule, hint: rule.hint });
}

export function demandOf(rule: SshRule): ApprovalDemand[] {
  return rule.effect === 'approve' && rule.approval !== undefined
    ? [{ rule: rule.rule, terms: rule.approval, hint: rule.hint }]
    : [];
}

/** As of statements: an approval that nobody can give is a refusal. */
export function unanswerable(
  { grant }: Pick<SshCase, 'grant'>,
  demands: readonly ApprovalDemand[],
  what: string,
): Refusal | undefined {
  const demand = demands.find(({ terms }) => terms.groups.length === 0);
  return (
    demand &&
    refusal(grant, {
      code: 'HOOP_APPROVAL_UNAVAILABLE',
      message: `${what} needs an approval, and nobody can give it`,
      detail: 'The policy names no approvers.',
      rule: demand.rule,
      hint: demand.hint ?? 'A group in approvers of the rule, or in roles.approver, can approve.',
    })
  );
}
