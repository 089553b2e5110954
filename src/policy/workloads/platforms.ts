/**
 * What is known of each platform that gives its workloads tokens: which claims name a workload for
 * good, which of them its own author chooses, and which runs anybody could cause. Names of claims
 * are the platform's; those that stand deeper in the token have a short one here.
 */

/** Claims as the token has them. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/** Refused unless the entry itself lists `claim`, which then decides. */
export interface Pitfall {
  readonly claim: string;
  /** @param read gives the value of a claim by its name; undefined: the token does not have it */
  readonly applies: (read: (claim: string) => unknown) => boolean;
  /** What the run is, for the message: `it runs for a pull request`. */
  readonly says: string;
}

export interface WorkloadPlatform {
  readonly title: string;
  /** The platform's own; undefined: each customer has one, and the entry must name it. */
  readonly issuer: string | undefined;
  /** Short name → where it stands. A name that is not here is a claim at the top. */
  readonly paths: Readonly<Record<string, readonly string[]>>;
  /** At least one of them must be listed: what cannot come to mean somebody else. */
  readonly ids: readonly string[];
  /** All of them must be listed. */
  readonly needs: readonly { readonly claim: string; readonly because: string }[];
  /** None of them may be listed. */
  readonly bars: readonly { readonly claim: string; readonly because: string }[];
  readonly pitfalls: readonly Pitfall[];
}

export const PLATFORM_NAMES = [
  'github',
  'gitlab',
  'circleci',
  'buildkite',
  'kubernetes',
  'gcp',
  'azure',
  'aws',
  'spiffe',
  'devin',
  'generic',
] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

const CIRCLECI = 'oidc.circleci.com/';
const AWS = 'https://sts.amazonaws.com/';

const PLAIN = { paths: {}, needs: [], bars: [], pitfalls: [] };

