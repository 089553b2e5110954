/** Which agent a run is of: the one that is named, else the one that the policy recognises. */

import type { RunRequest } from '../../api/runs.ts';
import { HoopError } from '../../errors.ts';
import { mayActFor, recogniseAgents } from '../../policy/agents.ts';
import type { AgentDocument } from '../../policy/policy.ts';
import type { PolicyInForce } from '../../policy/repo.ts';
import type { Principal } from '../../policy/types.ts';

/**
 * @param caller with the agent of its own run, or that it is itself: then the new run has it, too
 * @throws HOOP_AGENT_UNKNOWN, HOOP_ACCESS_DENIED, HOOP_RUN_REFUSED, HOOP_USAGE
 */
export function agentOfRun(
  { policy }: Pick<PolicyInForce, 'policy'>,
  caller: Principal,
  asked: Pick<RunRequest, 'agent' | 'command'>,
): string | undefined {
  if (caller.agent !== undefined) {
    if (asked.agent !== undefined && asked.agent !== caller.agent) {
      throw notAnother(caller.agent, caller);
    }
    return caller.agent;
  }
  const known = [...policy.agents.values()];
  const agent =
    asked.agent === undefined
      ? onlyOne(recogniseAgents({ agents: policy.agents }, asked.command))
      : known.find(({ name }) => name === asked.agent);
  if (agent === undefined) {
    if (asked.agent === undefined) {
      return undefined;
    }
    throw agentUnknown(known, caller);
  }
  if (!mayActFor(agent, caller)) {
    throw new HoopError('HOOP_ACCESS_DENIED', `agent "${agent.name}" may not act for you`, {
      detail: `${agent.file} in the policy says for whom it may act.`,
      hint: listOf(known.filter((one) => mayActFor(one, caller))),
    });
  }
  return agent.name;
}

/** Said to a run of an agent, and to a login that is the agent's own. */
function notAnother(agent: string, { isAgent }: Principal): HoopError {
  return new HoopError('HOOP_RUN_REFUSED', `agent "${agent}" cannot start runs of another agent`, {
    detail: isAgent
      ? 'This login is the agent’s own: every run started with it runs as this agent.'
      : 'This run is that agent’s, and so is every run started within it.',
    hint: isAgent
      ? 'Omit --agent, or use the login of somebody whom the other agent may act for.'
      : 'Omit --agent, or start the other agent outside this run.',
  });
}

/** @throws HOOP_USAGE */
function onlyOne([agent, ...others]: readonly AgentDocument[]): AgentDocument | undefined {
  if (agent !== undefined && others.length > 0) {
    const names = [agent, ...others].map(({ name }) => name).join(', ');
    throw new HoopError('HOOP_USAGE', 'the command matches several agents', {
      detail: `In the policy it belongs to ${names}.`,
      hint: 'Name one with --agent NAME.',
    });
  }
  return agent;
}

export function agentUnknown(known: readonly AgentDocument[], principal: Principal): HoopError {
  return new HoopError('HOOP_AGENT_UNKNOWN', 'the policy has no agent of this name', {
    hint: listOf(known.filter((one) => mayActFor(one, principal))),
  });
}

function listOf(agents: readonly AgentDocument[]): string {
  const names = agents.map(({ name }) => name).sort();
  return names.length === 0
    ? 'The policy has none for you: omit --agent.'
    : `Yours: ${names.join(', ')}.`;
}
