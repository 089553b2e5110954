/** Which policies speak about a principal and a target. */
import type { Policy, PolicyDocument, PolicyTarget, UserMatch } from './policy.ts';
import type { Principal } from './types.ts';

type Identified = Pick<Principal, 'kind' | 'issuer' | 'sub' | 'email' | 'groups'>;

export function matchingDocuments(
  policy: Policy,
  principal: Principal,
  target: PolicyTarget,
): PolicyDocument[] {
  return policy.documents.filter(
    (document) => documentCovers(document, target) && documentNames(document, principal),
  );
}

export function documentCovers(document: PolicyDocument, target: PolicyTarget): boolean {
  const { names, labels } = document.targets;
  if (names.includes('*') || names.includes(target.name)) {
    return true;
  }
  const wanted = Object.entries(labels);
  return wanted.length > 0 && wanted.every(([key, value]) => target.labels[key] === value);
}

/** Whether the policy is for these people; for a requestable one: whether they may ask. */
export function documentNames(document: PolicyDocument, principal: Identified): boolean {
  const { who } = document;
  if (who.issuer !== undefined && who.issuer !== principal.issuer) {
    return false;
  }
  return (
    // A workload is named by its groups: whoever adds one should not have to read every policy.
    (who.everyone && principal.kind === 'person') ||
    who.groups.some((group) => principal.groups.includes(group)) ||
    who.users.some((user) => userIs(user, principal))
  );
}

function userIs(user: UserMatch, principal: Identified): boolean {
  if ('sub' in user) {
    return user.sub === principal.sub && user.issuer === principal.issuer;
  }
  // Mail addresses are compared as providers treat them: case does not tell two people apart.
  return (
    principal.email !== undefined &&
    user.email.toLowerCase() === principal.email.toLowerCase() &&
    (user.issuer === undefined || user.issuer === principal.issuer)
  );
}
