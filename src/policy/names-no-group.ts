import type { Policy } from './policy.ts';

/**
 * Whether somebody has groups and the policy has others: a typo, here or at the identity provider.
 * A policy that names no groups at all is one of people, and not meant.
 */
export function namesNoGroup(
  { documents, roles }: Pick<Policy, 'documents' | 'roles'>,
  groups: readonly string[],
): boolean {
  const named = new Set([
    ...documents.flatMap(({ who }) => who.groups),
    ...roles.auditor,
    ...roles.approver,
  ]);
  return groups.length > 0 && named.size > 0 && !groups.some((group) => named.has(group));
}
