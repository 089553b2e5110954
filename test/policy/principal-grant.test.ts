import { expect, test } from 'vitest';
import {
  credentialName,
  grantedTargets,
  principalGrant,
} from '../../src/policy/principal-grant.ts';
import { principalRoles } from '../../src/policy/principal-roles.ts';
import type { Principal } from '../../src/policy/types.ts';
import { describeRules, maskedColumns } from '../../src/policy/words/describe-grant.ts';
import { requirePolicy } from './with-connectors.ts';

const FILES = {
  'hoop.yaml': `version: 1
identityProviders: [{ issuer: "https://idp.example", clientId: hoop }]
roles:
  auditor: { groups: [audit, board] }
  approver: { groups: [leads] }
defaults:
  limits: { maxTime: 2h }
`,
  'targets/prod.yaml': `name: prod
kind: postgres
database: app
labels: { env: production, team: shop }
credential: reader
credentials:
  - { groups: [dba], credential: admin }
  - { groups: [writers, dba], credential: writer }
`,
  'targets/test.yaml': 'name: test\nkind: postgres\ndatabase: app\nlabels: { env: test }\n',
  'policies/staff.yaml': `name: staff
who: { groups: [staff] }
targets: { labels: { env: production } }
requireReason: true
limits: { maxTime: 8h, maxConnections: 5 }
masks:
  - { column: public.customers.email, mask: partial, write: allow }
  - { column: public.customers.ssn, mask: full }
detectors: [ssn, card]
rules:
  - { name: read, allow: { verbs: [select], relations: ["public.*"] } }
`,
  'policies/writers.yaml': `name: writers
who: { groups: [writers] }
targets: { names: [prod] }
limits: { maxTime: 1h, maxRows: 1000 }
inference: deny
masks:
  - { column: public.customers.email, mask: hash }
  - { column: public.customers.ssn, mask: "null" }
detectors: all
rules:
  - { allow: { verbs: [insert, update], relations: [public.orders], qualified: true } }
  - { deny: { verbs: [drop] } }
`,
  'policies/people.yaml': `name: people
who:
  users: [{ email: Ann@Example.org }, { issuer: "https://idp.example", sub: bob-1 }]
targets: { names: ["*"] }
rules: [{ allow: { verbs: [select] } }]
`,
  'policies/admins.yaml': `name: admins
who: { groups: [admins] }
targets: { names: [test] }
statements: anything
`,
  'policies/masks.yaml': `name: masks
who: { groups: [masked] }
targets: { names: ["*"] }
masks: [{ column: public.t.c, mask: full }]
`,
};
const policy = requirePolicy(new Map(Object.entries(FILES)));

function someone(groups: string[], more: Partial<Principal> = {}): Principal {
  return {
    kind: 'person',
    issuer: 'https://idp.example',
    sub: 'x',
    name: 'x',
    email: undefined,
    groups,
    roles: [],
    ...more,
  };
}

const grant = (principal: Principal, target: string) =>
  principalGrant(policy, 'c'.repeat(40), principal, target);

test('whom no policy names has nothing, on known and unknown targets alike', () => {
  expect(grant(someone(['guests']), 'prod')).toBeUndefined();
  expect(grant(someone(['staff']), 'nope')).toBeUndefined();
  expect(grant(someone(['staff']), 'test')).toBeUndefined();
  expect(grantedTargets(policy, 'c', someone(['guests']))).toEqual([]);
});

test('several policies for one person: rules and masks add up, limits shrink, the stricter wins', () => {
  const both = grant(someone(['staff', 'writers']), 'prod');
  expect(both && describeRules(both)).toEqual([
    'staff/read: allow select on public.*',
    'writers/rule-1: allow insert, update with WHERE on public.orders',
    'writers/rule-2: deny drop',
  ]);
  expect(both && maskedColumns(both)).toEqual([
    { column: 'public.customers.email', mask: 'hash', inference: 'deny' },
    { column: 'public.customers.ssn', mask: 'full', inference: 'deny' },
  ]);
  expect(both?.masks.every(({ write }) => write === undefined)).toBe(true);
  expect(both?.limits).toEqual({
    maxTimeSeconds: 3600,
    idleTimeSeconds: 3600,
    maxConnections: 5,
    maxRows: 1000,
    lookups: 100,
    statementsPerMessage: 2000,
    statementsPerSecond: 10_000,
  });
  expect(both?.requireReason).toBe(true);
  // Of two files that mask a column the one that says less decides.
  expect(both?.masks.map(({ inference }) => inference)).toEqual(['deny', 'deny']);
  expect(both?.detectors).toHaveLength(9);
});

