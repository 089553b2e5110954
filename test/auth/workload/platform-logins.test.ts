/**
 * Each platform from its token service to the gateway's answer: the provider gets a token from a
 * double of the service, the gateway verifies it against the issuer's keys and an entry of the
 * policy. The tokens have the claims that the platforms document.
 */
import type { JWTPayload } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { aws } from '../../../src/auth/workload/aws.ts';
import { azureAppService } from '../../../src/auth/workload/azure-app-service.ts';
import { azureVm } from '../../../src/auth/workload/azure-vm.ts';
import { buildkite } from '../../../src/auth/workload/buildkite.ts';
import { circleci } from '../../../src/auth/workload/circleci.ts';
import { devin } from '../../../src/auth/workload/devin.ts';
import { gcp } from '../../../src/auth/workload/gcp.ts';
import { kubernetes } from '../../../src/auth/workload/kubernetes.ts';
import { spiffe } from '../../../src/auth/workload/spiffe.ts';
import type { WorkloadProvider } from '../../../src/auth/workload/workload-provider.ts';
import { generateDpopKey } from '../../../src/client/dpop-key.ts';
import {
  GATEWAY,
  IdentityBench,
  refusalOf,
  tokens,
} from '../../gateway/identity/identity-bench.ts';
import { workloadRulesOf } from '../../gateway/identity/workload-rules-of.ts';
import { found, TestPlatform } from './test-platform.ts';
import { type TestProgram, writeProgram } from './test-program.ts';
import { TestRoot } from './test-root.ts';
import { succeed, svidResponse, TestSpiffeAgent } from './test-spiffe-agent.ts';

const AUDIENCE = `${GATEWAY}/workload`;
const signal = new AbortController().signal;

type Claims = Readonly<Record<string, unknown>>;

interface Case {
  readonly provider: WorkloadProvider;
  readonly platform: string;
  /** Of the token; `iss`, `aud` and the times are added. */
  readonly claims: Claims;
  /** Of the policy's entry. */
  readonly entry: Claims;
  readonly principal?: string;
  /** Makes the double give out this token, and says where the provider finds it. */
  readonly serve: (token: string) => Promise<Record<string, string>> | Record<string, string>;
  /** What must be refused, with the claims that differ. */
  readonly refused: readonly (readonly [title: string, changes: Claims, refusal: string])[];
}

let bench: IdentityBench;
let service: TestPlatform;
let agent: TestSpiffeAgent;
let root: TestRoot;
let program: TestProgram | undefined;
beforeAll(async () => {
  bench = await IdentityBench.start();
  service = await TestPlatform.start();
  agent = await TestSpiffeAgent.start(() => undefined);
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});
beforeEach(() => {
  root = new TestRoot();
});
afterEach(() => {
  root[Symbol.dispose]();
  program?.[Symbol.dispose]();
  program = undefined;
});

function printedBy(name: string, env: Record<string, string>): Case['serve'] {
  return (token) => {
    program = writeProgram(name, `console.log(${JSON.stringify(token)})`);
    return { ...env, PATH: program.path };
  };
}

function answered(answer: (token: string) => object, env: () => Record<string, string>) {
  return (token: string): Record<string, string> => {
    service.answer = () => ({ body: JSON.stringify(answer(token)) });
    return env();
  };
}

const CIRCLE = 'oidc.circleci.com/';
const AZURE = { tid: 'tenant-1', oid: 'oid-1', sub: 'oid-1', appid: 'app-1' };

