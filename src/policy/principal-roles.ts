/**
 * Roles of hoop.yaml that groups give.
 * @param roles by name, the groups that have it
 */
export function principalRoles(
  roles: Readonly<Record<string, readonly string[]>>,
  groups: readonly string[],
): string[] {
  return Object.entries(roles)
    .filter(([, giving]) => giving.some((group) => groups.includes(group)))
    .map(([role]) => role);
}
