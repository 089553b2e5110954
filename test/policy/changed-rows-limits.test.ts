import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import type { Grant, Principal } from '../../src/policy/types.ts';
import { loadPolicy } from './with-connectors.ts';

type File = readonly [path: string, content: string];

const TARGET: File = ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'];
const RULES = 'rules: [{ allow: { verbs: [select, update] } }]\n';

const hoopFile = (content = ''): File => [
  'hoop.yaml',
  `version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\n${content}`,
];
const policyFile = (name: string, content: string): File => [
  `policies/${name}.yaml`,
  `name: ${name}\nwho: { everyone: true }\ntargets: { names: [db] }\n${content}`,
];
const agentFile = (content: string): File => [
  'agents/devin.yaml',
  `name: devin\ntargets: { names: [db] }\n${content}`,
];

const load = (...files: readonly File[]) =>
  loadPolicy(new Map([hoopFile(), TARGET, ...files].map(([path, content]) => [path, content])));

function grantOf(files: readonly File[], agent?: string): Grant {
  const { policy, problems } = load(...files);
  if (policy === undefined) expect.fail(problems.map(problemLine).join('\n'));
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

const limits = (perTransaction: number, perDay: number): string =>
  `limits: { changedRowsPerTransaction: ${perTransaction}, changedRowsPerDay: ${perDay} }\n`;

test('there are none unless a policy says so', () => {
  const { limits: none } = grantOf([policyFile('a', RULES)]);
  expect(none).toMatchObject({
    changedRowsPerTransaction: undefined,
    changedRowsPerDay: undefined,
  });
});

test('of several files the smallest holds, each limit by itself, and 0 is a limit', () => {
  const files = [
    policyFile('a', `${RULES}${limits(5, 50)}`),
    policyFile('b', limits(7, 0) + RULES),
  ];
  expect(grantOf(files).limits).toMatchObject({
    changedRowsPerTransaction: 5,
    changedRowsPerDay: 0,
  });
});

test('those of hoop.yaml hold where no policy says more', () => {
  const defaults = hoopFile(`defaults: { ${limits(9, 90).trim()} }\n`);
  expect(grantOf([defaults, policyFile('a', RULES)]).limits).toMatchObject({
    changedRowsPerTransaction: 9,
    changedRowsPerDay: 90,
  });
});

test('of an agent and its person the smaller one holds', () => {
  const person = policyFile('a', `${RULES}limits: { changedRowsPerDay: 50 }\n`);
  const agent = agentFile(`${RULES}${limits(3, 70)}`);
  expect(grantOf([person, agent], 'devin').limits).toMatchObject({
    changedRowsPerTransaction: 3,
    changedRowsPerDay: 50,
  });
  expect(grantOf([person, agent]).limits.changedRowsPerTransaction).toBeUndefined();
});

test.each(['changedRowsPerTransaction', 'changedRowsPerDay'])(
  'with %s nobody has statements: anything',
  (key) => {
    const limit = `limits: { ${key}: 10 }\n`;
    const anything = 'statements: anything\n';
    expect(load(policyFile('a', anything + limit)).problems.map(problemLine)).toEqual([
      expect.stringContaining(
        'statements: anything cannot be combined with masks, detectors or limits of rows',
      ),
    ]);
    const defaults = hoopFile(`defaults: { ${limit.trim()} }\n`);
    const beside = policyFile('b', RULES);
    expect(grantOf([defaults, policyFile('a', anything), beside]).passthrough).toBe(false);
    expect(grantOf([policyFile('a', anything), agentFile(anything)], 'devin').passthrough).toBe(
      true,
    );
    const guarded = agentFile(RULES + limit);
    expect(grantOf([policyFile('a', anything), guarded], 'devin').passthrough).toBe(false);
  },
);

test('is a whole number from 0', () => {
  for (const value of ['-1', '1.5', 'many']) {
    const file = policyFile('a', `${RULES}limits: { changedRowsPerDay: ${value} }\n`);
    expect(load(file).problems).toHaveLength(1);
  }
});
