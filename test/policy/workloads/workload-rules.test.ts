import { describe, expect, test } from 'vitest';
import { problemLine } from '../../../src/policy/load-policy.ts';
import type { WorkloadRule } from '../../../src/policy/workloads/workload-rule.ts';
import { MINIMAL } from '../git-fixture.ts';
import { loadPolicy } from '../with-connectors.ts';

function load(entry: string): { rules: readonly WorkloadRule[]; problems: readonly string[] } {
  const hoop = `${MINIMAL['hoop.yaml']}roles: { approver: { groups: [leads] } }\nworkloads:\n  - ${entry}\n`;
  const { policy, problems } = loadPolicy(
    new Map(Object.entries({ ...MINIMAL, 'hoop.yaml': hoop })),
  );
  return { rules: policy?.workloads ?? [], problems: problems.map(problemLine) };
}

const GITHUB = 'name: deploy, platform: github, groups: [ci]';
const PINNED = 'jwks: { keys: [{ kty: EC, crv: P-256, kid: a, x: x, y: y }] }';

describe('an entry of workloads', () => {
  test('gets the issuer of its platform, its name as principal, and exact values', () => {
    const { rules, problems } = load(
      `{ ${GITHUB}, claims: { repository_id: "12", ref: [refs/heads/main, refs/heads/next] } }`,
    );
    expect(problems).toEqual([]);
    expect(rules).toMatchObject([
      {
        name: 'deploy',
        issuer: 'https://token.actions.githubusercontent.com',
        audience: undefined,
        keySource: 'discovery',
        principal: 'deploy',
        groups: ['ci'],
        claims: [
          { name: 'repository_id', path: ['repository_id'], anyOf: ['12'] },
          { name: 'ref', path: ['ref'], anyOf: ['refs/heads/main', 'refs/heads/next'] },
        ],
      },
    ]);
  });

  test('names no requester by a claim that the caller chooses', () => {
    const devin = 'name: d, platform: devin, issuer: "https://d.example", groups: [ci]';
    const { problems } = load(`{ ${devin}, claims: { org_id: o }, requester: /subject_keys/0 }`);
    expect(problems).toEqual([expect.stringContaining('does not come from its issuer')]);
    const { rules } = load(`{ ${devin}, claims: { org_id: o }, requester: user_email }`);
    expect(rules[0]?.requester).toEqual({ name: 'user_email', path: ['user_email'] });
  });

  test('knows where the claims of a platform stand', () => {
    const { rules, problems } = load(
      `{ name: k, platform: kubernetes, issuer: https://kubernetes.default.svc.cluster.local, groups: [ci], ${PINNED},
         claims: { sub: "system:serviceaccount:a:b", serviceaccount_uid: u, /kubernetes.io/pod/name: p } }`.replaceAll(
        '\n',
        ' ',
      ),
    );
    expect(problems).toEqual([]);
    expect(rules[0]?.claims.map(({ path }) => path)).toEqual([
      ['sub'],
      ['kubernetes.io', 'serviceaccount', 'uid'],
      ['kubernetes.io', 'pod', 'name'],
    ]);
  });

  test('trusts the same keys as another one with the same keys, and no others', () => {
    const source = (keys: string) =>
      load(
        `{ name: k, platform: generic, issuer: https://c.example, groups: [ci], ${keys}, claims: { sub: a } }`,
      ).rules[0]?.keySource;
    expect(source(PINNED)).toBe(source(PINNED));
    expect(source(PINNED)).not.toBe(source(PINNED.replace('kid: a', 'kid: b')));
    expect(source(PINNED)).not.toBe('discovery');
  });
});

