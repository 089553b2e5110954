import type { WhoamiReply } from '../api/login.ts';

export interface GroupsProblem {
  /** After "the login". */
  readonly text: string;
  readonly hint: string;
}

/** @returns why nothing that the policy gives to groups is this person's; undefined: some may be */
export function groupsProblem(
  who: Pick<WhoamiReply, 'kind' | 'groups' | 'missingGroups' | 'unnamedGroups'>,
): GroupsProblem | undefined {
  if (who.kind !== 'person') {
    return undefined;
  }
  if (who.missingGroups !== undefined) {
    return {
      text: `has no groups: its ID token has no "${who.missingGroups}" claim`,
      hint: 'Ask whoever runs the identity provider to put the groups into the client’s ID tokens, or whoever writes the policy to name the claim that it does send (`scopes`, `claims.groups`). Then log in again.',
    };
  }
  if (who.groups.length === 0) {
    return {
      text: 'has no groups, so it gets no access that the policy gives to groups',
      hint: 'Ask whoever runs the identity provider to put you into a group that the policy names. Then log in again.',
    };
  }
  return who.unnamedGroups === true
    ? {
        text: `has only groups that the policy does not name: ${some(who.groups)}`,
        hint: 'Compare them with `who.groups` in the policy repository: names must match exactly, and Keycloak may send a path (`/engineering`). Correct the name there or at the identity provider; after a change at the provider, log in again.',
      }
    : undefined;
}

function some(groups: readonly string[]): string {
  const shown = groups.slice(0, 10);
  const more = groups.length - shown.length;
  return `${shown.join(', ')}${more === 0 ? '' : ` and ${more} more`}`;
}
