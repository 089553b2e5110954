/**
 * CircleCI: the job's own `circleci` program asks for a token with an audience of our choice.
 * The variables CIRCLE_OIDC_TOKEN and CIRCLE_OIDC_TOKEN_V2 cannot serve: their audience is the
 * organisation's id, so every service that takes them could pass them on to the gateway.
 * https://circleci.com/docs/guides/permissions-authentication/oidc-tokens-with-custom-claims/
 * https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/
 */
import type { Probes } from './probes.ts';
import { requireTokenFor } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const PROGRAM = 'circleci';
const COMMAND_HINT =
  'See what `circleci run oidc get --claims \'{"aud":"test"}\' > /dev/null` prints in a step of the job.';
const FORK_HINT =
  'Builds of forks get tokens only with "Pass secrets to builds from forked pull requests".';

export const circleci: WorkloadProvider = {
  name: 'circleci',
  title: 'CircleCI',
  async detect({ env, probes }) {
    if (env['CIRCLECI'] !== 'true') {
      return absent('CIRCLECI is not "true"');
    }
    return {
      state: 'found',
      because: 'CIRCLECI is "true"',
      // The job's id is new for every run of it; there is no secret of the job to add.
      scope: env['CIRCLE_WORKFLOW_JOB_ID'] ?? env['CIRCLE_BUILD_URL'] ?? '',
      fetchToken: (audience, signal) => fetchToken(probes, audience, signal),
    };
  },
};

async function fetchToken(probes: Probes, audience: string, signal: AbortSignal): Promise<string> {
  const claims = JSON.stringify({ aud: audience });
  const run = await probes.run(PROGRAM, ['run', 'oidc', 'get', '--claims', claims], signal);
  if (run === undefined) {
    throw workloadTokenError(circleci, `there is no program "${PROGRAM}"`, {
      detail:
        'CIRCLE_OIDC_TOKEN and CIRCLE_OIDC_TOKEN_V2 are issued for the organisation, not for the gateway, so they cannot be used instead.',
      hint: 'Every CircleCI job has it in its PATH; keep /usr/local/bin there, or wherever `which circleci` finds it in a step.',
    });
  }
  if (run.status !== 0) {
    throw workloadTokenError(circleci, `\`${PROGRAM} run oidc get\` failed`, {
      hint: `${COMMAND_HINT} ${FORK_HINT}`,
    });
  }
  return requireTokenFor(circleci, run.stdout, audience, { hint: COMMAND_HINT });
}
