import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { policyWarnings } from '../../src/policy/policy-warnings.ts';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import type { Principal } from '../../src/policy/types.ts';
import { maskedColumns } from '../../src/policy/words/describe-grant.ts';
import { loadPolicy } from './with-connectors.ts';

const COMMON: readonly (readonly [string, string])[] = [
  [
    'hoop.yaml',
    'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\n',
  ],
  ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
];

function policyFile(name: string, content: string): readonly [string, string] {
  const head = `name: ${name}\nwho: { everyone: true }\ntargets: { names: [db] }\n`;
  const rules = 'rules: [{ allow: { verbs: [select] } }]\n';
  return [`policies/${name}.yaml`, `${head}${rules}${content}`];
}

function agentFile(content: string): readonly [string, string] {
  const head = 'name: devin\ntargets: { names: [db] }\n';
  return ['agents/devin.yaml', `${head}rules: [{ allow: { verbs: [select] } }]\n${content}`];
}

function problems(...files: readonly (readonly [string, string])[]): string[] {
  return loadPolicy(new Map([...COMMON, ...files])).problems.map(problemLine);
}

function policyOf(...files: readonly (readonly [string, string])[]): Policy {
  const { policy } = loadPolicy(new Map([...COMMON, ...files]));
  return policy ?? expect.fail(problems(...files).join('\n'));
}

function grantOf(policy: Policy, agent?: string) {
  const person: Principal = {
    kind: 'person',
    issuer: 'https://idp.example',
    sub: 'ann',
    name: 'ann',
    email: undefined,
    groups: [],
    roles: [],
    ...(agent === undefined ? {} : { agent }),
  };
  return principalGrant(policy, 'c'.repeat(40), person, 'db') ?? expect.fail('no grant');
}

const lookups = (policy: Policy, agent?: string) =>
  grantOf(policy, agent).masks.map(({ lookup }) => lookup ?? false);

const EMAIL = 'column: public.customers.email, mask: partial';
const WITH = `masks: [{ ${EMAIL}, lookup: true }]\n`;
const WITHOUT = `masks: [{ ${EMAIL} }]\n`;

test('what is said of the mask has the number', () => {
  const policy = policyOf(policyFile('support', `${WITH}limits: { lookups: 20 }\n`));
  expect(maskedColumns(grantOf(policy))).toEqual([
    {
      column: 'public.customers.email',
      mask: 'partial',
      inference: 'deny',
      lookup: true,
      lookupsPerDay: 20,
    },
  ]);
});

test('a mask permits lookups where it says so, 100 a day unless a limit says otherwise', () => {
  const alone = policyOf(policyFile('support', WITH));
  expect(lookups(alone)).toEqual([true]);
  expect(grantOf(alone).limits.lookups).toBe(100);
  const limited = policyOf(policyFile('support', `${WITH}limits: { lookups: 20 }\n`));
  expect(grantOf(limited).limits.lookups).toBe(20);
});

test('several files: each that masks the column must permit it, and the smallest limit holds', () => {
  const both = policyOf(
    policyFile('support', `${WITH}limits: { lookups: 50 }\n`),
    policyFile('billing', `${WITH}limits: { lookups: 30 }\n`),
  );
  expect(lookups(both)).toEqual([true]);
  expect(grantOf(both).limits.lookups).toBe(30);
  expect(lookups(policyOf(policyFile('support', WITH), policyFile('base', WITHOUT)))).toEqual([
    false,
  ]);
});

test('a file that allows every comparison permits this one, and does not lift the other file', () => {
  const open = policyFile('open', `${WITHOUT}inference: allow\n`);
  const policy = policyOf(open, policyFile('support', WITH));
  expect(grantOf(policy).masks).toMatchObject([{ inference: 'deny', lookup: true }]);
  expect(lookups(policyOf(open, policyFile('base', WITHOUT)))).toEqual([false]);
});

test('an agent looks up where its own file permits it, too, and no more often', () => {
  const support = policyFile('support', WITH);
  expect(lookups(policyOf(support, agentFile('')), 'devin')).toEqual([false]);
  expect(lookups(policyOf(support, agentFile(WITHOUT)), 'devin')).toEqual([false]);
  const both = policyOf(support, agentFile(`${WITH}limits: { lookups: 5 }\n`));
  expect(lookups(both, 'devin')).toEqual([true]);
  expect(grantOf(both, 'devin').limits.lookups).toBe(5);
  expect(grantOf(both).limits.lookups).toBe(100);
  // The file of the agent permits nothing to the person behind it.
  expect(lookups(policyOf(policyFile('support', WITHOUT), agentFile(WITH)), 'devin')).toEqual([
    false,
  ]);
});

test('the schema takes true and nothing else, and a whole number as the limit', () => {
  expect(problems(policyFile('p', `masks: [{ ${EMAIL}, lookup: yes }]\n`))).toEqual([
    'policies/p.yaml:5:66: masks[0].lookup: expected true, or no "lookup"',
  ]);
  expect(problems(policyFile('p', `${WITH}limits: { lookups: 1.5 }\n`))).toHaveLength(1);
  expect(grantOf(policyOf(policyFile('p', `${WITH}limits: { lookups: 0 }\n`))).limits.lookups).toBe(
    0,
  );
});

test('`policy check` warns of a lookup that nothing is needed for', () => {
  const warnings = policyWarnings(policyOf(policyFile('support', `${WITH}inference: allow\n`)));
  expect(warnings.map(problemLine)).toEqual([
    'policies/support.yaml:5:1: inference: allow lets people filter by public.customers.email, and whoever can filter can guess the values within seconds; use inference: deny, with lookup: true for columns that people look rows up by',
    'policies/support.yaml:5:1: lookup: true on public.customers.email has no effect, because inference: allow applies to it: any comparison is allowed, and none is counted; use inference: deny, or omit lookup',
  ]);
  expect(policyWarnings(policyOf(policyFile('support', WITH)))).toEqual([]);
});
