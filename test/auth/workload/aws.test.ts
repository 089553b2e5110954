import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { aws } from '../../../src/auth/workload/aws.ts';
import { signAwsRequest } from '../../../src/auth/workload/aws-signature.ts';
import { HoopError } from '../../../src/errors.ts';
import { Secret } from '../../../src/secret.ts';
import { detect, found, type PlatformRequest, TestPlatform } from './test-platform.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const signal = new AbortController().signal;
/** As the container endpoint and IMDS spell them. */
const ROLE = { AccessKeyId: 'ASIAROLE', SecretAccessKey: 'role-secret', Token: 'session-secret' };
const SESSION = 'imds-session-token-secret';

let sts: TestPlatform;
let metadata: TestPlatform;
let root: TestRoot;
let lambda: Record<string, string>;
beforeAll(async () => {
  sts = await TestPlatform.start();
  metadata = await TestPlatform.start();
});
afterAll(async () => {
  await sts[Symbol.asyncDispose]();
  await metadata[Symbol.asyncDispose]();
});
beforeEach(() => {
  root = new TestRoot();
  for (const platform of [sts, metadata]) {
    platform.requests.length = 0;
  }
  sts.answer = answerAsSts;
  metadata.answer = answerAsImds;
  lambda = {
    AWS_LAMBDA_FUNCTION_NAME: 'report',
    AWS_ACCESS_KEY_ID: ROLE.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: ROLE.SecretAccessKey,
    AWS_SESSION_TOKEN: ROLE.Token,
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL_STS: sts.url,
  };
});
afterEach(() => root[Symbol.dispose]());

/** Checks the signature with the key that it keeps, as STS does, before it looks at anything else. */
async function answerAsSts(request: PlatformRequest) {
  const sent = String(request.headers['x-amz-date']);
  const time = sent.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const expected = signAwsRequest(
    {
      method: 'POST',
      url: request.url,
      headers: { 'content-type': String(request.headers['content-type']) },
      body: request.body,
      region: 'eu-west-1',
      service: 'sts',
    },
    {
      accessKeyId: ROLE.AccessKeyId,
      secretAccessKey: new Secret(ROLE.SecretAccessKey),
      sessionToken: new Secret(ROLE.Token),
    },
    new Date(time),
  );
  if (expected['authorization'] !== request.headers.authorization) {
    return failure('SignatureDoesNotMatch');
  }
  const form = new URLSearchParams(request.body);
  if (form.get('Action') !== 'GetWebIdentityToken' || form.get('Version') !== '2011-06-15') {
    return failure('InvalidAction', 400);
  }
  return success(await mint(form.get('Audience.member.1') ?? ''));
}

function mint(aud: string): Promise<string> {
  return sts.issuer.mint({
    iss: 'https://abc123.tokens.sts.global.api.aws',
    aud,
    sub: 'arn:aws:iam::123456789012:role/report',
    'https://sts.amazonaws.com/': { aws_account: '123456789012', org_id: 'o-abc' },
  });
}

function success(token: string) {
  return {
    headers: { 'content-type': 'text/xml' },
    body: `<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetWebIdentityTokenResult><Expiration>2026-11-21T18:00:00Z</Expiration>
    <WebIdentityToken>${token}</WebIdentityToken></GetWebIdentityTokenResult>
  <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>
</GetWebIdentityTokenResponse>`,
  };
}

