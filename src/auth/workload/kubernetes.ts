/**
 * Kubernetes: the cluster writes a token for an audience of our choice into a file of the pod and
 * renews it there (a projected volume). The token that every pod has anyway is for the cluster's
 * API server: whoever receives it can act as the pod in the cluster, so it is never sent.
 * https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection
 */
import type { Probes } from './probes.ts';
import { requireTokenFor } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

/** Where the volume is looked for when HOOP_IDENTITY_TOKEN_FILE does not say otherwise. */
const DIRECTORY = '/var/run/secrets/hoop';

const HINT =
  'Project a separate token into the pod: a volume with `projected: {sources: [{serviceAccountToken: ' +
  '{path: token, audience: <gateway URL>/workload, expirationSeconds: 600}}]}`, mounted at ' +
  `${DIRECTORY}. The token that every pod has by default is for the cluster itself and is never sent.`;

export const kubernetes: WorkloadProvider = {
  name: 'kubernetes',
  title: 'Kubernetes',
  async detect({ env, probes }) {
    if (!env['KUBERNETES_SERVICE_HOST']) {
      return absent('KUBERNETES_SERVICE_HOST is not set');
    }
    const path = env['HOOP_IDENTITY_TOKEN_FILE'] || `${DIRECTORY}/token`;
    if (!(await probes.exists(path))) {
      return {
        state: 'unusable',
        because: `KUBERNETES_SERVICE_HOST is set, but there is no token in "${path}"`,
        hint: HINT,
      };
    }
    return {
      state: 'found',
      because: `KUBERNETES_SERVICE_HOST is set and there is "${path}"`,
      // In a pod a host name is the pod's name.
      scope: `${env['HOSTNAME'] ?? ''} ${path}`,
      fetchToken: (audience) => fetchToken(probes, path, audience),
    };
  },
};

async function fetchToken(probes: Probes, path: string, audience: string): Promise<string> {
  const text = await probes.readToken(path);
  if (text === undefined) {
    throw workloadTokenError(kubernetes, `"${path}" cannot be read`, {
      hint: `${HINT} A pod that does not run as root needs \`fsGroup\` in its securityContext.`,
    });
  }
  return requireTokenFor(kubernetes, text, audience, { hint: HINT });
}
