/** Who acts, in words. */
export interface Actor {
  readonly name: string;
  /** Name of the agent that acts. */
  readonly agent?: string | undefined;
  /** The login is the agent's own: there is nobody else to name. */
  readonly isAgent?: boolean | undefined;
}

/** `devin for ann@example.org`, `ann@example.org`. Untrusted text, as the names are. */
export function actorName({ name, agent, isAgent }: Actor): string {
  return agent === undefined || isAgent === true ? name : `${agent} for ${name}`;
}
