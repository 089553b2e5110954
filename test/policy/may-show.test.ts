import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import { policyWarnings } from '../../src/policy/policy-warnings.ts';
import { loadPolicy } from './with-connectors.ts';

function load(rule: string) {
  return loadPolicy(
    new Map([
      [
        'hoop.yaml',
        'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\n',
      ],
      ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
      [
        'policies/cards.yaml',
        `name: cards\nwho: { everyone: true }\ntargets: { names: [db] }\nrules:\n  - ${rule}\n`,
      ],
    ]),
  );
}

test('policy check warns of each rule whose functions may return masked data', () => {
  const { policy, problems } = load('allow: { functions: [app.lookup_card], mayShow: masked }');
  expect(problems.map(problemLine)).toEqual([]);
  expect(policy && policyWarnings(policy).map(problemLine)).toEqual([
    'policies/cards.yaml:5:1: rule cards/rule-1: app.lookup_card may return masked data in clear (mayShow: masked)',
  ]);
});

test.each([
  ['allow: { functions: ["app.*"], mayShow: masked }', /write function names out, without "\*"/],
  ['allow: { functions: ["*.lookup"], mayShow: masked }', /write function names out, without "\*"/],
  ['allow: { verbs: [select], mayShow: masked }', /needs functions as well/],
  ['deny: { functions: [app.lookup_card], mayShow: masked }', /shows nothing/],
  ['allow: { functions: [app.lookup_card], mayShow: everything }', /expected masked/],
  ['allow: { ssh: shell, mayShow: masked }', /./],
])('%s is a mistake', (rule, message) => {
  expect(load(rule).problems.map(problemLine).join('\n')).toMatch(message);
});
