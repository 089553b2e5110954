/** Problems of agents/*.yaml that no single part shows. */
import {
  anythingInOneFile,
  at,
  emailsWithoutIssuer,
  issuersNotKnown,
  unknownTargets,
} from './cross-check.ts';
import type { AgentDocument, Policy, PolicyProblem } from './policy.ts';

/** @param agents all of them, those with the same name too */
export function checkAgents(policy: Policy, agents: readonly AgentDocument[]): PolicyProblem[] {
  return [
    ...agents.flatMap((agent) => [
      ...unknownTargets(policy, agent),
      ...wrongPeople(policy, agent),
      ...anythingInOneFile(agent),
    ]),
    ...repeatedNames(agents),
    ...sameCommand(agents),
  ];
}

function wrongPeople(policy: Policy, agent: AgentDocument): PolicyProblem[] {
  return (['who', 'identities'] as const).flatMap((part) => {
    const people = agent[part];
    return people === undefined
      ? []
      : [
          ...emailsWithoutIssuer(policy, people).map((end) => at(agent, part, `${part}.${end}`)),
          ...issuersNotKnown(policy, people).map((end) => at(agent, part, `${part}: ${end}`)),
        ];
  });
}

function repeatedNames(agents: readonly AgentDocument[]): PolicyProblem[] {
  const first = new Map<string, AgentDocument>();
  return agents.flatMap((agent) => {
    const other = first.get(agent.name);
    first.set(agent.name, other ?? agent);
    return other
      ? [at(agent, 'name', `the agent "${agent.name}" is already in ${other.file}`)]
      : [];
  });
}

/** What two agents claim in the same words; what only some command fits twice is asked for then. */
function sameCommand(agents: readonly AgentDocument[]): PolicyProblem[] {
  const first = new Map<string, AgentDocument>();
  return agents.flatMap((agent) =>
    agent.match.flatMap((match) =>
      match.programs.flatMap((program) => {
        const key = JSON.stringify([program, match.arguments.toSorted()]);
        const other = first.get(key);
        first.set(key, other ?? agent);
        const what =
          match.arguments.length === 0 ? `"${program}"` : `"${program}" with these arguments`;
        return other === undefined || other === agent
          ? []
          : [at(agent, 'match', `match: ${what} already belongs to the agent in ${other.file}`)];
      }),
    ),
  );
}
