/**
 * AWS: STS signs a token about whoever calls it, for an audience of our choice (outbound identity
 * federation, which the account must have turned on). Tags that the caller adds to the request come
 * back in the token as `request_tags`, so a rule must never match those.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
 */
import { isSafeProviderUrl } from '../../policy/provider-url.ts';
import {
  AwsCredentialsError,
  containerCredentials,
  environmentCredentials,
  type InstanceMetadata,
  instanceCredentials,
  instanceRegion,
  openInstanceMetadata,
} from './aws-credentials.ts';
import { type AwsCredentials, signAwsRequest } from './aws-signature.ts';
import type { HttpAnswer, Probes } from './probes.ts';
import { requireTokenFor } from './token-claims.ts';
import {
  absent,
  type Detection,
  type FoundWorkload,
  type WorkloadContext,
  type WorkloadProvider,
  workloadTokenError,
} from './workload-provider.ts';

const API_VERSION = '2011-06-15';
/** RS256 or ES384; the gateway takes both. */
const SIGNING_ALGORITHM = 'ES384';
/** It is spent at once. STS refuses what would outlive the credentials of the caller. */
const LIFETIME_SECONDS = '120';
const REGION = /^[a-z]{2}(-[a-z]+)+-\d+$/;

const REGION_HINT = 'Set AWS_REGION; the global STS endpoint does not have this API.';

type Env = WorkloadContext['env'];
type Need = { readonly env: Env; readonly probes: Probes };

/** Lambda and its like hand the role's credentials over in the environment. */
const RUNTIME_VARIABLES = ['AWS_LAMBDA_FUNCTION_NAME', 'AWS_EXECUTION_ENV'] as const;

export const aws: WorkloadProvider = {
  name: 'aws',
  title: 'AWS',
  async detect({ env, probes }, signal): Promise<Detection> {
    for (const name of [
      'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
      'AWS_CONTAINER_CREDENTIALS_FULL_URI',
    ]) {
      if (env[name]) {
        return found({ env, probes }, `${name} is set`, env[name], (aborted) =>
          containerCredentials(env, probes, aborted),
        );
      }
    }
    if (env['AWS_WEB_IDENTITY_TOKEN_FILE']) {
      return {
        state: 'unusable',
        because: 'AWS_WEB_IDENTITY_TOKEN_FILE is set: its token is for AWS, not for the gateway',
        hint: 'In EKS, use a projected token (see Kubernetes) or EKS Pod Identity.',
      };
    }
    const sign = environmentSign(env);
    if (sign !== undefined) {
      return found({ env, probes }, sign, env['AWS_ACCESS_KEY_ID'] ?? '', async () =>
        environmentCredentials(env),
      );
    }
    return await detectInstance({ env, probes }, signal);
  },
};

/**
 * Keys alone are no sign: they are on every administrator's laptop, and there they are a person's.
 * HOOP_IDENTITY=aws says that they are meant.
 */
function environmentSign(env: Env): string | undefined {
  if (!env['AWS_ACCESS_KEY_ID']) {
    return undefined;
  }
  if (env['HOOP_IDENTITY'] === aws.name) {
    return 'HOOP_IDENTITY is "aws" and AWS_ACCESS_KEY_ID is set';
  }
  const runtime = RUNTIME_VARIABLES.find((name) => env[name]);
  return runtime === undefined ? undefined : `${runtime} and AWS_ACCESS_KEY_ID are set`;
}

async function detectInstance(need: Need, signal: AbortSignal): Promise<Detection> {
  const { env, probes } = need;
  const sign = await instanceSign(need);
  if (sign === undefined) {
    return absent('nothing in the environment or in DMI indicates AWS');
  }
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
    return absent(`${sign}, but AWS_EC2_METADATA_DISABLED is "true"`);
  }
  if (env['KUBERNETES_SERVICE_HOST']) {
    return absent('in a pod the metadata service represents the node, not the pod');
  }
  let metadata: InstanceMetadata | undefined;
  try {
    metadata = await openInstanceMetadata(env, probes, signal);
  } catch (error) {
    if (!(error instanceof AwsCredentialsError)) {
      throw error;
    }
    return { state: 'unusable', because: `${sign}, but ${error.message}`, hint: error.hint ?? '' };
  }
  if (metadata === undefined) {
    // In a container the answer to PUT is dropped one hop too early.
    return absent(`${sign}, but no metadata service answers (a container needs a hop limit of 2)`);
  }
  return found(
    need,
    `${sign} and the metadata service answers`,
    'machine',
    // Not with the session of the detection: its minute may be over.
    async (aborted) => instanceCredentials(await reopen(need, aborted), probes, aborted),
  );
}

