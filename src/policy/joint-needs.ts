/**
 * Rules that all ask for approval of one thing, as the people whom they need together. Rules with the
 * same groups ask the same people. Rules with different groups each need people of their own: two
 * groups that must both agree are a control only if one person cannot be both.
 */
export interface AskedGroups {
  readonly groups: readonly string[];
  readonly count: number;
}

/** @returns one for each set of groups, with the largest number that a rule asks of it. */
export function jointNeeds(needs: readonly AskedGroups[]): AskedGroups[] {
  const joint = new Map<string, AskedGroups>();
  for (const need of needs) {
    const key = groupsKey(need);
    const count = Math.max(need.count, joint.get(key)?.count ?? 0);
    joint.set(key, { groups: joint.get(key)?.groups ?? need.groups, count });
  }
  return [...joint.values()];
}

/** Whether one person's approval cannot satisfy all of them. */
export function needDifferentPeople(needs: readonly AskedGroups[]): boolean {
  return jointNeeds(needs).length > 1;
}

export function groupsKey({ groups }: Pick<AskedGroups, 'groups'>): string {
  return JSON.stringify([...new Set(groups)].toSorted());
}
