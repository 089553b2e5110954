import { expect, test } from 'vitest';
import { problemLine } from '../../src/policy/load-policy.ts';
import { MINIMAL } from './git-fixture.ts';
import { loadPolicy, requirePolicy } from './with-connectors.ts';

function problems(files: Readonly<Record<string, string>>): string[] {
  return loadPolicy(new Map(Object.entries({ ...MINIMAL, ...files }))).problems.map(problemLine);
}

/** A policy file around the part that a case is about, which begins in line 4. */
function policy(rest: string): Record<string, string> {
  return {
    'policies/p.yaml': `name: p\nwho: { groups: [staff] }\ntargets: { names: [db] }\n${rest}`,
  };
}

test('the smallest policy is a policy', () => {
  const { policy, problems } = loadPolicy(new Map(Object.entries(MINIMAL)));
  expect(problems).toEqual([]);
  expect(policy?.identityProviders).toEqual([
    {
      issuer: 'https://idp.example',
      clientId: 'hoop',
      scopes: ['openid', 'email', 'profile'],
      claims: { name: 'name', email: 'email', groups: 'groups' },
    },
  ]);
  expect(policy?.targets.get('db')).toMatchObject({ tls: { mode: 'prefer' }, recording: 'full' });
  expect(policy?.documents[0]?.rules[0]).toEqual({
    effect: 'allow',
    rule: { id: 'readers/rule-1', file: 'policies/readers.yaml', line: 5 },
    verbs: ['select'],
    relations: [],
    functions: [],
    qualified: undefined,
    hint: undefined,
  });
});

test('an approve rule has terms; approvers default to the role, and wait: no is what it says', () => {
  const { policy: loaded, problems } = loadPolicy(
    new Map(
      Object.entries({
        ...MINIMAL,
        'hoop.yaml': `${MINIMAL['hoop.yaml']}roles: { approver: { groups: [leads] } }\n`,
        ...policy(
          'rules:\n  - approve: { verbs: [delete] }\n  - approve: { verbs: [update], approvers: [dba], count: 2, timeout: 1h, wait: no, maxHold: 5s }\n',
        ),
      }),
    ),
  );
  expect(problems).toEqual([]);
  const rules = loaded?.documents.find(({ name }) => name === 'p')?.rules;
  expect(rules?.map(({ approval }) => approval)).toEqual([
    { groups: ['leads'], count: 1, timeoutSeconds: 900, waits: true, maxHoldSeconds: 30 },
    { groups: ['dba'], count: 2, timeoutSeconds: 3600, waits: false, maxHoldSeconds: 5 },
  ]);
});

