/** The groups whose members may decide about requests, and what to say where nobody is known to be in one. */
import type { Place, Policy, PolicyProblem } from './policy.ts';

/** What a gateway knows of a group: whether anybody with it has ever logged in who may decide. */
export interface ApproverGroup {
  readonly group: string;
  readonly hasLoggedIn: boolean;
}

/** Where each is named, the first place of each file. */
export function approverGroups(policy: Policy): ReadonlyMap<string, readonly Named[]> {
  const found = new Map<string, Named[]>();
  const add = (groups: readonly string[], at: Named): void => {
    for (const group of groups) {
      const places = found.get(group) ?? [];
      found.set(group, places);
      if (places.every(({ file }) => file !== at.file)) places.push(at);
    }
  };
  add(policy.roles.approver, { file: 'hoop.yaml', ...policy.places.approver });
  for (const document of policy.documents) {
    if (document.request !== undefined) {
      add(document.request.approvers, { file: document.file, ...document.places.request });
    }
  }
  for (const { rules, own } of [...policy.documents, ...policy.agents.values()]) {
    for (const { approval, rule } of [...rules, ...Object.values(own).flat()]) {
      if (approval !== undefined) {
        add(approval.groups, { file: rule.file, line: rule.line, column: 1 });
      }
    }
  }
  return found;
}

type Named = Pick<PolicyProblem, 'file'> & Place;

export function neverSeenText(group: string): string {
  return `no login has had the group "${group}" yet, so no approver is known`;
}

/**
 * Warnings for a policy that is checked before its commit. Of groups that the policy in force does
 * not name as approvers the gateway has kept nothing: that is no sign that they do not exist.
 */
export function approverWarnings(
  policy: Policy,
  known: readonly ApproverGroup[],
): readonly PolicyProblem[] {
  const byName = new Map(known.map((one) => [one.group, one.hasLoggedIn]));
  return [...approverGroups(policy)].flatMap(([group, [place]]) => {
    const hasLoggedIn = byName.get(group);
    return place === undefined || hasLoggedIn === true
      ? []
      : [
          {
            ...place,
            message:
              hasLoggedIn === false
                ? `approvers: ${neverSeenText(group)}`
                : `approvers: the gateway does not know yet whether anybody is in "${group}", because the policy in force does not name it`,
          },
        ];
  });
}
