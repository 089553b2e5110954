import { describe, expect, test } from 'vitest';
import { problemLine } from '../../../src/policy/load-policy.ts';
import {
  matchWorkload,
  nearestMiss,
  type VerifiedWorkload,
} from '../../../src/policy/workloads/match-workload.ts';
import type { TokenClaims } from '../../../src/policy/workloads/platforms.ts';
import type { WorkloadRule } from '../../../src/policy/workloads/workload-rule.ts';
import { MINIMAL } from '../git-fixture.ts';
import { loadPolicy } from '../with-connectors.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com';

function rulesOf(yaml: string): readonly WorkloadRule[] {
  const hoop = `${MINIMAL['hoop.yaml']}workloads:\n${yaml}`;
  const { policy, problems } = loadPolicy(
    new Map(Object.entries({ ...MINIMAL, 'hoop.yaml': hoop })),
  );
  expect(problems.map(problemLine)).toEqual([]);
  return policy?.workloads ?? [];
}

function token(claims: TokenClaims, changes: Partial<VerifiedWorkload> = {}): VerifiedWorkload {
  return {
    issuer: GITHUB_ISSUER,
    keySource: 'discovery',
    audiences: [AUDIENCE],
    claims,
    ...changes,
  };
}

/** `fits NAME`, or code and problems of each entry. */
function outcome(rules: readonly WorkloadRule[], given: VerifiedWorkload): string[] {
  return matchWorkload(rules, given, [AUDIENCE]).map((match) =>
    match.fits ? `fits ${match.name}` : `${match.code}: ${match.problems.join('; ')}`,
  );
}

const DEPLOY = rulesOf(`
  - name: deploy
    platform: github
    claims: { repository_id: "100", repository_owner_id: "7", ref: refs/heads/main, environment: prod }
    show: [repository, run_id]
    principal: "ci {repository} {ref}"
    groups: [ci]
`);
const JOB = {
  sub: 'repo:org/app:environment:prod',
  repository: 'org/app',
  repository_id: '100',
  repository_owner_id: '7',
  ref: 'refs/heads/main',
  environment: 'prod',
  event_name: 'push',
  run_id: '1',
};

