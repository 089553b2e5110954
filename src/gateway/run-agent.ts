/** Which agent a run is of. */
import { HoopError } from '../errors.ts';
import type { RunRequest } from '../tunnel/api.ts';
import type { Authenticated } from './identity/identity.ts';
import { runRefused } from './identity/run-rights.ts';

/** @throws HOOP_AGENT_UNKNOWN, HOOP_RUN_REFUSED */
export function agentOfRun(
  { principal }: Authenticated,
  asked: Pick<RunRequest, 'agent' | 'command'>,
): string | undefined {
  if (principal.agent !== undefined) {
    if (asked.agent !== undefined && asked.agent !== principal.agent) {
      throw runRefused(`of agent "${principal.agent}" start one of another agent`);
    }
    return principal.agent;
  }
  if (asked.agent !== undefined) {
    throw new HoopError('HOOP_AGENT_UNKNOWN', 'the policy names no such agent');
  }
  return undefined;
}