export const PLATFORMS: Readonly<Record<PlatformName, WorkloadPlatform>> = {
  // https://docs.github.com/en/actions/reference/security/oidc
  github: {
    ...PLAIN,
    title: 'GitHub Actions',
    issuer: 'https://token.actions.githubusercontent.com',
    ids: ['repository_id', 'repository_owner_id', 'enterprise_id'],
    pitfalls: [
      {
        claim: 'event_name',
        // pull_request, pull_request_target, pull_request_review, …: started by whoever opens one.
        applies: (read) => String(read('event_name') ?? '').startsWith('pull_request'),
        says: 'it runs for a pull request, which anybody may be able to open',
      },
    ],
  },
  // https://docs.gitlab.com/ci/secrets/id_token_authentication/
  gitlab: {
    ...PLAIN,
    title: 'GitLab CI',
    issuer: 'https://gitlab.com',
    ids: ['project_id', 'namespace_id', 'job_project_id', 'job_namespace_id'],
    pitfalls: [
      {
        claim: 'pipeline_source',
        applies: (read) =>
          ['merge_request_event', 'external_pull_request_event'].includes(
            String(read('pipeline_source')),
          ),
        says: 'it runs for a merge request, which anybody may be able to open',
      },
      {
        // In a merge request's pipeline project_id is that of the fork, job_project_id that of the
        // project in which it runs: https://gitlab.com/gitlab-org/gitlab/-/work_items/563038
        claim: 'project_id',
        applies: (read) =>
          read('job_project_id') !== undefined &&
          String(read('job_project_id')) !== String(read('project_id')),
        says: 'it runs for a fork',
      },
    ],
  },
  // https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/
  circleci: {
    ...PLAIN,
    title: 'CircleCI',
    issuer: undefined,
    paths: Object.fromEntries(
      [
        'project-id',
        'org-id',
        'context-ids',
        'vcs-origin',
        'vcs-ref',
        'ssh-rerun',
        'pipeline-id',
        'pipeline-definition-id',
        'workflow-id',
        'job-id',
      ].map((name) => [name, [`${CIRCLECI}${name}`]]),
    ),
    ids: ['project-id', 'context-ids', 'org-id'],
    needs: [
      {
        claim: 'vcs-origin',
        because: 'builds of a fork differ from the project’s only in this claim',
      },
    ],
    pitfalls: [
      {
        claim: 'ssh-rerun',
        applies: (read) => String(read('ssh-rerun')) === 'true',
        says: 'it was rerun with SSH, so a person may be typing in it',
      },
    ],
  },
  // https://buildkite.com/docs/pipelines/security/oidc: one issuer for everybody, ids on request
  buildkite: {
    ...PLAIN,
    title: 'Buildkite',
    issuer: 'https://agent.buildkite.com',
    ids: ['pipeline_id', 'organization_id'],
  },
  // https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
  kubernetes: {
    ...PLAIN,
    title: 'Kubernetes',
    issuer: undefined,
    paths: {
      namespace: ['kubernetes.io', 'namespace'],
      serviceaccount_name: ['kubernetes.io', 'serviceaccount', 'name'],
      serviceaccount_uid: ['kubernetes.io', 'serviceaccount', 'uid'],
      pod_name: ['kubernetes.io', 'pod', 'name'],
      pod_uid: ['kubernetes.io', 'pod', 'uid'],
      node_name: ['kubernetes.io', 'node', 'name'],
    },
    ids: ['serviceaccount_uid'],
    needs: [
      { claim: 'sub', because: 'it contains the namespace and the name of the service account' },
      {
        claim: 'serviceaccount_uid',
        because: 'an account that was deleted and created again has the same name',
      },
    ],
  },
  // https://cloud.google.com/compute/docs/instances/verifying-instance-identity
  gcp: {
    ...PLAIN,
    title: 'Google Cloud',
    issuer: 'https://accounts.google.com',
    paths: {
      project_id: ['google', 'compute_engine', 'project_id'],
      project_number: ['google', 'compute_engine', 'project_number'],
      instance_id: ['google', 'compute_engine', 'instance_id'],
      instance_name: ['google', 'compute_engine', 'instance_name'],
      zone: ['google', 'compute_engine', 'zone'],
    },
    ids: ['sub', 'project_number', 'instance_id'],
    bars: [{ claim: 'email', because: 'an address can be reassigned to another account; use sub' }],
  },
  // https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference
  azure: {
    ...PLAIN,
    title: 'Azure',
    issuer: undefined,
    // Any identity of a tenant gets tokens for our audience: the tenant alone is nobody.
    ids: ['oid', 'sub', 'appid', 'azp', 'roles'],
  },
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
  aws: {
    ...PLAIN,
    title: 'AWS',
    issuer: undefined,
    paths: Object.fromEntries(
      [
        'aws_account',
        'org_id',
        'ou_path',
        'source_region',
        'lambda_source_function_arn',
        'request_tags',
      ].map((name) => [name, [AWS, name]]),
    ),
    ids: ['aws_account', 'org_id'],
    bars: [{ claim: 'request_tags', because: 'whoever asks for the token chooses them' }],
  },
  // https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md
  spiffe: {
    ...PLAIN,
    title: 'SPIFFE',
    issuer: undefined,
    ids: ['sub'],
    needs: [{ claim: 'sub', because: 'it is the SPIFFE ID, and nothing else names the workload' }],
  },
  devin: {
    ...PLAIN,
    title: 'Devin',
    issuer: undefined,
    ids: ['org_id', 'devin_id'],
    needs: [{ claim: 'org_id', because: 'all customers’ sessions share one issuer' }],
    bars: [
      { claim: 'sub', because: 'whoever asks for the token chooses what it is made of' },
      { claim: 'subject_keys', because: 'whoever asks for the token chooses them' },
    ],
  },
  // `idClaims` of the entry says which claims are ids; `sub` always is (RFC 7519 §4.1.2).
  generic: { ...PLAIN, title: 'an OpenID issuer', issuer: undefined, ids: ['sub'] },
};
