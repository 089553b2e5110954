/**
 * Google Cloud: the metadata server signs an identity token of the machine's or container's service
 * account for any audience. Everything on the machine that reaches it gets one.
 * https://cloud.google.com/compute/docs/instances/verifying-instance-identity
 * https://cloud.google.com/compute/docs/metadata/querying-metadata
 */
import { type HttpAnswer, PROBE_TIMEOUT_MS, type Probes } from './probes.ts';
import { requireTokenFor } from './token-claims.ts';
import {
  absent,
  type Detection,
  type WorkloadProvider,
  workloadTokenError,
} from './workload-provider.ts';

/** Not the name: whoever answers DNS could stand in for it. */
const METADATA_ADDRESS = '169.254.169.254';
const ACCOUNT_PATH = '/computeMetadata/v1/instance/service-accounts/default';
/** Without it the server refuses; it cannot be set by a page in a browser or by most SSRF. */
const FLAVOR = { 'metadata-flavor': 'Google' } as const;
const NO_ACCOUNT_HINT =
  'Attach a service account to it; a token needs no roles. In GKE, turn on Workload Identity Federation.';

export const gcp: WorkloadProvider = {
  name: 'gcp',
  title: 'Google Cloud',
  async detect({ env, probes }, signal): Promise<Detection> {
    const sign = await findSign(env, probes);
    if (sign === undefined) {
      return absent('nothing in the environment or in DMI indicates Google');
    }
    // GCE_METADATA_HOST is what Google's own libraries read.
    const host = env['GCE_METADATA_HOST'] || METADATA_ADDRESS;
    const answer = await probes.tryHttp(
      `http://${host}${ACCOUNT_PATH}/email`,
      { headers: FLAVOR, timeoutMs: PROBE_TIMEOUT_MS, direct: true },
      signal,
    );
    if (answer === undefined || !isMetadataServer(answer)) {
      return absent(`${sign}, but no metadata server answers at ${host}`);
    }
    if (answer.status !== 200) {
      return {
        state: 'unusable',
        because: `${sign}, but this machine has no service account`,
        hint: NO_ACCOUNT_HINT,
      };
    }
    return {
      state: 'found',
      because: `${sign} and the metadata server answers`,
      scope: 'machine',
      fetchToken: (audience, aborted) => fetchToken(probes, host, audience, aborted),
    };
  },
};

/** @returns what says that this is Google's */
async function findSign(
  env: Readonly<Record<string, string | undefined>>,
  probes: Probes,
): Promise<string | undefined> {
  const product = await probes.dmi('product_name');
  if (product?.startsWith('Google')) {
    return `DMI says "${product}"`;
  }
  // Cloud Run and functions set these, and have no DMI. https://cloud.google.com/run/docs/container-contract#env-vars
  const name = ['GCE_METADATA_HOST', 'CLOUD_RUN_JOB', 'K_SERVICE'].find((one) => env[one]);
  return name === undefined ? undefined : `${name} is set`;
}

/** Its own mark: a proxy or a captive portal that answers every address does not have it. */
function isMetadataServer({ headers }: HttpAnswer): boolean {
  return headers.get('metadata-flavor') === 'Google';
}

async function fetchToken(
  probes: Probes,
  host: string,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const query = new URLSearchParams({ audience, format: 'full' });
  const answer = await probes.http(
    `http://${host}${ACCOUNT_PATH}/identity?${query}`,
    { headers: FLAVOR, direct: true },
    signal,
  );
  if (!isMetadataServer(answer)) {
    throw workloadTokenError(gcp, 'something other than the metadata server answers', {
      detail: 'The answer has no "Metadata-Flavor: Google".',
    });
  }
  if (answer.status !== 200) {
    throw workloadTokenError(gcp, `the metadata server answers with status ${answer.status}`, {
      hint: NO_ACCOUNT_HINT,
    });
  }
  return requireTokenFor(gcp, answer.text, audience);
}
