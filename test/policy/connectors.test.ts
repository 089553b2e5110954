/** What the policy keeps apart, whatever a connector does. */
import { expect, test } from 'vitest';
import { CONNECTORS as REGISTRY } from '../../src/connectors/registry.ts';
import { policyConnectors } from '../../src/policy/connector.ts';
import { loadPolicy, requirePolicy } from '../../src/policy/load-policy.ts';
import { givesOn } from '../../src/policy/match.ts';
import type { PolicyTarget } from '../../src/policy/policy.ts';
import { grantedTargets, principalGrant } from '../../src/policy/principal-grant.ts';
import type { Principal } from '../../src/policy/types.ts';
import { TOY } from '../connectors/toy/toy-connector.ts';

const [POSTGRES] = REGISTRY.filter(({ kind }) => kind === 'postgres');
if (POSTGRES === undefined) throw new Error('there is no PostgreSQL');
const CONNECTORS = await policyConnectors([TOY, POSTGRES]);
const DATABASES = await policyConnectors([POSTGRES]);
const ANN: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  sub: 'ann',
  name: 'Ann',
  email: 'ann@example.org',
  groups: ['staff'],
  roles: [],
};

function files(rule: string): ReadonlyMap<string, string> {
  return new Map(
    Object.entries({
      'hoop.yaml':
        'version: 1\nidentityProviders: [{ issuer: "https://idp.example", clientId: hoop }]\n',
      'targets/toy.yaml': 'name: toy\nkind: toy\naddress: 127.0.0.1:1\n',
      'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\n',
      'policies/p.yaml': `name: p\nwho: { groups: [staff] }\ntargets: { names: ["*"] }\nrules:\n  - ${rule}\n`,
    }),
  );
}

test.each([
  ['allow: { lines: [GET], verbs: [select] }', 'verbs'],
  ['deny: { relations: ["public.*"], lines: [GET] }', 'relations'],
  ['approve: { lines: [GET], rows: 5 }', 'rows'],
])('what a rule says about statements beside lines would have no effect: %s', (rule, key) => {
  const { policy, problems } = loadPolicy(files(rule), CONNECTORS);
  expect(policy).toBeUndefined();
  expect(problems.map(({ message }) => message)).toEqual([
    `a rule about toy cannot name ${key}; use two rules`,
  ]);
});

test.each(['lines', 'verbs', 'relations'])(
  'no connector gives the key %s another meaning',
  (key) => {
    const [toy] = CONNECTORS;
    if (toy === undefined) throw new Error('there is no toy');
    if (toy.rules === 'statements') throw new Error('the toy has no rules');
    const rules = { ...toy.rules, ruleKeys: { [key]: toy.rules.ruleKeys['lines'] } };
    const second = { ...toy, kind: 'second', rules } as typeof toy;
    const all = [...CONNECTORS, second];
    expect(() => loadPolicy(files('allow: { lines: [GET] }'), all)).toThrow(TypeError);
  },
);

test('a target of a kind that nobody knows is not in force, and no database', () => {
  const rule = 'allow: { verbs: [select] }';
  expect(loadPolicy(files(rule), DATABASES).problems.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('expected "postgres"'),
  );
  const policy = requirePolicy(files(rule), CONNECTORS);
  const mystery: PolicyTarget = {
    ...(policy.targets.get('db') as PolicyTarget),
    name: 'mystery',
    kind: 'mystery',
    hasStatements: false,
  };
  const changed = { ...policy, targets: new Map([...policy.targets, ['mystery', mystery]]) };
  expect(principalGrant(changed, 'c', ANN, 'mystery')).toBeUndefined();
  expect(policy.documents.map((one) => givesOn(one, mystery))).toEqual([false]);
  expect(grantedTargets(changed, 'c', ANN).map(({ target }) => target.name)).toEqual(['db']);
});
