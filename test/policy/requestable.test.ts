import { expect, test } from 'vitest';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import { describeDocument, requestable } from '../../src/policy/requestable.ts';
import type { Principal, TemporaryGrant } from '../../src/policy/types.ts';
import { loadPolicy, requirePolicy } from './with-connectors.ts';

const FILES = {
  'hoop.yaml': `version: 1
identityProviders: [{ issuer: "https://idp.example", clientId: hoop }]
roles: { approver: { groups: [leads] } }
`,
  'targets/prod.yaml': 'name: prod\nkind: postgres\ndatabase: app\n',
  'targets/test.yaml': 'name: test\nkind: postgres\ndatabase: app\n',
  'policies/staff.yaml': `name: staff
who: { groups: [staff] }
targets: { names: [prod] }
masks: [{ column: public.customers.email, mask: partial }]
rules: [{ name: read, allow: { verbs: [select], relations: ["public.*"] } }]
`,
  'policies/fix.yaml': `name: fix
who: { groups: [staff] }
targets: { names: [prod] }
request: { maxDuration: 2h }
rules:
  - { name: repair, allow: { verbs: [update, delete, select], relations: [public.orders] } }
`,
  'policies/all.yaml': `name: all
who: { groups: [staff, oncall] }
targets: { names: ["*"] }
request: { maxDuration: 30m, approvers: [dba], count: 2, timeout: 1h }
statements: anything
`,
};
type Files = Readonly<Record<string, string>>;

function load(files: Files) {
  return requirePolicy(new Map(Object.entries(files)));
}

function problems(files: Files): string[] {
  return loadPolicy(new Map(Object.entries(files))).problems.map(
    ({ file, line, message }) => `${file}:${line}: ${message}`,
  );
}

/** `all` is void for staff on prod, which the check reports: without it the files are good. */
const { 'policies/all.yaml': ALL, ...GOOD } = FILES;
const ON_TEST = ALL.replace('"*"', 'test');
const policy = load({ ...GOOD, 'policies/all.yaml': ON_TEST });

function someone(...groups: string[]): Principal {
  return {
    kind: 'person',
    issuer: 'https://idp.example',
    sub: 'x',
    name: 'x',
    email: undefined,
    groups,
    roles: [],
  };
}

function given(name: string, from = policy, id = 'g1', expiresMs = 1000): TemporaryGrant {
  const document = from.documents.find((one) => one.name === name);
  return { id, policy: name, definition: document?.definition ?? '', expiresMs };
}

test('A requestable policy gives nothing to those whom it names until it has been granted', () => {
  const before = principalGrant(policy, 'c1', someone('staff'), 'prod');
  expect(before?.rules.map(({ rule }) => rule.id)).toEqual(['staff/read']);
  expect(principalGrant(policy, 'c1', someone('oncall'), 'test')).toBeUndefined();
});

test('A temporary grant adds its rules, which name it, and keeps the masks of other policies', () => {
  const grant = principalGrant(policy, 'c1', someone('staff'), 'prod', [given('fix')]);
  expect(grant?.rules.map(({ rule }) => [rule.id, rule.grant])).toEqual([
    ['staff/read', undefined],
    ['fix/repair', 'g1'],
  ]);
  expect(grant?.masks).toHaveLength(1);
  expect(grant?.temporary).toEqual([given('fix')]);
});

test('The generation, which is in the key of every cached verdict, changes with each temporary grant', () => {
  const generations = [[], [given('fix')], [given('fix', policy, 'g2')]].map(
    (temporary) => principalGrant(policy, 'c1', someone('staff'), 'prod', temporary)?.generation,
  );
  expect(new Set(generations).size).toBe(3);
});

test.each([
  ['the policy is no longer there', undefined],
  ['it can no longer be requested', 'request: { maxDuration: 2h }\n'],
  ['it no longer names the person', 'groups: [staff]'],
  ['it no longer covers the target', 'names: [prod]'],
  ['it now gives more than was approved', 'public.orders'],
])('A temporary grant is void when %s', (_why, remove) => {
  const changes: Readonly<Record<string, string>> = {
    'request: { maxDuration: 2h }\n': '',
    'groups: [staff]': 'groups: [others]',
    'names: [prod]': 'names: [test]',
    'public.orders': '"public.*"',
  };
  const text = FILES['policies/fix.yaml'];
  const { 'policies/fix.yaml': _, ...without } = GOOD;
  const changed =
    remove === undefined
      ? load(without)
      : load({ ...GOOD, 'policies/fix.yaml': text.replace(remove, changes[remove] ?? '') });
  const grant = principalGrant(changed, 'c2', someone('staff'), 'prod', [given('fix')]);
  expect(grant?.temporary).toEqual([]);
  expect(grant?.rules.some(({ rule }) => rule.grant !== undefined)).toBe(false);
});

