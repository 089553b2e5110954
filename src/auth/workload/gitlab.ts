/**
 * GitLab CI: tokens are not asked for but declared, with a fixed audience, under `id_tokens:` of the
 * job, and stand in a variable. https://docs.gitlab.com/ci/secrets/id_token_authentication/
 */
import { requireTokenFor } from './token-claims.ts';
import { absent, type WorkloadProvider } from './workload-provider.ts';

/** The name that our documentation gives to the variable. */
const VARIABLE = 'HOOP_ID_TOKEN';
const GIVEN = { title: VARIABLE, isGiven: true } as const;

export const gitlab: WorkloadProvider = {
  name: 'gitlab',
  title: 'GitLab CI',
  async detect({ env, audience }) {
    if (env['GITLAB_CI'] !== 'true') {
      return absent('GITLAB_CI is not "true"');
    }
    const token = env[VARIABLE];
    if (!token) {
      return {
        state: 'unusable',
        because: `the job declares no ID token in ${VARIABLE}`,
        hint: declare(audience),
      };
    }
    return {
      state: 'found',
      because: `GITLAB_CI and ${VARIABLE} are set`,
      // One token for the whole job: its other processes find the key that it came with.
      scope: token,
      fetchToken: async (wanted) =>
        requireTokenFor(GIVEN, token, wanted, { hint: declare(wanted) }),
    };
  },
};

function declare(audience: string | undefined): string {
  const aud = audience === undefined ? 'GATEWAY/workload' : JSON.stringify(audience);
  const where = audience === undefined ? ', with the address of your gateway' : '';
  return `Declare it in the job: \`id_tokens: { ${VARIABLE}: { aud: ${aud} } }\`${where}.`;
}
