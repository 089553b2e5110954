import type { ApprovalAsk } from '../types.ts';

/**
 * What the policy says about a message that is to be approved: who must agree and how, and what is
 * hidden of its results. Another commit that says the same is no other decision; the lines at
 * which rules stand do not count.
 *
 * @returns something to be compared, or digested, as JSON.
 */
export function approvalTerms({ demands, decided, maxRows }: ApprovalAsk): unknown {
  return [
    demands.map(({ rule, terms }) => [rule.id, rule.grant ?? null, terms]),
    decided.map(({ masks, detectors, redactErrors }) => [
      masks?.map((mask) => (mask === undefined ? null : [mask.mask, mask.columns])) ?? null,
      detectors,
      redactErrors,
    ]),
    maxRows ?? null,
  ];
}
