/**
 * Azure App Service, Functions and Container Apps: a local endpoint hands out tokens of the app's
 * managed identity to whoever shows the secret from IDENTITY_HEADER. It is not IMDS.
 * https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference
 */
import { isIP } from 'node:net';
import { readEntraAnswer } from './entra-token.ts';
import type { Probes } from './probes.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const API_VERSION = '2019-08-01';

interface Endpoint {
  readonly url: string;
  readonly secret: string;
  readonly clientId: string | undefined;
}

export const azureAppService: WorkloadProvider = {
  name: 'azure-app-service',
  title: 'Azure App Service',
  async detect({ env, probes }) {
    const url = env['IDENTITY_ENDPOINT'];
    const secret = env['IDENTITY_HEADER'];
    // Azure Arc sets the first without the second, and answers in another way.
    if (!url || !secret) {
      return absent('IDENTITY_ENDPOINT and IDENTITY_HEADER are not both set');
    }
    if (env['IDENTITY_SERVER_THUMBPRINT']) {
      return absent('IDENTITY_SERVER_THUMBPRINT is set: this is Service Fabric');
    }
    const endpoint: Endpoint = { url, secret, clientId: env['AZURE_CLIENT_ID'] };
    return {
      state: 'found',
      because: 'IDENTITY_ENDPOINT and IDENTITY_HEADER are set',
      scope: `${secret} ${endpoint.clientId ?? ''}`,
      fetchToken: (audience, signal) => fetchToken(probes, endpoint, audience, signal),
    };
  },
};

async function fetchToken(
  probes: Probes,
  endpoint: Endpoint,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const url = URL.parse(endpoint.url);
  if (url === null || !isOnThisHost(url)) {
    throw workloadTokenError(azureAppService, 'IDENTITY_ENDPOINT is not an address of this host', {
      hint: 'It is set by Azure; do not set it yourself.',
    });
  }
  url.searchParams.set('api-version', API_VERSION);
  url.searchParams.set('resource', audience);
  if (endpoint.clientId) {
    url.searchParams.set('client_id', endpoint.clientId);
  }
  const answer = await probes.http(
    url.href,
    { headers: { 'x-identity-header': endpoint.secret }, direct: true },
    signal,
  );
  return readEntraAnswer(azureAppService, answer, audience);
}

/** The secret of IDENTITY_HEADER goes in clear: loopback or link-local, where Azure puts it. */
function isOnThisHost({ protocol, hostname }: URL): boolean {
  if (protocol !== 'http:') {
    return false;
  }
  const address = hostname.replace(/^\[|\]$/g, '');
  return (
    address === 'localhost' ||
    (isIP(address) !== 0 && /^(127\.|169\.254\.|::1$|fe80:)/.test(address))
  );
}
