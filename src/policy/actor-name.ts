/** Who acts, in words. */
export interface Actor {
  readonly name: string;
  /** Name of the agent that acts. */
  readonly agent?: string | undefined;
  /** The login is the agent's own: there is nobody else to name. */
  readonly isAgent?: boolean | undefined;
  /** For whom a workload works. */
  readonly requester?: RequesterClaim | string | undefined;
}

/** What the issuer of a workload's token says. Nobody has checked it. */
export interface RequesterClaim {
  readonly name: string;
  readonly claimedBy: 'issuer';
}

/**
 * `devin for ann@example.org`, `ann@example.org`; `workload:devin (for ann@example.org, says its
 * issuer)`. Untrusted text, as the names are.
 */
export function actorName({ name, agent, isAgent, requester }: Actor): string {
  const whom = typeof requester === 'object' ? requester.name : requester;
  const who = whom === undefined ? name : `${name} (for ${whom}, says its issuer)`;
  return agent === undefined || isAgent === true ? who : `${agent} for ${who}`;
}

/** As it is recorded and sent. */
export function requesterClaim(name: string | undefined): { requester?: RequesterClaim } {
  return name === undefined ? {} : { requester: { name, claimedBy: 'issuer' } };
}
