/**
 * Says how many people of which groups have to approve: `one person of the group dba`,
 * `2 more people of the groups dba, leads`.
 */
export function peopleText(
  { groups, count }: { readonly groups: readonly string[]; readonly count: number },
  more: '' | 'more ' = '',
): string {
  const people = count === 1 ? `one ${more}person` : `${count} ${more}people`;
  if (groups.length === 0) return `${people} (no group is named)`;
  return `${people} of the group${groups.length === 1 ? '' : 's'} ${groups.join(', ')}`;
}