test.each<[string, Record<string, string>, string]>([
  [
    'terms of approval on an allow rule',
    policy('rules:\n  - allow: { verbs: [select], count: 2 }\n'),
    'policies/p.yaml:5:31: unknown key "count"; expected one of verbs, relations, functions, mayShow, qualified, rows, ssh, users, commands, exact, paths, operations, destinations',
  ],
  [
    'an approval by nobody',
    policy('rules:\n  - approve: { verbs: [delete], count: 0 }\n'),
    'policies/p.yaml:5:40: rules[0].approve.count: too small: expected number to be >=1',
  ],
  [
    'an unknown key, with the keys that exist',
    policy('maks: []\n'),
    'policies/p.yaml:4:1: unknown key "maks"; expected one of name, description, who, targets, request, rules, masks, detectors, detect, limits, requireReason, inference, terminal, statements',
  ],
  [
    'a misspelt verb',
    policy('rules:\n  - deny: { verbs: [select, delte] }\n'),
    'policies/p.yaml:5:29: "delte" is not an SQL command in lower case',
  ],
  [
    'a verb in capitals',
    policy('rules:\n  - deny: { verbs: [DROP] }\n'),
    'policies/p.yaml:5:21: "DROP" is not an SQL command in lower case',
  ],
  [
    'a relation without a schema',
    policy('rules:\n  - allow: { verbs: [select], relations: [orders] }\n'),
    'policies/p.yaml:5:43: expected schema.relation, such as "public.*"',
  ],
  [
    'a rule with two effects',
    policy('rules:\n  - { allow: { verbs: [select] }, deny: { verbs: [drop] } }\n'),
    'policies/p.yaml:5:5: rules[0]: expected exactly one of allow, deny, approve',
  ],
  [
    'a rule that would allow everything by saying nothing',
    policy('rules:\n  - allow: { relations: ["public.*"] }\n'),
    'policies/p.yaml:5:12: expected verbs (["*"] for any) or functions, or ssh for servers',
  ],
  ...['metadata', 'off', 'ful'].map((mode): [string, Record<string, string>, string] => [
    `recording: ${mode}, since a session is recorded whole or not held at all`,
    { 'targets/other.yaml': `name: other\nkind: postgres\ndatabase: shop\nrecording: ${mode}\n` },
    'targets/other.yaml:4:12: recording: expected "full": every session is recorded completely',
  ]),
  [
    'two rules of one name',
    policy(
      'rules:\n  - { name: a, allow: { verbs: [select] } }\n  - { name: a, deny: { verbs: [drop] } }\n',
    ),
    'policies/p.yaml:6:5: rules[1]: the rule name "a" is already used in this file',
  ],
  [
    'a mask kind that does not exist',
    policy('masks:\n  - { column: public.t.c, mask: ful }\n'),
    'policies/p.yaml:5:33: masks[0].mask: expected "full" or "partial" or "hash" or "null"',
  ],
  [
    'a mask on a column without its schema',
    policy('masks:\n  - { column: t.c, mask: full }\n'),
    'policies/p.yaml:5:15: expected schema.relation.column without wildcards, such as public.customers.ssn',
  ],
  [
    'a mask with a wildcard',
    policy('masks:\n  - { column: public.t.*, mask: full }\n'),
    'policies/p.yaml:5:15: expected schema.relation.column without wildcards, such as public.customers.ssn; a name with a star is quoted: public."a*b".c',
  ],
  [
    'a limit that is no duration',
    policy('limits: { maxTime: 4 }\n'),
    'policies/p.yaml:4:20: limits.maxTime: expected a duration such as "30m" or "8h"',
  ],
  [
    'a session of a month',
    policy('limits: { maxTime: 30d }\n'),
    'policies/p.yaml:4:20: limits.maxTime: expected at most 7 days',
  ],
  [
    'an unknown detector',
    policy('detectors: [cards]\n'),
    'policies/p.yaml:4:12: detectors: expected "all" or a list of card, ssn, email, iban, jwt, cloud-key, vcs-token, private-key, url-password',
  ],
  [
    'a group that YAML reads as a number',
    { 'policies/p.yaml': 'name: p\nwho: { groups: [42] }\ntargets: { names: [db] }\n' },
    'policies/p.yaml:2:17: who.groups[0]: expected a string',
  ],
  [
    'nobody',
    { 'policies/p.yaml': 'name: p\nwho: {}\ntargets: { names: [db] }\n' },
    'policies/p.yaml:2:6: who: expected groups, users or everyone',
  ],
  [
    'names and labels at once',
    {
      'policies/p.yaml':
        'name: p\nwho: { everyone: true }\ntargets: { names: [db], labels: { a: b } }\n',
    },
    'policies/p.yaml:3:10: targets: expected either names or labels',
  ],
  [
    'a target that does not exist',
    { 'policies/p.yaml': 'name: p\nwho: { everyone: true }\ntargets: { names: [db, prod] }\n' },
    'policies/p.yaml:3:10: targets.names: there is no target "prod" in targets/',
  ],
  [
    'a policy name used twice',
    { 'policies/z.yaml': 'name: readers\nwho: { everyone: true }\ntargets: { names: [db] }\n' },
    'policies/z.yaml:1:7: the policy "readers" is already in policies/readers.yaml',
  ],
])('policy check reports %s at its place', (_name, files, expected) => {
  expect(problems(files)).toEqual([expected]);
});

test.each<[string, string, string]>([
  ['an alias', 'a: &x [1]\nb: *x\n', '2:4: aliases are not allowed; write the value out'],
  ['a merge key', '<<: { name: p }\n', '1:1: unknown key "<<"'],
  ['a key used twice', 'name: a\nname: b\n', '2:1: map keys must be unique'],
  ['a tag', 'name: !!binary abc\n', '1:16: tags are not allowed'],
  ['two documents', 'name: a\n---\nname: b\n', '2:1: expected one document'],
  ['an empty file', '', '1:1: expected keys and values'],
  ['endless nesting', `x: ${'['.repeat(100_000)}`, '1:1: nested more than 50 levels deep'],
  [
    'endless indentation',
    Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    'nested more',
  ],
  ['a huge file', `# ${'x'.repeat(300_000)}`, '1:1: the file is larger than 256 KiB'],
  ['broken YAML', 'name: [a\n', 'flow sequence'],
])('YAML with %s is refused', (_name, text, expected) => {
  const found = problems({ 'policies/p.yaml': text });
  expect(
    found.some((line) => line.includes(expected)),
    found.join('\n'),
  ).toBe(true);
});

