import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import { policyWarnings } from '../../src/policy/policy-warnings.ts';
import { loadPolicy } from './with-connectors.ts';

function load(...rules: readonly string[]) {
  return loadPolicy(
    new Map([
      [
        'hoop.yaml',
        'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\nroles: { approver: { groups: [leads] } }\n',
      ],
      ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
      [
        'policies/dba.yaml',
        `name: dba\nwho: { everyone: true }\ntargets: { names: [db] }\nrules:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`,
      ],
    ]),
  );
}

test('policy check warns of each rule that lets people change logins', () => {
  const { policy, problems } = load(
    'allow: { verbs: [select, alter own login] }',
    'approve: { verbs: [alter own login] }',
    'deny: { verbs: [alter own login] }',
    'allow: { verbs: ["*", alter] }',
  );
  expect(problems.map(problemLine)).toEqual([]);
  const risk =
    'whoever may change a login can reach the database without hoop, unmasked and unrecorded, or lock hoop out';
  expect(policy && policyWarnings(policy).map(problemLine)).toEqual([
    `policies/dba.yaml:5:1: rule dba/rule-1 allows "alter own login": ${risk}`,
    `policies/dba.yaml:6:1: rule dba/rule-2 holds for approval "alter own login": ${risk}`,
  ]);
});

test('part of the verb is no verb', () => {
  expect(load('allow: { verbs: [alter own] }').problems.map(problemLine).join('\n')).toMatch(
    /alter own/,
  );
});