const CASES: readonly Case[] = [
  {
    provider: circleci,
    platform: 'circleci',
    claims: {
      sub: 'org/o-1/project/p-1/user/u-1/vcs-origin/github.com/org/app/vcs-ref/refs/heads/main',
      [`${CIRCLE}project-id`]: 'p-1',
      [`${CIRCLE}vcs-origin`]: 'github.com/org/app',
      [`${CIRCLE}vcs-ref`]: 'refs/heads/main',
      [`${CIRCLE}context-ids`]: ['c-1', 'c-2'],
      [`${CIRCLE}ssh-rerun`]: false,
    },
    entry: {
      'project-id': 'p-1',
      'vcs-origin': 'github.com/org/app',
      'vcs-ref': 'refs/heads/main',
      'context-ids': 'c-2',
    },
    serve: printedBy('circleci', { CIRCLECI: 'true' }),
    refused: [
      ['a fork', { [`${CIRCLE}vcs-origin`]: 'github.com/evil/app' }, 'HOOP_WORKLOAD_CLAIM'],
      [
        'a branch that is called like one of the project',
        { [`${CIRCLE}vcs-ref`]: 'refs/heads/x/vcs-ref/refs/heads/main' },
        'HOOP_WORKLOAD_CLAIM',
      ],
      ['a rerun with SSH', { [`${CIRCLE}ssh-rerun`]: true }, 'HOOP_WORKLOAD_EVENT'],
      ['a job without the context', { [`${CIRCLE}context-ids`]: ['c-1'] }, 'HOOP_WORKLOAD_CLAIM'],
      ['a custom webhook', { [`${CIRCLE}vcs-origin`]: undefined }, 'HOOP_WORKLOAD_CLAIM'],
    ],
  },
  {
    provider: buildkite,
    platform: 'buildkite',
    claims: {
      sub: 'organization:acme:pipeline:app:ref:refs/heads/main:commit:1:step:deploy',
      organization_slug: 'acme',
      organization_id: 'o-1',
      pipeline_slug: 'app',
      pipeline_id: 'p-1',
      build_branch: 'main',
      build_source: 'webhook',
    },
    entry: { organization_id: 'o-1', pipeline_id: 'p-1', build_branch: 'main' },
    serve: printedBy('buildkite-agent', { BUILDKITE: 'true', BUILDKITE_JOB_ID: 'job' }),
    refused: [
      [
        'the pipeline of another customer with the same names',
        { organization_id: 'o-2', pipeline_id: 'p-2' },
        'HOOP_WORKLOAD_CLAIM',
      ],
      [
        'a token without the ids',
        { organization_id: undefined, pipeline_id: undefined },
        'HOOP_WORKLOAD_CLAIM',
      ],
      ['another branch', { build_branch: 'main:commit:1' }, 'HOOP_WORKLOAD_CLAIM'],
    ],
  },
  {
    provider: kubernetes,
    platform: 'kubernetes',
    claims: {
      sub: 'system:serviceaccount:shop:report',
      'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'report', uid: 'uid-1' } },
    },
    entry: { sub: 'system:serviceaccount:shop:report', serviceaccount_uid: 'uid-1' },
    serve: (token) => {
      root.write('/var/run/secrets/hoop/token', token);
      return { KUBERNETES_SERVICE_HOST: '10.96.0.1' };
    },
    refused: [
      [
        'an account that was made anew',
        {
          'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'report', uid: 'uid-2' } },
        },
        'HOOP_WORKLOAD_CLAIM',
      ],
      [
        'a namespace with a separator in its name',
        { sub: 'system:serviceaccount:shop:report:x' },
        'HOOP_WORKLOAD_CLAIM',
      ],
    ],
  },
  {
    provider: gcp,
    platform: 'gcp',
    claims: {
      sub: '107517467455664443765',
      email: 'vm@project.iam.gserviceaccount.com',
      email_verified: true,
      google: { compute_engine: { project_number: 739419398126, instance_id: '152986' } },
    },
    entry: { sub: '107517467455664443765', project_number: '739419398126' },
    serve: (token) => {
      service.answer = () => ({ headers: { 'metadata-flavor': 'Google' }, body: token });
      return { GCE_METADATA_HOST: new URL(service.url).host };
    },
    refused: [
      ['an account with the address of an old one', { sub: '2' }, 'HOOP_WORKLOAD_CLAIM'],
      ['another project', { google: { compute_engine: {} } }, 'HOOP_WORKLOAD_CLAIM'],
    ],
  },
  {
    provider: azureVm,
    platform: 'azure',
    claims: AZURE,
    entry: { tid: 'tenant-1', oid: 'oid-1' },
    serve: answered(
      (token) => ({ access_token: token, token_type: 'Bearer' }),
      () => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: service.url }),
    ),
    refused: [['another identity of the tenant', { oid: 'oid-2' }, 'HOOP_WORKLOAD_CLAIM']],
  },
  {
    provider: azureAppService,
    platform: 'azure',
    claims: AZURE,
    entry: { tid: 'tenant-1', oid: 'oid-1' },
    serve: answered(
      (token) => ({ access_token: token, token_type: 'Bearer' }),
      () => ({ IDENTITY_ENDPOINT: `${service.url}/msi/token`, IDENTITY_HEADER: 'secret' }),
    ),
    refused: [['another tenant', { tid: 'tenant-2' }, 'HOOP_WORKLOAD_CLAIM']],
  },
  {
    provider: aws,
    platform: 'aws',
    claims: {
      sub: 'arn:aws:iam::123456789012:role/report',
      'https://sts.amazonaws.com/': {
        aws_account: '123456789012',
        org_id: 'o-1',
        request_tags: { team: 'anything' },
      },
    },
    entry: { sub: 'arn:aws:iam::123456789012:role/report', aws_account: '123456789012' },
    serve: (token) => {
      service.answer = () => ({ body: `<WebIdentityToken>${token}</WebIdentityToken>` });
      return {
        AWS_LAMBDA_FUNCTION_NAME: 'report',
        AWS_ACCESS_KEY_ID: 'ASIA',
        AWS_SECRET_ACCESS_KEY: 'secret',
        AWS_REGION: 'eu-west-1',
        AWS_ENDPOINT_URL_STS: service.url,
      };
    },
    refused: [
      [
        'a role of the same name with a path',
        { sub: 'arn:aws:iam::123456789012:role/evil/report' },
        'HOOP_WORKLOAD_CLAIM',
      ],
      [
        'another account that says it is this one in its tags',
        { 'https://sts.amazonaws.com/': { request_tags: { aws_account: '123456789012' } } },
        'HOOP_WORKLOAD_CLAIM',
      ],
    ],
  },
  {
    provider: spiffe,
    platform: 'spiffe',
    claims: { sub: 'spiffe://example.org/ns/shop/sa/report' },
    entry: { sub: 'spiffe://example.org/ns/shop/sa/report' },
    serve: (token) => {
      agent.answer = (_request, stream) => {
        const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
        succeed(stream, svidResponse([[claims.sub, token]]));
      };
      return { SPIFFE_ENDPOINT_SOCKET: agent.socket };
    },
    refused: [
      ['a longer path', { sub: 'spiffe://example.org/ns/shop/sa/report/x' }, 'HOOP_WORKLOAD_CLAIM'],
      [
        'a trust domain that begins like it',
        { sub: 'spiffe://example.org.evil/ns/shop/sa/report' },
        'HOOP_WORKLOAD_CLAIM',
      ],
    ],
  },
  {
    provider: devin,
    platform: 'devin',
    claims: {
      sub: 'org_id:org-1',
      org_id: 'org-1',
      devin_id: 'devin-1',
      user_email: 'a@b.example',
    },
    entry: { org_id: 'org-1' },
    serve: (token) => {
      // The general token says where to exchange it.
      const part = (value: object): string =>
        Buffer.from(JSON.stringify(value)).toString('base64url');
      root.write('/opt/.devin/oidc_token', `${part({})}.${part({ iss: service.url })}.c2ln`);
      service.answer = () => ({ body: JSON.stringify({ access_token: token }) });
      return {};
    },
    refused: [
      ['a session of another customer', { org_id: 'org-2' }, 'HOOP_WORKLOAD_CLAIM'],
      [
        'a session that chose what its subject says',
        { sub: 'org_id:org-1', org_id: undefined },
        'HOOP_WORKLOAD_CLAIM',
      ],
    ],
  },
];

