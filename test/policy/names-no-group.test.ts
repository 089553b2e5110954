import { expect, test } from 'vitest';
import { namesNoGroup } from '../../src/policy/names-no-group.ts';
import { requirePolicy } from './with-connectors.ts';

const hoop = (roles: string) => `version: 1
identityProviders: [{ issuer: "https://idp.example", clientId: hoop }]
${roles}
`;
const policy = (who: string, roles = '', more = '') =>
  requirePolicy(
    new Map([
      ['hoop.yaml', hoop(roles)],
      [
        'targets/db.yaml',
        'name: db\nkind: postgres\naddress: "db.internal:5432"\ndatabase: shop\ncredential: db\n',
      ],
      [
        'policies/one.yaml',
        `name: one
who: ${who}
targets: { names: [db] }
rules:
  - { name: read, allow: { verbs: [select], relations: [public.*] } }
${more}`,
      ],
    ]),
  );

test('groups that no policy names are a typo, to the letter and with the path', () => {
  const one = policy('{ groups: [engineering] }');
  expect(namesNoGroup(one, ['/engineering', 'Engineering'])).toBe(true);
  expect(namesNoGroup(one, ['/engineering', 'engineering'])).toBe(false);
});

test('a group that only gives a role is named', () => {
  const one = policy('{ groups: [engineering] }', 'roles: { auditor: { groups: [audit] } }');
  expect(namesNoGroup(one, ['audit'])).toBe(false);
});

test('a group that only approves what one rule or one request asks for is named', () => {
  const approve = 'approve: { verbs: [delete], relations: [public.*], approvers: [dba] }';
  const one = policy('{ groups: [engineering] }', '', `  - { name: change, ${approve} }\n`);
  expect(namesNoGroup(one, ['dba'])).toBe(false);
  expect(namesNoGroup(one, ['dbas'])).toBe(true);
  const request = 'request: { maxDuration: 1h, approvers: [lead] }\n';
  const other = policy('{ groups: [engineering] }', '', request);
  expect(namesNoGroup(other, ['lead'])).toBe(false);
});

test('nobody is warned who has no groups, or under a policy of people', () => {
  expect(namesNoGroup(policy('{ groups: [engineering] }'), [])).toBe(false);
  expect(namesNoGroup(policy('{ everyone: true }'), ['staff'])).toBe(false);
});
