/**
 * What is the same in the words to whoever waits for an approval, be it a statement or something on
 * a server: which rules ask for it, who is missing, who denied it, and the refusal around them.
 */

import { plainRefusal } from '../../policy/refusal.ts';
import type { ApprovalDemand, Refusal } from '../../policy/types.ts';
import { describeApprovers } from '../../policy/words/describe-grant.ts';
import type { ApprovalStanding, AskedApproval } from './asked-approval.ts';
import type { HeldAsk } from './session-approvals.ts';

export function approversText({ demands }: Pick<HeldAsk, 'demands'>): string {
  return describeApprovers(demands.map(({ terms }) => terms));
}

/** For the record, and for the request. */
export function needsOf(
  demands: readonly ApprovalDemand[],
): { rule: string; groups: readonly string[]; count: number }[] {
  return demands.map(({ rule, terms: { groups, count } }) => ({ rule: rule.id, groups, count }));
}

/** "Rule p/deletes (policies/p.yaml:12) of policy 0123 requires approval by one person of the group dba." */
export function rulesOf({ demands, policyCommit }: HeldAsk): string {
  const rules = demands.map(({ rule }) => `${rule.id} (${rule.file}:${rule.line})`);
  const one = rules.length === 1;
  return `${one ? 'Rule' : 'Rules'} ${rules.join(', ')} of policy ${policyCommit.slice(0, 12)} ${one ? 'requires' : 'require'} approval by ${approversText({ demands })}.`;
}

/** Who waits should know that nobody may ever come. Sentences, each with a space behind it. */
export function lackingText({ lacking }: AskedApproval): string {
  return lacking
    .map(({ groups, known }) => {
      const who = known === 0 ? 'Nobody else' : `Only ${known} other${known === 1 ? '' : 's'}`;
      return `${who} in ${groups.join(', ')} ${known > 1 ? 'have' : 'has'} logged in to this gateway yet. `;
    })
    .join('');
}

/** Who denied it, and why, as a sentence. */
export function denialText(id: string, { votes }: ApprovalStanding): string {
  const vote = votes.findLast(({ decision }) => decision === 'deny');
  const why = vote?.reason === undefined ? '' : `: ${vote.reason}`;
  return `${vote?.by.name ?? 'An approver'} denied request ${id}${why}${/[.!?]$/.test(why) ? '' : '.'}`;
}

/** A hint of the rule says more than ours. */
export function approvalRefusal(
  { demands }: Pick<HeldAsk, 'demands'>,
  text: Pick<Refusal, 'code' | 'message' | 'detail'> & { readonly hint: string },
): Refusal {
  const [demand] = demands;
  return plainRefusal({
    ...text,
    hint: demand?.hint ?? text.hint,
    rule: demand?.rule,
  });
}