describe('a job of GitHub', () => {
  test('fits when every listed claim is exactly as listed', () => {
    expect(outcome(DEPLOY, token(JOB))).toEqual(['fits ci org/app refs/heads/main']);
  });

  test('goes on after its repository was renamed', () => {
    expect(
      outcome(DEPLOY, token({ ...JOB, repository: 'new/name', sub: 'repo:new/name' })),
    ).toEqual(['fits ci new/name refs/heads/main']);
  });

  test('of a repository that was made anew under the same name is refused', () => {
    expect(outcome(DEPLOY, token({ ...JOB, repository_id: '101' }))).toEqual([
      'HOOP_WORKLOAD_CLAIM: "repository_id" is "101", not "100"',
    ]);
  });

  test.each([
    ['a branch that is called like more of the subject', { ref: 'refs/heads/x:environment:prod' }],
    ['a branch with another in its name', { ref: 'refs/heads/main/../main' }],
    ['a branch that begins like it', { ref: 'refs/heads/main2' }],
    ['a tag of the same name', { ref: 'refs/tags/main' }],
    ['other letters', { ref: 'refs/heads/Main' }],
    ['a list with it and another', { ref: [['refs/heads/main']] }],
    ['an object', { ref: { toString: 'refs/heads/main' } }],
    ['null', { ref: null }],
    ['nothing', { ref: undefined }],
  ])('of %s is refused', (_title, changes) => {
    expect(outcome(DEPLOY, token({ ...JOB, ...changes }))[0]).toContain('HOOP_WORKLOAD_CLAIM');
  });

  test.each(['pull_request', 'pull_request_target', 'pull_request_review'])(
    'for the event %s is refused unless the entry lists the event',
    (event_name) => {
      expect(outcome(DEPLOY, token({ ...JOB, event_name }))[0]).toContain(
        'HOOP_WORKLOAD_EVENT: it runs for a pull request',
      );
      const listing = rulesOf(
        `  - { name: preview, platform: github, groups: [ci], claims: { repository_id: "100", event_name: ${event_name} } }\n`,
      );
      expect(outcome(listing, token({ ...JOB, event_name }))).toEqual(['fits preview']);
    },
  );

  test('is refused with the keys of another source or as another issuer', () => {
    expect(outcome(DEPLOY, token(JOB, { keySource: 'pinned' }))).toEqual([]);
    expect(outcome(DEPLOY, token(JOB, { issuer: `${GITHUB_ISSUER}/` }))).toEqual([]);
  });

  test.each([
    ['another', ['https://other.example']],
    ['this gateway and another', [AUDIENCE, 'https://other.example']],
    ['a longer one', [`${AUDIENCE}/x`]],
    ['none', []],
  ])('made out to %s is refused', (_title, audiences) => {
    expect(outcome(DEPLOY, token(JOB, { audiences }))[0]).toContain('HOOP_TOKEN_AUDIENCE');
  });

  test('is called by printable text only, and never like an address', () => {
    const name = outcome(
      DEPLOY,
      token({ ...JOB, repository: 'boss@example.com\u202e\u001b[2J\n' }),
    );
    expect(name).toEqual(['fits ci boss?example.com??[2J? refs/heads/main']);
  });

  test('learns what did not fit, in printable and bounded text', () => {
    const [problem = ''] = outcome(DEPLOY, token({ ...JOB, ref: `\u001b]0;${'x'.repeat(5000)}` }));
    expect(problem).toContain('"ref" is "?]0;xxx');
    expect(problem.length).toBeLessThan(300);
  });
});

describe('other platforms', () => {
  test('a boolean that is a text is not a boolean, and the other way round', () => {
    const gitlab = rulesOf(
      '  - { name: g, platform: gitlab, groups: [ci], claims: { project_id: "5", ref_protected: "true" } }\n',
    );
    const issuer = 'https://gitlab.com';
    const claims = { project_id: '5', ref_protected: 'true' };
    expect(outcome(gitlab, token(claims, { issuer }))).toEqual(['fits g']);
    expect(outcome(gitlab, token({ ...claims, ref_protected: true }, { issuer }))).toEqual([
      'HOOP_WORKLOAD_CLAIM: "ref_protected" is "true", not "true" (in the token it is true or false)',
    ]);
  });

  test('a merge request of GitLab is refused, and a fork whatever started it', () => {
    const gitlab = rulesOf(
      '  - { name: g, platform: gitlab, groups: [ci], claims: { job_project_id: "5" } }\n',
    );
    const issuer = 'https://gitlab.com';
    const push = { project_id: '5', job_project_id: '5', pipeline_source: 'push' };
    expect(outcome(gitlab, token(push, { issuer }))).toEqual(['fits g']);
    expect(
      outcome(gitlab, token({ ...push, pipeline_source: 'merge_request_event' }, { issuer }))[0],
    ).toContain('HOOP_WORKLOAD_EVENT: it runs for a merge request');
    expect(outcome(gitlab, token({ ...push, project_id: '99' }, { issuer }))[0]).toContain(
      'HOOP_WORKLOAD_EVENT: it runs for a fork',
    );
  });

  test('CircleCI: one of several contexts is enough, a fork and a rerun with SSH are refused', () => {
    const issuer = 'https://oidc.circleci.com/org/o';
    const circle = rulesOf(
      `  - { name: c, platform: circleci, issuer: "${issuer}", groups: [ci], claims: { context-ids: ctx-1, vcs-origin: github.com/org/app } }\n`,
    );
    const claims = {
      'oidc.circleci.com/context-ids': ['ctx-0', 'ctx-1'],
      'oidc.circleci.com/vcs-origin': 'github.com/org/app',
      'oidc.circleci.com/ssh-rerun': false,
    };
    expect(outcome(circle, token(claims, { issuer }))).toEqual(['fits c']);
    const fork = { ...claims, 'oidc.circleci.com/vcs-origin': 'github.com/evil/app' };
    expect(outcome(circle, token(fork, { issuer }))[0]).toContain('HOOP_WORKLOAD_CLAIM');
    for (const rerun of [true, 'true']) {
      const again = { ...claims, 'oidc.circleci.com/ssh-rerun': rerun };
      expect(outcome(circle, token(again, { issuer }))[0]).toContain('HOOP_WORKLOAD_EVENT');
    }
  });

  test('an id that comes as a number is read exactly, and beyond 2^53 not at all', () => {
    const gcp = rulesOf(
      '  - { name: g, platform: gcp, groups: [ci], claims: { project_number: "9007199254740993" } }\n  - { name: h, platform: gcp, groups: [ci], claims: { project_number: "739419398126" } }\n',
    );
    const issuer = 'https://accounts.google.com';
    const at = (text: string) =>
      token({ google: { compute_engine: JSON.parse(`{"project_number":${text}}`) } }, { issuer });
    expect(outcome(gcp, at('9007199254740993'))[0]).toContain('HOOP_WORKLOAD_CLAIM');
    expect(outcome(gcp, at('739419398126'))[1]).toBe('fits h');
  });

  test('claims that every object inherits are not in a token', () => {
    const generic = rulesOf(
      '  - { name: g, platform: generic, issuer: "https://c.example", groups: [ci], idClaims: [constructor], claims: { constructor: x } }\n',
    );
    expect(outcome(generic, token({}, { issuer: 'https://c.example' }))).toEqual([
      'HOOP_WORKLOAD_CLAIM: the token has no "constructor"',
    ]);
  });
});

