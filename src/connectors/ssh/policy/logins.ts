/** As whom one can log in to a server. */
import { credentialName } from '../../../policy/principal-grant.ts';
import type { Grant, Principal } from '../../../policy/types.ts';
import { type SshPolicyTarget, type SshRule, sshRules } from './types.ts';

export interface LoginOnOffer {
  /** On the server; undefined: the credential in the gateway's configuration says it. */
  readonly user: string | undefined;
  /** Name of the credential. */
  readonly credential: string;
}

/**
 * What the target offers this principal, less the users that no rule allows anything to. The first
 * is for whoever names none.
 */
export function loginsOnOffer(
  target: SshPolicyTarget,
  principal: Pick<Principal, 'groups'>,
  grant: Grant,
): LoginOnOffer[] {
  if (target.logins.length === 0) {
    const credential = credentialName(target, principal);
    return credential === undefined ? [] : [{ user: undefined, credential }];
  }
  const sides =
    grant.agent?.own === undefined
      ? [sshRules(grant)]
      : Object.values(grant.agent.own).map((rules) => sshRules({ own: { rules } }));
  return target.logins
    .filter(
      ({ user, groups }) =>
        (groups.length === 0 || groups.some((group) => principal.groups.includes(group))) &&
        sides.every((rules) => rules.some((rule) => allowsAnything(rule, user))),
    )
    .map(({ user, credential }) => ({ user, credential }));
}

function allowsAnything({ effect, users }: SshRule, user: string): boolean {
  return effect !== 'deny' && (users.length === 0 || users.includes(user));
}
