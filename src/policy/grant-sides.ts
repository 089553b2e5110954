/** A grant as one side of it sees it: with the rules of that side, and what is common to both. */
import type { Grant, GrantSide } from './types.ts';

/** All of them must allow what is done. Without an agent: the grant itself. */
export function grantSides(grant: Grant): readonly Grant[] {
  const { agent } = grant;
  if (agent === undefined || agent.side !== undefined) {
    return [grant];
  }
  // Whoever stands behind the agent first: what that one may not do no change of the agent helps.
  return (['principal', 'agent'] as const satisfies GrantSide[]).map((side) => ({
    ...grant,
    rules: agent.sides[side],
    ...(agent.own === undefined ? {} : { own: { rules: agent.own[side] } }),
    agent: { ...agent, side },
  }));
}