async function instanceSign({ env, probes }: Need): Promise<string | undefined> {
  if (env['AWS_EC2_METADATA_SERVICE_ENDPOINT']) {
    return 'AWS_EC2_METADATA_SERVICE_ENDPOINT is set';
  }
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
  const vendor = await probes.dmi('sys_vendor');
  return vendor === 'Amazon EC2' ? `DMI says "${vendor}"` : undefined;
}

async function reopen({ env, probes }: Need, signal: AbortSignal): Promise<InstanceMetadata> {
  const metadata = await openInstanceMetadata(env, probes, signal);
  if (metadata === undefined) {
    throw new AwsCredentialsError('the instance metadata service no longer answers');
  }
  return metadata;
}

function found(
  need: Need,
  because: string,
  scope: string,
  credentials: (signal: AbortSignal) => Promise<AwsCredentials>,
): FoundWorkload {
  return {
    state: 'found',
    because,
    scope,
    fetchToken: async (audience, signal) => {
      try {
        return await fetchToken(need, await credentials(signal), audience, signal);
      } catch (error) {
        if (error instanceof AwsCredentialsError) {
          throw workloadTokenError(aws, error.message, { hint: error.hint, cause: error });
        }
        throw error;
      }
    },
  };
}

async function fetchToken(
  need: Need,
  credentials: AwsCredentials,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const region = await findRegion(need, signal);
  const url = endpoint(need.env, region);
  const body = new URLSearchParams({
    Action: 'GetWebIdentityToken',
    Version: API_VERSION,
    'Audience.member.1': audience,
    DurationSeconds: LIFETIME_SECONDS,
    SigningAlgorithm: SIGNING_ALGORITHM,
  }).toString();
  const headers = signAwsRequest(
    {
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body,
      region,
      service: 'sts',
    },
    credentials,
    new Date(need.probes.now()),
  );
  // `host` is signed, and set by whoever sends.
  const { host: _signed, ...sent } = headers;
  const answer = await need.probes.http(url.href, { method: 'POST', headers: sent, body }, signal);
  return readAnswer(answer, audience);
}

async function findRegion({ env, probes }: Need, signal: AbortSignal): Promise<string> {
  const region =
    env['AWS_REGION'] ||
    env['AWS_DEFAULT_REGION'] ||
    ((await instanceSign({ env, probes })) === undefined
      ? undefined
      : await instanceRegion(await reopen({ env, probes }, signal), probes, signal));
  if (region === undefined) {
    throw workloadTokenError(aws, 'the region is not known', { hint: REGION_HINT });
  }
  if (!REGION.test(region)) {
    throw workloadTokenError(aws, 'the region is malformed', { hint: REGION_HINT });
  }
  return region;
}

/** https://docs.aws.amazon.com/general/latest/gr/sts.html; AWS_ENDPOINT_URL_STS as the SDKs read it. */
function endpoint(env: Env, region: string): URL {
  const named = env['AWS_ENDPOINT_URL_STS'];
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const url = URL.parse(named || `https://sts.${region}.${domain}/`);
  if (url === null || !isSafeProviderUrl(url.href)) {
    throw workloadTokenError(aws, 'AWS_ENDPOINT_URL_STS is not an https address');
  }
  return url;
}

/** XML; what we need of it is a JWT, which has no character that XML would escape. */
function readAnswer(answer: HttpAnswer, audience: string): string {
  if (answer.status !== 200) {
    const code = /<Code>(\w{1,80})<\/Code>/.exec(answer.text)?.[1];
    throw workloadTokenError(
      aws,
      `STS answers with status ${answer.status}${code === undefined ? '' : ` (${code})`}`,
      { hint: hintFor(code) },
    );
  }
  const tokens = [...answer.text.matchAll(/<WebIdentityToken>([^<]*)<\/WebIdentityToken>/g)];
  if (tokens.length !== 1) {
    throw workloadTokenError(aws, 'STS returned no token');
  }
  return requireTokenFor(aws, tokens[0]?.[1] ?? '', audience);
}

function hintFor(code: string | undefined): string {
  switch (code) {
    case 'OutboundWebIdentityFederationDisabled':
    case 'OutboundWebIdentityFederationDisabledException':
      return 'Run `aws iam enable-outbound-web-identity-federation` once in this account; it prints the issuer for the policy.';
    case 'AccessDenied':
      return 'Allow the role sts:GetWebIdentityToken, preferably with the condition sts:IdentityTokenAudience.';
    case 'InvalidAction':
      return REGION_HINT;
    case 'SessionDurationEscalation':
    case 'SessionDurationEscalationException':
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return 'The credentials of this job have expired or are about to; it needs new ones.';
    case 'SignatureDoesNotMatch':
    case 'RequestExpired':
      return 'Check the clock of this machine.';
    default:
      return 'See whether `aws sts get-web-identity-token` works here.';
  }
}
