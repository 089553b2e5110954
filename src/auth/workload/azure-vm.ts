/**
 * Azure virtual machines and scale sets: the instance metadata service (IMDS) hands out tokens of
 * the machine's managed identity. Any identity of a tenant can ask for a token for our application,
 * so a rule must name the identity (`oid`), never only the tenant.
 * https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
 */
import { readEntraAnswer } from './entra-token.ts';
import { PROBE_TIMEOUT_MS, type Probes } from './probes.ts';
import { absent, type WorkloadProvider } from './workload-provider.ts';

const IMDS = 'http://169.254.169.254';
/** https://learn.microsoft.com/en-us/azure/virtual-machines/instance-metadata-service#versions */
const INSTANCE_API_VERSION = '2021-02-01';
const TOKEN_API_VERSION = '2018-02-01';
/** Azure's, in the chassis of each of its machines: cloud-init knows them by it as well. */
const CHASSIS_ASSET_TAG = '7783-7084-3265-9085-8269-3286-77';
/** Requests without it are refused, so that a forwarded one cannot get a token. */
const HEADERS = { metadata: 'true' } as const;

export const azureVm: WorkloadProvider = {
  name: 'azure-vm',
  title: 'Azure VM',
  async detect({ env, probes }, signal) {
    // AZURE_POD_IDENTITY_AUTHORITY_HOST is what the Azure SDKs read.
    const named = env['AZURE_POD_IDENTITY_AUTHORITY_HOST']?.replace(/\/$/, '');
    const sign = named
      ? 'AZURE_POD_IDENTITY_AUTHORITY_HOST is set'
      : 'DMI has the asset tag of Azure';
    if (!named) {
      if ((await probes.dmi('chassis_asset_tag')) !== CHASSIS_ASSET_TAG) {
        return absent('DMI does not have the asset tag of Azure');
      }
      if (env['KUBERNETES_SERVICE_HOST']) {
        return absent('in a pod the metadata service represents the node, not the pod');
      }
    }
    const base = named || IMDS;
    const answer = await probes.tryHttp(
      `${base}/metadata/instance?api-version=${INSTANCE_API_VERSION}`,
      { headers: HEADERS, timeoutMs: PROBE_TIMEOUT_MS, direct: true },
      signal,
    );
    if (answer === undefined) {
      return absent(`${sign}, but no metadata service answers at ${base}`);
    }
    return {
      state: 'found',
      because: `${sign} and the metadata service answers`,
      scope: `machine ${env['AZURE_CLIENT_ID'] ?? ''}`,
      fetchToken: (audience, aborted) =>
        fetchToken(probes, { base, clientId: env['AZURE_CLIENT_ID'], audience }, aborted),
    };
  },
};

async function fetchToken(
  probes: Probes,
  request: {
    readonly base: string;
    readonly clientId: string | undefined;
    readonly audience: string;
  },
  signal: AbortSignal,
): Promise<string> {
  const query = new URLSearchParams({
    'api-version': TOKEN_API_VERSION,
    resource: request.audience,
    ...(request.clientId ? { client_id: request.clientId } : {}),
  });
  const answer = await probes.http(
    `${request.base}/metadata/identity/oauth2/token?${query}`,
    { headers: HEADERS, direct: true },
    signal,
  );
  return readEntraAnswer(azureVm, answer, request.audience);
}