test('what one policy only counts is masked where another one masks it', () => {
  const watching = requirePolicy(
    new Map(
      Object.entries({
        ...FILES,
        'policies/watched.yaml': `name: watched
who: { groups: [watched] }
targets: { names: [prod] }
detectors: [card, email]
detect: observe
rules: [{ allow: { verbs: [select] } }]
`,
      }),
    ),
  );
  const on = (groups: string[]) =>
    principalGrant(watching, 'c'.repeat(40), someone(groups), 'prod');
  expect(on(['watched'])).toMatchObject({ detectors: [], observed: ['card', 'email'] });
  expect(on(['watched', 'staff'])).toMatchObject({
    detectors: ['card', 'ssn'],
    observed: ['email'],
  });
  expect(on(['watched', 'writers'])).not.toHaveProperty('observed');
});

test('one policy alone gives what it says, and the defaults for the rest', () => {
  const staff = grant(someone(['staff']), 'prod');
  expect(staff?.limits).toMatchObject({ maxTimeSeconds: 8 * 3600, maxRows: undefined });
  expect(staff).toMatchObject({ detectors: ['card', 'ssn'] });
  expect(staff?.masks.map(({ inference }) => inference)).toEqual(['deny', 'deny']);
  expect(staff?.masks[0]).toMatchObject({ mask: 'partial', write: 'allow' });
  expect(grant(someone(['writers']), 'prod')?.requireReason).toBe(false);
});

test('people are matched by address in any case, or by issuer and subject together', () => {
  expect(grant(someone([], { email: 'ann@example.org' }), 'prod')?.rules).toHaveLength(1);
  expect(grant(someone([], { sub: 'bob-1' }), 'test')?.rules).toHaveLength(1);
  expect(grant(someone([], { sub: 'bob-1', issuer: 'https://other' }), 'test')).toBeUndefined();
  expect(grant(someone([], { email: 'ann@example.org.evil' }), 'prod')).toBeUndefined();
});

test('statements: anything is void as soon as a mask applies to the same person', () => {
  expect(grant(someone(['admins']), 'test')).toMatchObject({ passthrough: true, rules: [] });
  expect(grant(someone(['admins', 'masked']), 'test')).toBeUndefined();
  expect(grant(someone(['admins', 'masked'], { sub: 'bob-1' }), 'test')).toMatchObject({
    passthrough: false,
    masks: [{ column: 'c' }],
  });
});

test('the generation of a grant changes with what it grants and with the commit', () => {
  const one = grant(someone(['staff']), 'prod')?.generation;
  expect(grant(someone(['staff'], { sub: 'y' }), 'prod')?.generation).toBe(one);
  expect(grant(someone(['staff', 'writers']), 'prod')?.generation).not.toBe(one);
  expect(principalGrant(policy, 'd', someone(['staff']), 'prod')?.generation).not.toBe(one);
});

test('roles and credentials follow groups', () => {
  expect(principalRoles(policy.roles, ['audit', 'leads'])).toEqual(['auditor', 'approver']);
  expect(principalRoles(policy.roles, ['staff'])).toEqual([]);
  const prod = policy.targets.get('prod');
  expect(prod && credentialName(prod, someone(['writers']))).toBe('writer');
  expect(prod && credentialName(prod, someone(['writers', 'dba']))).toBe('admin');
  expect(prod && credentialName(prod, someone(['staff']))).toBe('reader');
  const test = policy.targets.get('test');
  expect(test && credentialName(test, someone(['staff']))).toBeUndefined();
});

test('wait: people lets a person wait and a workload fail at once', () => {
  const files = {
    ...FILES,
    'policies/held.yaml': `name: held
who: { groups: [held] }
targets: { names: [prod] }
rules:
  - { name: p, approve: { verbs: [delete], wait: people } }
  - { name: y, approve: { verbs: [update], wait: yes } }
  - { name: n, approve: { verbs: [insert], wait: no } }
`,
  };
  const held = requirePolicy(new Map(Object.entries(files)));
  const waits = (kind: 'person' | 'workload') =>
    principalGrant(held, 'c', someone(['held'], { kind }), 'prod')?.rules.map(
      ({ approval }) => approval?.waits,
    );
  expect(waits('person')).toEqual([true, true, false]);
  expect(waits('workload')).toEqual([false, true, false]);
});
