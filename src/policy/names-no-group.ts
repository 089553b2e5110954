import { approverGroups } from './approver-groups.ts';
import type { Policy } from './policy.ts';

/**
 * Whether somebody has groups and the policy has others: a typo, here or at the identity provider.
 * A policy that names no groups at all is about people by name, and nobody is warned.
 */
export function namesNoGroup(policy: Policy, groups: readonly string[]): boolean {
  const named = new Set([
    ...policy.documents.flatMap(({ who }) => who.groups),
    ...policy.roles.auditor,
    ...policy.roles.observer,
    ...approverGroups(policy).keys(),
  ]);
  return groups.length > 0 && named.size > 0 && !groups.some((group) => named.has(group));
}