function mint(claims: Claims): Promise<string> {
  const now = bench.nowSeconds();
  const payload: JWTPayload = {
    iss: bench.issuer.issuer,
    aud: AUDIENCE,
    iat: now,
    exp: now + 300,
    jti: crypto.randomUUID(),
    ...claims,
  };
  return bench.issuer.mint(payload);
}

describe.each(CASES.map((one) => [one.provider.title, one] as const))('%s', (_title, one) => {
  async function login(changes: Claims = {}, key = bench.key) {
    bench.workloads = workloadRulesOf({
      name: 'job',
      platform: one.platform,
      issuer: bench.issuer.issuer,
      claims: one.entry,
      groups: ['ci'],
    });
    const env = await one.serve(await mint({ ...one.claims, ...changes }));
    const token = await (await found(one.provider, env, root.path)).fetchToken(AUDIENCE, signal);
    return { token, reply: await bench.exchangeWorkload(token, key) };
  }

  test('logs in as what the policy says of it', async () => {
    const reply = tokens((await login()).reply);
    const who = await bench.identity.authenticate(bench.request(reply.access_token));
    expect(who.principal).toMatchObject({
      kind: 'workload',
      name: 'workload:job',
      sub: one.claims['sub'],
      groups: ['ci'],
    });
  });

  test('is refused to whoever sends its token with another key', async () => {
    const { token } = await login();
    expect(refusalOf(await bench.exchangeWorkload(token, generateDpopKey()))).toContain(
      'HOOP_TOKEN_BOUND',
    );
  });

  test('is refused with a signature that is not its issuer’s', async () => {
    const { token } = await login();
    const [header, payload] = token.split('.');
    const forged = `${header}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`;
    expect(refusalOf(await bench.exchangeWorkload(forged, generateDpopKey()))).toContain(
      'HOOP_TOKEN_SIGNATURE',
    );
  });

  test('gives no token for another audience, and the gateway would not take it', async () => {
    const other = 'https://other.example.com/workload';
    await expect(login({ aud: other })).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('meant for somebody else'),
    });
    const sent = await bench.exchangeWorkload(await mint({ ...one.claims, aud: other }));
    expect(refusalOf(sent)).toContain('HOOP_TOKEN_AUDIENCE');
  });

  test.each(one.refused)('%s is refused', async (_what, changes, refusal) => {
    expect(refusalOf((await login(changes)).reply)).toContain(refusal);
  });
});