describe('policy check refuses', () => {
  test.each<[string, string, string]>([
    [
      'an entry without an id',
      `{ ${GITHUB}, claims: { repository: org/app, ref: refs/heads/main } }`,
      'expected at least one claim that is never reassigned: repository_id',
    ],
    [
      'the subject of GitHub as an id, since it is made of names',
      `{ ${GITHUB}, claims: { sub: "repo:org/app:ref:refs/heads/main" } }`,
      'expected at least one claim that is never reassigned',
    ],
    [
      'a wildcard',
      `{ ${GITHUB}, claims: { repository_id: "1", ref: "refs/heads/*" } }`,
      'there are no wildcards',
    ],
    [
      'a number, which YAML could change',
      `{ ${GITHUB}, claims: { repository_id: 12 } }`,
      'expected a string (numbers in quotes)',
    ],
    [
      'a Kubernetes account without its uid',
      `{ name: k, platform: kubernetes, issuer: https://c.example, groups: [ci], claims: { sub: "system:serviceaccount:a:b" } }`,
      'expected "serviceaccount_uid" too',
    ],
    [
      'the issuer that many clusters have, without keys',
      `{ name: k, platform: kubernetes, issuer: https://kubernetes.default.svc, groups: [ci], claims: { sub: s, serviceaccount_uid: u } }`,
      'many clusters have this issuer',
    ],
    [
      'the audience of the API server',
      `{ name: k, platform: kubernetes, issuer: https://c.example, audience: https://kubernetes.default.svc, groups: [ci], claims: { sub: s, serviceaccount_uid: u } }`,
      'tokens for it are issued for another purpose',
    ],
    [
      'the issuer as the audience, which clusters take for themselves',
      `{ name: k, platform: kubernetes, issuer: https://c.example, audience: https://c.example, groups: [ci], claims: { sub: s, serviceaccount_uid: u } }`,
      'tokens for it are issued for another purpose',
    ],
    [
      'CircleCI without the origin, which alone tells a fork',
      `{ name: c, platform: circleci, issuer: https://oidc.circleci.com/org/o, groups: [ci], claims: { project-id: p } }`,
      'expected "vcs-origin" too',
    ],
    [
      'the organization of CircleCI as an audience, which every job has a token for',
      `{ name: c, platform: circleci, issuer: https://oidc.circleci.com/org/o-1, audience: o-1, groups: [ci], claims: { project-id: p, vcs-origin: g } }`,
      'tokens for it are issued for another purpose',
    ],
    [
      'GitHub under the name of another platform, where pull requests would not be looked for',
      `{ name: g, platform: generic, issuer: https://token.actions.githubusercontent.com, groups: [ci], claims: { sub: s } }`,
      'expected platform: github',
    ],
    [
      'tags that the caller of AWS chooses',
      `{ name: a, platform: aws, issuer: https://u.tokens.sts.global.api.aws, groups: [ci], claims: { aws_account: "1", request_tags: x } }`,
      '"request_tags" cannot decide',
    ],
    [
      'the same by a pointer',
      `{ name: a, platform: aws, issuer: https://u.tokens.sts.global.api.aws, groups: [ci], claims: { aws_account: "1", "/https:~1~1sts.amazonaws.com~1/request_tags/team": x } }`,
      '"request_tags" cannot decide',
    ],
    [
      'an address of Google Cloud',
      `{ name: g, platform: gcp, groups: [ci], claims: { email: a@b.c } }`,
      '"email" cannot decide',
    ],
    [
      'the subject of Devin, which its caller makes up',
      `{ name: d, platform: devin, issuer: https://d.example, groups: [ci], claims: { org_id: o, sub: s } }`,
      '"sub" cannot decide',
    ],
    [
      'a trust domain without keys',
      `{ name: s, platform: spiffe, issuer: "spiffe://a.example", groups: [ci], claims: { sub: "spiffe://a.example/x" } }`,
      'a trust domain needs its keys in jwks',
    ],
    [
      'a platform that has no issuer of its own, without one',
      `{ name: a, platform: azure, groups: [ci], claims: { oid: o } }`,
      'needs an issuer as well',
    ],
    [
      'a name made of claims that are not listed',
      `{ ${GITHUB}, claims: { repository_id: "1" }, principal: "ci/{ref}" }`,
      '"ref" is neither in claims nor in show',
    ],
    [
      'a name like an address',
      `{ ${GITHUB}, claims: { repository_id: "1" }, principal: boss@example.com }`,
      'expected printable characters without "@"',
    ],
    [
      'claims that are checked anyway',
      `{ ${GITHUB}, claims: { repository_id: "1", aud: x } }`,
      '"aud" is checked for every token',
    ],
    [
      'ids of its own for a platform whose ids are known',
      `{ ${GITHUB}, idClaims: [repository], claims: { repository: org/app } }`,
      'only for platform: generic',
    ],
    [
      'a private key',
      `{ name: k, platform: generic, issuer: https://c.example, groups: [ci], jwks: { keys: [{ kty: EC, d: secret }] }, claims: { sub: a } }`,
      'expected a public key',
    ],
    [
      'a shared secret as a key',
      `{ name: k, platform: generic, issuer: https://c.example, groups: [ci], jwks: { keys: [{ kty: oct, k: secret }] }, claims: { sub: a } }`,
      'expected "RSA" or "EC" or "OKP"',
    ],
    [
      'plain http',
      `{ name: k, platform: generic, issuer: http://c.example, groups: [ci], claims: { sub: a } }`,
      'expected an https URL',
    ],
    [
      'a group that would let a job approve',
      `{ name: deploy, platform: github, groups: [leads], claims: { repository_id: "1" } }`,
      'would get the role approver from the group "leads"',
    ],
    [
      'a misspelt key',
      `{ ${GITHUB}, claim: { repository_id: "1" }, claims: { repository_id: "1" } }`,
      'unknown key "claim"',
    ],
  ])('%s', (_title, entry, message) => {
    const { problems } = load(entry);
    expect(problems.join('\n')).toContain(message);
    expect(problems.join('\n')).not.toContain('secret');
  });

  test('two entries of one name', () => {
    const entry = `{ ${GITHUB}, claims: { repository_id: "1" } }`;
    expect(load(`${entry}\n  - ${entry}`).problems.join()).toContain('is listed twice');
  });
});