test('an alias bomb is refused without being expanded', () => {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n';
  for (let level = 1; level < 30; level += 1) {
    text += `a${level}: &a${level} [${Array(9)
      .fill(`*a${level - 1}`)
      .join(', ')}]\n`;
  }
  expect(problems({ 'policies/p.yaml': text }).length).toBeGreaterThan(29);
});

test.each([
  ['policies/p.yml', 'not read from here'],
  ['policies/team/p.yaml', 'not read from here'],
  ['targets/x.json', 'not read from here'],
  ['agents/devin.yml', 'not read from here'],
  ['tests/a.yaml', 'policy tests are not supported yet'],
])('%s is refused rather than ignored', (path, expected) => {
  expect(problems({ [path]: 'name: x\n' })).toEqual([
    expect.stringContaining(`${path}:1:1: ${expected}`),
  ]);
});

test('documentation beside policies and files elsewhere are nobody’s business', () => {
  expect(
    problems({ 'policies/README.md': 'x', 'policies/.gitkeep': '', '.github/x.yaml': '{' }),
  ).toEqual([]);
});

test('without hoop.yaml nothing is in force', () => {
  const { policy, problems } = loadPolicy(
    new Map([['targets/db.yaml', MINIMAL['targets/db.yaml'] ?? '']]),
  );
  expect(policy).toBeUndefined();
  expect(problems.map(problemLine)).toEqual([
    'hoop.yaml:1:1: the file is missing; it must name the identity providers',
  ]);
});

test('all problems of all files come at once', () => {
  const found = problems({
    'hoop.yaml': 'version: 2\nidentityProviders: []\n',
    'targets/a.yaml': 'name: a\nkind: mysql\ndatabase: app\n',
    'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\naddress: nowhere\n',
    ...policy('rules: [{ allow: {} }]\n'),
  });
  expect(found).toEqual([
    'hoop.yaml:1:10: version: expected 1',
    'hoop.yaml:2:20: identityProviders: expected at least one identity provider',
    'policies/p.yaml:4:18: expected verbs (["*"] for any) or functions, or ssh for servers',
    'targets/a.yaml:2:7: kind: expected "postgres" or "ssh"',
    'targets/db.yaml:4:10: address: expected host:port',
  ]);
});

test('an issuer must be https, or http on the loopback interface', () => {
  const withIssuer = (issuer: string) =>
    problems({
      'hoop.yaml': `version: 1\nidentityProviders: [{ issuer: "${issuer}", clientId: c }]\n`,
    });
  expect(withIssuer('http://127.0.0.1:8080/')).toEqual([]);
  expect(withIssuer('https://idp.example/realms/x')).toEqual([]);
  for (const bad of [
    'http://idp.example',
    'https://a@idp.example',
    'https://idp.example?x',
    'idp',
  ]) {
    expect(withIssuer(bad), bad).toHaveLength(1);
  }
});

test('with two identity providers an e-mail address alone names nobody', () => {
  const found = problems({
    'hoop.yaml':
      'version: 1\nidentityProviders:\n  - { issuer: "https://a.example", clientId: c }\n  - { issuer: "https://b.example", clientId: c }\n',
    'policies/p.yaml':
      'name: p\nwho:\n  users:\n    - { email: x@example.org }\n    - { email: y@example.org, issuer: "https://b.example" }\n    - { sub: z, issuer: "https://c.example" }\ntargets: { names: ["*"] }\n',
  });
  expect(found).toEqual([
    'policies/p.yaml:3:3: who.users: with several identity providers an email needs its issuer',
    'policies/p.yaml:3:3: who: no identity provider in hoop.yaml has issuer "https://c.example"',
  ]);
});