test('A temporary grant outlives a commit that only moves its lines or changes who may approve', () => {
  const text = `# a comment\n${FILES['policies/fix.yaml'].replace('2h', '2h, approvers: [dba]')}`;
  const changed = load({ ...GOOD, 'policies/fix.yaml': text });
  const grant = principalGrant(changed, 'c2', someone('staff'), 'prod', [given('fix')]);
  expect(grant?.temporary).toEqual([given('fix')]);
});

test('A granted `statements: anything` is void beside a mask and counts where nothing else applies', () => {
  const free = load({ ...GOOD, 'policies/all.yaml': ON_TEST });
  const alone = principalGrant(free, 'c1', someone('staff'), 'test', [given('all', free)]);
  expect(alone?.passthrough).toBe(true);
  const masked = load({
    ...GOOD,
    'policies/all.yaml': ON_TEST,
    'policies/more.yaml': `name: more
who: { groups: [masked] }
targets: { names: [test] }
masks: [{ column: public.t.c, mask: full }]
`,
  });
  const both = principalGrant(masked, 'c1', someone('staff', 'masked'), 'test', [
    given('all', masked),
  ]);
  expect(both?.passthrough ?? false).toBe(false);
});

test('What one may ask for is listed with its terms; approvers default to the approver role', () => {
  const found = requestable(policy, someone('staff'));
  expect(found.map(({ target, document, terms }) => [target, document.name, terms])).toEqual([
    [
      'prod',
      'fix',
      { maxDurationSeconds: 7200, approvers: ['leads'], count: 1, timeoutSeconds: 86_400 },
    ],
    [
      'test',
      'all',
      { maxDurationSeconds: 1800, approvers: ['dba'], count: 2, timeoutSeconds: 3600 },
    ],
  ]);
  expect(found.map(({ document }) => describeDocument(document))).toEqual([
    ['allow update, delete, select on public.orders'],
    ['anything, unguarded'],
  ]);
  expect(requestable(policy, someone('strangers'))).toEqual([]);
});

test('The check names requests without approvers, without anything to give, and beyond 7 days', () => {
  const fix = FILES['policies/fix.yaml'];
  const roleless = FILES['hoop.yaml'].replace(/roles: .*\n/, '');
  expect(problems({ ...GOOD, 'hoop.yaml': roleless })).toEqual([
    'policies/fix.yaml:4: request: expected approvers, or a group in roles.approver of hoop.yaml',
  ]);
  expect(problems({ ...GOOD, 'policies/fix.yaml': fix.replace('allow:', 'deny:') })).toEqual([
    'policies/fix.yaml:4: request: the policy has no rule that allows anything, so it has no effect',
  ]);
  expect(problems({ ...GOOD, 'policies/fix.yaml': fix.replace('2h', '8d') })[0]).toMatch(
    'policies/fix.yaml:4: request.maxDuration: expected at most 7 days',
  );
});

test('The check names a requestable `statements: anything` that standing masks make void for certain', () => {
  expect(problems(FILES)).toEqual([
    'policies/all.yaml:5: statements: anything has no effect, because policies/staff.yaml has masks, denies, approvals or limits for the same people and targets',
  ]);
});

test('what counts only while an agent acts says so, to who asks and to who approves', () => {
  const { 'policies/all.yaml': _, ...others } = FILES;
  const of = (agents: string) => {
    const fix = FILES['policies/fix.yaml'].replace('[staff]', `[staff], agents: ${agents}`);
    const policy = load({
      ...others,
      'policies/fix.yaml': fix,
      'agents/devin.yaml':
        'name: devin\ntargets: { names: [prod] }\nrules: [{ allow: { verbs: [select] } }]\n',
      'agents/codex.yaml':
        'name: codex\ntargets: { names: [prod] }\nrules: [{ allow: { verbs: [select] } }]\n',
    });
    return policy.documents.filter(({ name }) => name === 'fix').flatMap(describeDocument);
  };
  const rule = 'allow update, delete, select on public.orders';
  expect(of('[devin, codex]')).toEqual([`${rule} (only through devin or codex)`]);
  expect(of('["*"]')).toEqual([`${rule} (only through an agent)`]);
});
