/** Which policies speak about a principal and a target. */
import type {
  Policy,
  PolicyContent,
  PolicyDocument,
  PolicyTarget,
  TargetMatch,
  UserMatch,
  WhoMatch,
} from './policy.ts';
import type { Principal } from './types.ts';

/** What policies know a principal by. */
export type Identified = Pick<Principal, 'kind' | 'issuer' | 'sub' | 'email' | 'groups'>;

export function matchingDocuments(
  policy: Policy,
  principal: Principal,
  target: PolicyTarget,
): PolicyDocument[] {
  return policy.documents.filter(
    (document) => documentCovers(document, target) && documentNames(document, principal),
  );
}

export function documentCovers(
  { targets }: { readonly targets: TargetMatch },
  target: PolicyTarget,
): boolean {
  const { names, labels } = targets;
  if (names.includes('*') || names.includes(target.name)) {
    return true;
  }
  const wanted = Object.entries(labels);
  return wanted.length > 0 && wanted.every(([key, value]) => target.labels[key] === value);
}

/** Whether it has anything to give on a target of this kind, once it covers it. */
export function givesOn(
  { rules, own, anything }: Pick<PolicyContent, 'rules' | 'own' | 'anything'>,
  target: PolicyTarget,
): boolean {
  return target.hasStatements
    ? anything || rules.some(({ effect }) => effect !== 'deny')
    : (own[target.kind] ?? []).some(({ effect }) => effect !== 'deny');
}

/** Whether the policy is for this principal, and for the agent that acts for it. */
function documentNames({ who }: PolicyDocument, principal: Principal): boolean {
  return namesPeople(who, principal) && isOfKind(who, principal.kind) && hasAgent(who, principal);
}

/**
 * Whether somebody may ask for a requestable policy. People ask, and no agents: one that is for
 * agents alone is asked for by whoever they act for.
 */
export function mayAsk({ who }: PolicyDocument, principal: Identified): boolean {
  return (
    principal.kind === 'person' && namesPeople(who, principal) && isOfKind(who, principal.kind)
  );
}

function isOfKind({ kinds }: PolicyDocument['who'], kind: Principal['kind']): boolean {
  return kinds === undefined || kinds.includes(kind);
}

function hasAgent({ agents }: PolicyDocument['who'], { agent }: Principal): boolean {
  return (
    agents === undefined ||
    (agent !== undefined && (agents.includes('*') || agents.includes(agent)))
  );
}

export function namesPeople(who: WhoMatch, principal: Identified): boolean {
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
