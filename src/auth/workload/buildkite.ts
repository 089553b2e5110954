/**
 * Buildkite: the agent's program asks for a token. The ids of the organisation and the pipeline
 * are in it only when asked for; without them a rule could only match slugs, which can be renamed,
 * under an issuer that all of Buildkite's customers share.
 * https://buildkite.com/docs/agent/cli/reference/oidc
 */
import type { Probes } from './probes.ts';
import { requireTokenFor } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const PROGRAM = 'buildkite-agent';
const CLAIMS = 'organization_id,pipeline_id';
/** It is spent at once. The agent's default is 5 minutes. */
const LIFETIME_SECONDS = '300';
const COMMAND_HINT =
  'See what `buildkite-agent oidc request-token --audience test > /dev/null` prints in a step of the job.';

export const buildkite: WorkloadProvider = {
  name: 'buildkite',
  title: 'Buildkite',
  async detect({ env, probes }) {
    if (env['BUILDKITE'] !== 'true') {
      return absent('BUILDKITE is not "true"');
    }
    const job = env['BUILDKITE_JOB_ID'];
    if (!job) {
      return {
        state: 'unusable',
        because: 'BUILDKITE is "true" but BUILDKITE_JOB_ID is not set',
        hint: 'Pass the BUILDKITE_… variables on: the docker plugin needs `propagate-environment: true`.',
      };
    }
    return {
      state: 'found',
      because: 'BUILDKITE is "true"',
      scope: `${job} ${env['BUILDKITE_AGENT_ACCESS_TOKEN'] ?? ''}`,
      fetchToken: (audience, signal) => fetchToken(probes, audience, signal),
    };
  },
};

async function fetchToken(probes: Probes, audience: string, signal: AbortSignal): Promise<string> {
  const run = await probes.run(
    PROGRAM,
    [
      'oidc',
      'request-token',
      '--audience',
      audience,
      '--lifetime',
      LIFETIME_SECONDS,
      '--claim',
      CLAIMS,
    ],
    signal,
  );
  if (run === undefined) {
    throw workloadTokenError(buildkite, `there is no program "${PROGRAM}"`, {
      hint: "Put the agent's program on the step's PATH; the docker plugin does that with `mount-buildkite-agent: true`.",
    });
  }
  if (run.status !== 0) {
    throw workloadTokenError(buildkite, `\`${PROGRAM} oidc request-token\` failed`, {
      // It hides the token from the log first and refuses when it cannot.
      detail: 'Without its Job API socket, which containers may lack, the agent issues no token.',
      hint: `${COMMAND_HINT} Agents older than 3.104 cannot hide the token in logs, those older than 3.60 do not know --claim.`,
    });
  }
  return requireTokenFor(buildkite, run.stdout, audience, { hint: COMMAND_HINT });
}