test('statements: anything stands alone', () => {
  expect(problems(policy('statements: anything\n'))).toEqual([]);
  expect(
    problems(policy('statements: anything\nmasks: [{ column: a.b.c, mask: full }]\n')),
  ).toEqual([
    'policies/p.yaml:4:13: statements: anything cannot be combined with masks, detectors or limits of rows',
  ]);
  expect(
    problems(policy('statements: anything\nrules: [{ allow: { verbs: [select] } }]\n')),
  ).toEqual([
    'policies/p.yaml:4:13: statements: anything cannot be combined with rules in one file',
  ]);
  expect(
    problems({
      ...policy('statements: anything\n'),
      'policies/q.yaml':
        'name: q\nwho: { everyone: true }\ntargets: { names: ["*"] }\nrules: [{ deny: { verbs: [drop] } }]\n',
    }),
  ).toEqual([
    'policies/p.yaml:4:13: statements: anything has no effect, because policies/q.yaml has masks, denies, approvals or limits for the same people and targets',
  ]);
});

test('the error of a bad policy lists its problems and where to look', () => {
  expect(() => requirePolicy(new Map([['hoop.yaml', 'version: 2\n']]))).toThrow(
    expect.objectContaining({
      code: 'HOOP_POLICY_INVALID',
      message: 'the policy has 2 problems',
      detail: expect.stringContaining('hoop.yaml:1:10: version: expected 1'),
    }),
  );
});

test('a target can have several servers, and say how it is logged in to', () => {
  const { policy, problems } = loadPolicy(
    new Map(
      Object.entries({
        ...MINIMAL,
        'targets/many.yaml': `name: many
kind: postgres
database: shop
credential: app
address: ["a.internal:5432", "[::1]:5433"]
targetSessionAttrs: read-write
connectTimeout: 5s
requireAuth: [scram-sha-256]
tls: { mode: require, channelBinding: require, negotiation: direct }
`,
      }),
    ),
  );
  expect(problems).toEqual([]);
  expect(policy?.targets.get('many')).toMatchObject({
    addresses: [
      { host: 'a.internal', port: 5432 },
      { host: '::1', port: 5433 },
    ],
    sessionAttributes: 'read-write',
    connectTimeoutSeconds: 5,
    loginMethods: ['scram-sha-256'],
    tls: { mode: 'require', channelBinding: 'require', negotiation: 'direct' },
  });
  expect(policy?.targets.get('db')).toMatchObject({
    sessionAttributes: 'any',
    connectTimeoutSeconds: 10,
    loginMethods: ['scram-sha-256', 'md5', 'password', 'none'],
    tls: { channelBinding: 'prefer', negotiation: 'postgres' },
  });
});

test.each([
  [
    'verify-ca, for which any public CA would do',
    'tls: { mode: verify-ca }',
    'verify-ca needs your own CA',
  ],
  ['direct TLS that may be left out', 'tls: { mode: prefer, negotiation: direct }', 'direct needs'],
  [
    'channel binding without TLS',
    'tls: { mode: disable, channelBinding: require }',
    'require needs',
  ],
  ['a way to log in that does not exist', 'requireAuth: [gss]', 'requireAuth'],
  ['no way to log in', 'requireAuth: []', 'expected at least one way'],
  ['no address in the list', 'address: []', 'expected at least one address'],
  ['one wrong address in the list', 'address: ["a:1", "b"]', 'expected host:port'],
  ['a kind of server that does not exist', 'targetSessionAttrs: master', 'targetSessionAttrs'],
  ['a timeout of nothing', 'connectTimeout: 0s', 'expected 1s to 60s'],
  ['a timeout that is too long', 'connectTimeout: 61s', 'expected 1s to 60s'],
])('a target with %s is a problem', (_title, line, message) => {
  const text = `name: other\nkind: postgres\ndatabase: shop\ncredential: app\n${line}\n`;
  expect(problems({ 'targets/other.yaml': text }).join('\n')).toContain(message);
});

test('a client for device codes must not be the one for the browser', () => {
  const hoop = (device: string): string =>
    `version: 1\nidentityProviders:\n  - { issuer: "https://idp.example", clientId: hoop, device: ${device} }\n`;
  const problems = (device: string): string[] =>
    loadPolicy(new Map([['hoop.yaml', hoop(device)]])).problems.map(problemLine);
  expect(problems('{ clientId: hoop-device, groups: [engineering] }')).toEqual([]);
  expect(problems('{ clientId: hoop }')).toEqual([
    'hoop.yaml:3:5: identityProviders: "https://idp.example" needs a client for device that is not its clientId',
  ]);
  expect(problems('{}')).toEqual([
    'hoop.yaml:3:62: identityProviders[0].device.clientId: missing; expected a string',
  ]);
});
