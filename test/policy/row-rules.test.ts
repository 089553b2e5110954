import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { policyWarnings } from '../../src/policy/policy-warnings.ts';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import type { Principal } from '../../src/policy/types.ts';
import { describeRules } from '../../src/policy/words/describe-grant.ts';
import { loadPolicy } from './with-connectors.ts';

const COMMON: readonly (readonly [string, string])[] = [
  [
    'hoop.yaml',
    'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\nroles: { approver: { groups: [leads] } }\n',
  ],
  ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
];

function load(...rules: readonly string[]) {
  const lines = rules.map((rule) => `  - ${rule}\n`).join('');
  const file = `name: p\nwho: { everyone: true }\ntargets: { names: [db] }\nrules:\n${lines}`;
  return loadPolicy(new Map([...COMMON, ['policies/p.yaml', file]]));
}

const problems = (...rules: string[]) => load(...rules).problems.map(problemLine);

function policyOf(...rules: readonly string[]): Policy {
  return load(...rules).policy ?? expect.fail(problems(...rules).join('\n'));
}

const ANN: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  sub: 'ann',
  name: 'ann',
  email: undefined,
  groups: [],
  roles: [],
};

const warnings = (...rules: string[]) => policyWarnings(policyOf(...rules)).map(problemLine);

test('a rule may name a number of rows, and says so in words', () => {
  const policy = policyOf(
    'allow: { verbs: [insert, update, delete, merge, copy], relations: [public.*], rows: 5000 }',
    'approve: { verbs: [delete], rows: 1, qualified: true }',
    'deny: { verbs: [delete], rows: 0 }',
  );
  const grant = principalGrant(policy, 'c'.repeat(40), ANN, 'db') ?? expect.fail('no grant');
  expect(grant.rules.map(({ rows }) => rows)).toEqual([5000, 1, 0]);
  expect(describeRules(grant)).toEqual([
    'p/rule-1: allow insert, update, delete, merge, copy of up to 5,000 rows on public.*',
    'p/rule-2: approve delete with WHERE of more than 1 row (by one person of the group leads)',
    'p/rule-3: deny delete of more than 0 rows',
  ]);
});

test('rows of what is not counted is a mistake', () => {
  const counted = 'rows is for insert, update, delete, merge, copy';
  expect(
    problems('allow: { verbs: [update], rows: -1 }', 'allow: { verbs: [update], rows: 1.5 }'),
  ).toEqual([
    expect.stringContaining('rules[0].allow.rows: expected 0 or more'),
    expect.stringContaining('rules[1].allow.rows: expected a whole number, such as 100'),
  ]);
  expect(
    problems(
      'allow: { verbs: [select, update], rows: 5 }',
      'deny: { verbs: ["*"], rows: 5 }',
      'deny: { verbs: [truncate], rows: 5 }',
      'deny: { functions: [public.f], rows: 5 }',
    ),
  ).toEqual([
    expect.stringContaining(`${counted}: the rows that SELECT changes are not counted`),
    expect.stringContaining(`${counted}: the rows that any command changes are not counted`),
    expect.stringContaining(`${counted}: the rows that TRUNCATE changes are not counted`),
    expect.stringContaining('a rule about functions cannot name relations, qualified or rows'),
  ]);
});

test('approval above a number below which nothing is allowed is warned of', () => {
  expect(warnings('approve: { verbs: [delete], relations: [public.*], rows: 10 }')).toEqual([
    expect.stringContaining(
      'rule p/rule-1 requires approval above 10 rows, but no rule allows delete up to there: it is always refused',
    ),
  ]);
  expect(
    warnings(
      'allow: { verbs: [delete], relations: [public.*], rows: 5 }',
      'approve: { verbs: [delete], relations: [public.*], rows: 10 }',
    ),
  ).toEqual([
    expect.stringContaining(
      'rule p/rule-2 requires approval above 10 rows, but the rule that allows delete stops earlier',
    ),
  ]);
});

test('numbers that fit together are not warned of', () => {
  expect(
    warnings(
      'allow: { verbs: [delete], relations: [public.orders], rows: 10 }',
      'approve: { verbs: [delete], relations: [public.*], rows: 10 }',
    ),
  ).toEqual([]);
  expect(
    warnings('allow: { verbs: [insert, update] }', 'approve: { verbs: [copy, update], rows: 10 }'),
  ).toEqual([]);
  expect(
    warnings('approve: { verbs: [delete] }', 'approve: { verbs: [delete], rows: 100, count: 2 }'),
  ).toEqual([]);
});