function failure(code: string, status = 403) {
  return {
    status,
    headers: { 'content-type': 'text/xml' },
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>eyJsecret</Message></Error></ErrorResponse>`,
  };
}

/** Version 2 only: without the session token there is nothing. */
function answerAsImds({ method, url, headers }: PlatformRequest) {
  if (url.pathname === '/latest/api/token') {
    const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
    return method === 'PUT' && ttl > 0 ? { body: SESSION } : { status: 400, body: '' };
  }
  if (headers['x-aws-ec2-metadata-token'] !== SESSION) {
    return { status: 401, body: '<html>' };
  }
  switch (url.pathname) {
    case '/latest/meta-data/placement/region':
      return { body: 'eu-west-1' };
    case '/latest/meta-data/iam/security-credentials/':
      return { body: 'report-role' };
    case '/latest/meta-data/iam/security-credentials/report-role':
      return { body: JSON.stringify({ Code: 'Success', ...ROLE, Expiration: '2026-11-21' }) };
    default:
      return { status: 404, body: '' };
  }
}

function claimsOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

async function refusal(env: Record<string, string>): Promise<HoopError> {
  const error = await (await found(aws, env, root.path))
    .fetchToken(AUDIENCE, signal)
    .catch((e: unknown) => e);
  if (!(error instanceof HoopError)) {
    throw new TypeError('a refusal was expected', { cause: error });
  }
  expect(JSON.stringify([error.message, error.detail, error.hint])).not.toMatch(/secret|eyJ/);
  return error;
}

describe('AWS', () => {
  test('has STS sign a token about a Lambda function, asked with its signature', async () => {
    const token = await (await found(aws, lambda, root.path)).fetchToken(AUDIENCE, signal);
    expect(claimsOf(token)).toMatchObject({
      aud: AUDIENCE,
      sub: 'arn:aws:iam::123456789012:role/report',
    });
    expect(Object.fromEntries(new URLSearchParams(sts.requests[0]?.body))).toEqual({
      Action: 'GetWebIdentityToken',
      Version: '2011-06-15',
      'Audience.member.1': AUDIENCE,
      DurationSeconds: '120',
      SigningAlgorithm: 'ES384',
    });
  });

  test('keys alone are a person at a laptop, unless HOOP_IDENTITY says that they are meant', async () => {
    const { AWS_LAMBDA_FUNCTION_NAME: _gone, ...keys } = lambda;
    expect(await detect(aws, keys, root.path)).toMatchObject({ state: 'absent' });
    expect(await found(aws, { ...keys, HOOP_IDENTITY: 'aws' }, root.path)).toMatchObject({
      because: expect.stringContaining('HOOP_IDENTITY'),
    });
    expect(sts.requests).toEqual([]);
  });

  test('takes the credentials of a container from its endpoint, with its authorization', async () => {
    root.write('/run/token', 'pod-authorization\n', 0o600);
    metadata.answer = ({ headers }) =>
      headers.authorization === 'pod-authorization'
        ? { body: JSON.stringify(ROLE) }
        : { status: 401, body: '' };
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${metadata.url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/run/token',
      AWS_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    const token = await (await found(aws, env, root.path)).fetchToken(AUDIENCE, signal);
    expect(claimsOf(token)).toMatchObject({ aud: AUDIENCE });
  });

  test.each([
    'http://evil.example/credentials',
    'http://10.0.0.1/credentials',
    'http://169.254.169.254/credentials',
    'http://127.evil.example/credentials',
    'not an address',
  ])('the authorization of a container does not go to %s', async (url) => {
    const error = await refusal({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-secret',
      AWS_REGION: 'eu-west-1',
    });
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('neither https nor one of AWS'),
    });
  });

  test.each([
    ['a page', { body: '<html>role-secret' }],
    ['an error', { status: 500, body: JSON.stringify(ROLE) }],
    ['half of them', { body: JSON.stringify({ AccessKeyId: 'a', SecretAccessKey: '' }) }],
  ])('%s are no credentials', async (_title, answer) => {
    metadata.answer = () => answer;
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: metadata.url, AWS_REGION: 'eu-west-1' };
    expect(await refusal(env)).toMatchObject({
      message: expect.stringContaining('provides no credentials'),
    });
  });

  test('the token that EKS gives a pod is for AWS: another one must be projected', async () => {
    expect(
      await detect(aws, { ...lambda, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/run/token' }, root.path),
    ).toMatchObject({ state: 'unusable', hint: expect.stringContaining('projected token') });
  });

  test.each([
    ['OutboundWebIdentityFederationDisabledException', 'enable-outbound-web-identity-federation'],
    ['AccessDenied', 'sts:GetWebIdentityToken'],
    ['ExpiredTokenException', 'expired'],
    ['SignatureDoesNotMatch', 'clock'],
    ['SomethingNew', 'aws sts get-web-identity-token'],
  ])('STS refusing with %s is reported with what to do', async (code, hint) => {
    sts.answer = () => failure(code);
    expect(await refusal(lambda)).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(`status 403 (${code})`),
      hint: expect.stringContaining(hint),
    });
  });

  test('a wrong key is found by STS, not by us', async () => {
    expect(await refusal({ ...lambda, AWS_SECRET_ACCESS_KEY: 'wrong-secret' })).toMatchObject({
      message: expect.stringContaining('SignatureDoesNotMatch'),
    });
  });

  test('an answer with several tokens, or none, is refused', async () => {
    const token = await mint(AUDIENCE);
    for (const body of ['<html>', `${success(token).body}${success(token).body}`]) {
      sts.answer = () => ({ body });
      expect((await refusal(lambda)).message).toContain('returned no token');
    }
  });

  test('a token for somebody else is not passed on', async () => {
    const token = await mint('https://evil.example');
    sts.answer = () => success(token);
    await expect(
      (await found(aws, lambda, root.path)).fetchToken(AUDIENCE, signal),
    ).rejects.toMatchObject({ message: expect.stringContaining('meant for somebody else') });
  });

  test('the region is needed, and cannot lead to another host', async () => {
    const { AWS_REGION: _gone, AWS_ENDPOINT_URL_STS: _named, ...rest } = lambda;
    expect(await refusal(rest)).toMatchObject({ hint: expect.stringContaining('AWS_REGION') });
    for (const region of ['evil.example/', 'eu-west-1.evil.example#', 'EU']) {
      expect(await refusal({ ...rest, AWS_REGION: region })).toMatchObject({
        message: expect.stringContaining('malformed'),
      });
    }
  });

  test('signed requests go only over https or on this machine', async () => {
    expect(
      await refusal({ ...lambda, AWS_ENDPOINT_URL_STS: 'http://sts.evil.example' }),
    ).toMatchObject({ message: expect.stringContaining('not an https address') });
  });

  test('has another scope with other credentials', async () => {
    const other = await found(aws, { ...lambda, AWS_ACCESS_KEY_ID: 'ASIAOTHER' }, root.path);
    expect((await found(aws, lambda, root.path)).scope).not.toBe(other.scope);
  });
});

describe('an instance of EC2', () => {
  let env: Record<string, string>;
  beforeEach(() => {
    env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_ENDPOINT_URL_STS: sts.url };
  });

  test('gives its role and its region through version 2 of its metadata service', async () => {
    const token = await (await found(aws, env, root.path)).fetchToken(AUDIENCE, signal);
    expect(claimsOf(token)).toMatchObject({ aud: AUDIENCE });
  });

  test('with version 1 only is refused: no GET goes without a session token', async () => {
    metadata.answer = ({ method, url }) => {
      if (method !== 'GET') {
        return { status: 405, body: '' };
      }
      return url.pathname.endsWith('security-credentials/')
        ? { body: 'report-role' }
        : { body: JSON.stringify(ROLE) };
    };
    expect(await detect(aws, env, root.path)).toMatchObject({
      state: 'unusable',
      because: expect.stringContaining('no session token (status 405)'),
      hint: expect.stringContaining('IMDSv2'),
    });
    expect(metadata.requests.map(({ method }) => method)).toEqual(['PUT']);
  });

  test('whose service answers with a page has no session token', async () => {
    metadata.answer = () => ({ body: '<html> portal\n</html>' });
    expect(await detect(aws, env, root.path)).toMatchObject({ state: 'unusable' });
  });

  test('that does not answer is not waited for', async () => {
    metadata.answer = () => new Promise(() => undefined);
    expect(await detect(aws, env, root.path)).toMatchObject({
      state: 'absent',
      because: expect.stringContaining('hop limit'),
    });
  });

  test('without a role is told so', async () => {
    metadata.answer = (request) =>
      request.url.pathname.includes('/iam/') ? { status: 404, body: '' } : answerAsImds(request);
    expect(await refusal(env)).toMatchObject({
      message: expect.stringContaining('no role'),
      hint: expect.stringContaining('instance profile'),
    });
  });

  test('cannot lead to another path by the name of its role', async () => {
    metadata.answer = (request) =>
      request.url.pathname.endsWith('security-credentials/')
        ? { body: '../../../latest/user-data' }
        : answerAsImds(request);
    expect(await refusal(env)).toMatchObject({ message: expect.stringContaining('no role') });
    expect(metadata.requests.some(({ url }) => url.pathname.includes('user-data'))).toBe(false);
  });

  test('is known by DMI, and not asked in a pod or where its owner turned it off', async () => {
    root.dmi('sys_vendor', 'Amazon EC2');
    expect(await detect(aws, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, root.path)).toMatchObject({
      state: 'absent',
      because: expect.stringContaining('represents the node'),
    });
    expect(await detect(aws, { AWS_EC2_METADATA_DISABLED: 'true' }, root.path)).toMatchObject({
      state: 'absent',
      because: expect.stringContaining('DMI says "Amazon EC2"'),
    });
    root.dmi('sys_vendor', 'QEMU');
    expect(await detect(aws, {}, root.path)).toMatchObject({ state: 'absent' });
    expect(metadata.requests).toEqual([]);
  });
});
