/**
 * Where a program on AWS finds the credentials of its role: in the environment (Lambda), at an
 * endpoint of its container (ECS, CodeBuild, EKS Pod Identity), or in the metadata service of its
 * instance (IMDSv2). Profiles and SSO are left out: those are people's.
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
import { isIPv4 } from 'node:net';
import * as z from 'zod';
import { Secret } from '../../secret.ts';
import type { AwsCredentials } from './aws-signature.ts';
import { PROBE_TIMEOUT_MS, type Probes } from './probes.ts';
import { parseJson } from './token-claims.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
const CONTAINER_ENDPOINT = 'http://169.254.170.2';
/** ECS and EKS Pod Identity; others need https, or loopback. */
const CONTAINER_HOSTS: ReadonlySet<string> = new Set([
  '169.254.170.2',
  '169.254.170.23',
  '[fd00:ec2::23]',
  'localhost',
  '[::1]',
]);
const IMDS = 'http://169.254.169.254';
/** Seconds; the token serves three requests. */
const IMDS_TOKEN_TTL = '60';
/** What IAM allows in the name of a role. */
const ROLE_NAME = /^[\w+=,.@-]{1,128}$/;

const Answer = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1),
});

/** Said by whoever calls, with the name of the platform in front. */
export class AwsCredentialsError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'AwsCredentialsError';
    this.hint = hint;
  }
}

/** @throws AwsCredentialsError */
export function environmentCredentials(env: Env): AwsCredentials {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = env['AWS_SESSION_TOKEN'];
  if (!accessKeyId || !secretAccessKey) {
    throw new AwsCredentialsError('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set');
  }
  return {
    accessKeyId,
    secretAccessKey: new Secret(secretAccessKey),
    ...(sessionToken ? { sessionToken: new Secret(sessionToken) } : {}),
  };
}

/** @throws AwsCredentialsError, HoopError HOOP_UNREACHABLE */
export async function containerCredentials(
  env: Env,
  probes: Probes,
  signal: AbortSignal,
): Promise<AwsCredentials> {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const url = URL.parse(
    relative
      ? `${CONTAINER_ENDPOINT}${relative}`
      : (env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? ''),
  );
  if (url === null || !isContainerEndpoint(url)) {
    throw new AwsCredentialsError(
      'the address in AWS_CONTAINER_CREDENTIALS_… is neither https nor one of AWS on this host',
    );
  }
  const authorization = await containerAuthorization(env, probes);
  const answer = await probes.http(
    url.href,
    { headers: authorization === undefined ? {} : { authorization }, direct: true },
    signal,
  );
  return readCredentials(answer.status, answer.text, 'the credentials endpoint of the container');
}

function isContainerEndpoint({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'https:' ||
    (protocol === 'http:' &&
      (CONTAINER_HOSTS.has(hostname) || (isIPv4(hostname) && hostname.startsWith('127.'))))
  );
}

async function containerAuthorization(env: Env, probes: Probes): Promise<string | undefined> {
  const path = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const text = path
    ? (await probes.readToken(path))?.trim()
    : env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  if (path && text === undefined) {
    throw new AwsCredentialsError('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read');
  }
  if (text !== undefined && /[\r\n]/.test(text)) {
    throw new AwsCredentialsError('the container authorization token has more than one line');
  }
  return text || undefined;
}

export interface InstanceMetadata {
  readonly base: string;
  /** Of IMDSv2: opens the service for a minute. */
  readonly token: Secret<string>;
}

/**
 * Opens a session with the metadata service. Version 1, which answers anybody's GET and so also one
 * that a web page or a confused proxy was made to send, is never asked.
 * @returns undefined when nothing answers in time
 * @throws AwsCredentialsError when something does, but without a token
 */
export async function openInstanceMetadata(
  env: Env,
  probes: Probes,
  signal: AbortSignal,
): Promise<InstanceMetadata | undefined> {
  // AWS_EC2_METADATA_SERVICE_ENDPOINT is what the AWS SDKs read.
  const base = env['AWS_EC2_METADATA_SERVICE_ENDPOINT']?.replace(/\/$/, '') || IMDS;
  const answer = await probes.tryHttp(
    `${base}/latest/api/token`,
    {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': IMDS_TOKEN_TTL },
      timeoutMs: PROBE_TIMEOUT_MS,
      direct: true,
    },
    signal,
  );
  if (answer === undefined) {
    return undefined;
  }
  const token = answer.text.trim();
  if (answer.status !== 200 || !/^[\x21-\x7e]{16,1024}$/.test(token)) {
    throw new AwsCredentialsError(
      `the instance metadata service issues no session token (status ${answer.status})`,
      'Turn on IMDSv2 for this instance; hoop does not use version 1, which answers anybody.',
    );
  }
  return { base, token: new Secret(token) };
}

/** @throws AwsCredentialsError, HoopError HOOP_UNREACHABLE */
export async function instanceCredentials(
  metadata: InstanceMetadata,
  probes: Probes,
  signal: AbortSignal,
): Promise<AwsCredentials> {
  const path = '/latest/meta-data/iam/security-credentials/';
  const list = await readMetadata(metadata, path, probes, signal);
  const role = list.text.trim();
  if (list.status !== 200 || !ROLE_NAME.test(role)) {
    throw new AwsCredentialsError(
      'this instance has no role',
      'Attach an instance profile whose role may call sts:GetWebIdentityToken.',
    );
  }
  const answer = await readMetadata(metadata, `${path}${role}`, probes, signal);
  return readCredentials(answer.status, answer.text, 'the instance metadata service');
}

/** @returns undefined when the service does not say */
export async function instanceRegion(
  metadata: InstanceMetadata,
  probes: Probes,
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = '/latest/meta-data/placement/region';
  const answer = await readMetadata(metadata, path, probes, signal);
  return answer.status === 200 ? answer.text.trim() : undefined;
}

function readMetadata(
  metadata: InstanceMetadata,
  path: string,
  probes: Probes,
  signal: AbortSignal,
): ReturnType<Probes['http']> {
  return probes.http(
    `${metadata.base}${path}`,
    { headers: { 'x-aws-ec2-metadata-token': metadata.token.expose() }, direct: true },
    signal,
  );
}

function readCredentials(status: number, text: string, who: string): AwsCredentials {
  const parsed = status === 200 ? Answer.safeParse(parseJson(text)) : undefined;
  if (parsed?.success !== true) {
    throw new AwsCredentialsError(`${who} provides no credentials (status ${status})`);
  }
  return {
    accessKeyId: parsed.data.AccessKeyId,
    secretAccessKey: new Secret(parsed.data.SecretAccessKey),
    sessionToken: new Secret(parsed.data.Token),
  };
}