test('the nearest miss is the one with the fewest claims that differ', () => {
  const rules = rulesOf(`
  - { name: far, platform: github, groups: [ci], claims: { repository_id: "1", ref: a, environment: b } }
  - { name: near, platform: github, groups: [ci], claims: { repository_id: "100", ref: a } }
  - { name: elsewhere, platform: github, audience: other, groups: [ci], claims: { repository_id: "100" } }
`);
  expect(nearestMiss(matchWorkload(rules, token(JOB), [AUDIENCE]))?.rule.name).toBe('near');
});

test('a wildcard in a claim of the token is text like any other', () => {
  expect(outcome(DEPLOY, token({ ...JOB, ref: '*' }))[0]).toContain('"ref" is "*"');
});

describe('for whom a workload works', () => {
  const rules = rulesOf(`
  - name: devin
    platform: devin
    issuer: https://app.devin.ai
    claims: { org_id: org-1 }
    requester: user_email
    groups: [agents]
`);
  const requesterOf = (claims: TokenClaims) => {
    const given = token({ org_id: 'org-1', ...claims }, { issuer: 'https://app.devin.ai' });
    const [match] = matchWorkload(rules, given, [AUDIENCE]);
    return match?.fits ? match.requester : 'does not fit';
  };

  test('is what the claim says that the entry names, as one printable line', () => {
    expect(requesterOf({ user_email: 'ann@example.com' })).toBe('ann@example.com');
    expect(requesterOf({ user_email: 'ann\u202e\n\u001b[2J@example.com' })).toBe(
      'ann???[2J@example.com',
    );
    expect(requesterOf({ user_email: 'x'.repeat(5000) })?.length).toBeLessThan(200);
  });

  test('is not known where the claim is not there, or no text; the job comes in all the same', () => {
    for (const claims of [{}, { user_email: '' }, { user_email: ['a'] }, { user_email: null }]) {
      expect(requesterOf(claims)).toBeUndefined();
    }
  });
});
