/** Which agent a command or a login is of, and for whom it may act. */
import { type Identified, namesPeople } from './match.ts';
import { wildcardMatches } from './patterns.ts';
import type { AgentDocument, AgentMatch, Policy } from './policy.ts';
import type { Principal } from './types.ts';

type Agents = Pick<Policy, 'agents'>;

/** `/usr/local/bin/Claude` → `Claude`. */
export function withoutFolder(word: string): string {
  return word.split(/[/\\]/).at(-1) ?? '';
}

/** `/usr/local/bin/Claude` → `claude`; the endings are those under which Windows starts programs. */
export function programName(word: string): string {
  return withoutFolder(word)
    .toLowerCase()
    .replace(/\.(exe|cmd|bat|ps1)$/, '');
}

/**
 * The agents whose `match` fits the command best: arguments say more than the program alone. More
 * than one: the policy cannot tell them apart, and whoever starts it must.
 */
export function recogniseAgents({ agents }: Agents, command: readonly string[]): AgentDocument[] {
  const [program = '', ...rest] = command;
  const name = programName(program);
  const fitting = [...agents.values()].flatMap((agent) => {
    const fits = agent.match.filter((match) => matchFits(match, name, rest));
    return fits.length === 0 ? [] : [{ agent, weight: Math.max(...fits.map(weightOf)) }];
  });
  const most = Math.max(0, ...fitting.map(({ weight }) => weight));
  return fitting.filter(({ weight }) => weight === most).map(({ agent }) => agent);
}

function matchFits(match: AgentMatch, name: string, rest: readonly string[]): boolean {
  return (
    match.programs.includes(name) &&
    match.arguments.every((pattern) => rest.some((word) => wildcardMatches(pattern, word)))
  );
}

function weightOf(match: AgentMatch): number {
  return match.arguments.length;
}

export function mayActFor(agent: AgentDocument, principal: Principal): boolean {
  return isItself(agent, principal) || agent.who === undefined || namesPeople(agent.who, principal);
}

/** With the agent whose own login it is, if it is one: then no approver, which is for people. */
export function withOwnAgent(policy: Agents, principal: Principal): Principal {
  const itself = agentItself(policy, principal);
  if (itself === undefined) {
    return principal;
  }
  const roles = principal.roles.filter((role) => role !== 'approver');
  return { ...principal, roles, agent: itself.name, isAgent: true };
}

/** @returns the agent whose own login it is */
export function agentItself({ agents }: Agents, principal: Identified): AgentDocument | undefined {
  return [...agents.values()].find((agent) => isItself(agent, principal));
}

export function isItself({ identities }: AgentDocument, principal: Identified): boolean {
  return identities !== undefined && namesPeople(identities, principal);
}
