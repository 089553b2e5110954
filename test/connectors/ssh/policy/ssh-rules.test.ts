import { expect, test } from 'vitest';
import { hostKey } from '../../../../src/connectors/ssh/policy/connector.ts';
import { loginsOnOffer } from '../../../../src/connectors/ssh/policy/logins.ts';
import { isServer } from '../../../../src/connectors/ssh/policy/types.ts';
import { problemLine } from '../../../../src/policy/load-policy.ts';
import { policyWarnings } from '../../../../src/policy/policy-warnings.ts';
import { principalGrant } from '../../../../src/policy/principal-grant.ts';
import { describeDocument, requestable } from '../../../../src/policy/requestable.ts';
import { describeAgentRules, describeRules } from '../../../../src/policy/words/describe-grant.ts';
import {
  decide,
  grantOf,
  HOST_KEY,
  outcome,
  policyFile,
  policyOf,
  principal,
  problemsOf,
} from './ssh-fixture.ts';

test('a server is a target with pinned host keys and the users that one can log in as', () => {
  expect(policyOf({}).targets.get('web-1')).toEqual({
    name: 'web-1',
    kind: 'ssh',
    hasStatements: false,
    description: undefined,
    addresses: [],
    connectTimeoutSeconds: 10,
    credential: undefined,
    credentials: [],
    labels: {},
    recording: 'full',
    hostKeys: [HOST_KEY],
    logins: [
      { user: 'deploy', credential: 'web-deploy', groups: [] },
      { user: 'root', credential: 'web-root', groups: ['sre'] },
    ],
    file: 'targets/web-1.yaml',
    line: 1,
  });
});

test('the port of a server is 22 unless it is said', () => {
  const text = `name: a\nkind: ssh\nhostKeys: ["${HOST_KEY} root@a"]\naddress: [a.internal, "b:2222", "[::1]:22"]\n`;
  expect(policyOf({ 'targets/a.yaml': text }).targets.get('a')).toMatchObject({
    addresses: [
      { host: 'a.internal', port: 22 },
      { host: 'b', port: 2222 },
      { host: '::1', port: 22 },
    ],
    hostKeys: [HOST_KEY],
  });
});

const START = 'name: a\nkind: ssh\n';
const KEYS = `hostKeys: ["${HOST_KEY}"]\n`;

test.each<[string, string, string]>([
  ['no host keys', START, '1:1: hostKeys: expected the public host keys of the server'],
  ['an empty list of them', `${START}hostKeys: []\n`, '3:11: hostKeys: expected at least one'],
  [
    'a line of known_hosts',
    `${START}hostKeys: ["a ${HOST_KEY}"]\n`,
    '3:12: hostKeys[0]: expected an OpenSSH public key',
  ],
  [
    'a key that was cut off',
    `${START}hostKeys: ["${HOST_KEY.slice(0, -4)}"]\n`,
    '3:12: hostKeys[0]: expected an OpenSSH public key',
  ],
  [
    'a certificate authority',
    `${START}hostKeys: ["@cert-authority * ${HOST_KEY}"]\n`,
    '3:12: hostKeys[0]: expected an OpenSSH public key',
  ],
  [
    'what only databases have',
    `${START}${KEYS}database: app\n`,
    '4:1: unknown key "database"; expected one of name, description',
  ],
  [
    'both kinds of logins',
    `${START}${KEYS}credential: a\nlogins: [{ user: a, credential: a }]\n`,
    '5:9: logins: expected either logins, or credential',
  ],
  [
    'one user twice',
    `${START}${KEYS}logins: [{ user: a, credential: a }, { user: a, credential: b }]\n`,
    '4:38: logins[1]: the user "a" is already in the list',
  ],
  [
    'a user with a line end',
    `${START}${KEYS}logins: [{ user: "a\\nb", credential: a }]\n`,
    '4:18: logins[0].user: expected the name of a user',
  ],
])('a server with %s is a problem at its place', (_name, text, expected) => {
  const [only, second] = problemsOf({ 'targets/a.yaml': text });
  expect(second).toBeUndefined();
  expect(only).toContain(`targets/a.yaml:${expected}`);
});

test('host keys are of kinds that sshd has by itself', () => {
  const rsa = Buffer.concat([
    Buffer.from([0, 0, 0, 7]),
    Buffer.from('ssh-dss'),
    Buffer.from([0, 0, 0, 1, 5]),
  ]);
  expect(hostKey(`ssh-dss ${rsa.toString('base64')}`)).toBeUndefined();
  expect(hostKey(HOST_KEY.replace('ssh-ed25519', 'ssh-rsa'))).toBeUndefined();
});

test.each<[string, string, string]>([
  [
    'SQL and servers in one rule',
    'allow: { ssh: exec, verbs: [select] }',
    '5:32: a rule about ssh cannot name verbs; use two rules',
  ],
  [
    'conditions of servers without ssh',
    'allow: { commands: ["ls **"] }',
    '5:24: commands: needs ssh as well, such as ssh: exec',
  ],
  [
    'an act that does not exist',
    'allow: { ssh: [exec, x11] }',
    '5:19: rules[0].allow.ssh: expected shell, exec, sftp, forward, or a list of them',
  ],
  [
    'commands of sftp',
    'allow: { ssh: sftp, commands: ["ls **"] }',
    '5:35: commands: this is about ssh: exec',
  ],
  [
    'paths of forwards',
    'allow: { ssh: forward, paths: ["/srv"] }',
    '5:35: paths: this is about ssh: sftp or exec',
  ],
  [
    'destinations of a shell',
    'allow: { ssh: shell, destinations: ["a:1"] }',
    '5:40: destinations: this is about ssh: forward',
  ],
  [
    'allowing what nobody can read',
    'allow: { ssh: exec, commands: unknown }',
    '5:35: commands: unknown can be approved or denied; leave commands out to allow any',
  ],
  [
    'exact without commands',
    'allow: { ssh: exec, exact: true }',
    '5:32: exact: needs a list of commands as well',
  ],
  [
    'paths that would seem to limit commands',
    'allow: { ssh: [exec, sftp], paths: ["/srv/**"] }',
    '5:40: paths: with exec, expected a list of commands beside it',
  ],
  [
    'a relative path',
    'allow: { ssh: sftp, paths: ["srv/**"] }',
    '5:33: expected an absolute path such as "/srv/app/**"',
  ],
  [
    'a path that goes up',
    'allow: { ssh: sftp, paths: ["/srv/../etc"] }',
    '5:33: expected an absolute path',
  ],
  [
    'two stars within a name',
    'allow: { ssh: sftp, paths: ["/srv/a**"] }',
    '5:33: expected an absolute path',
  ],
  [
    'a destination without port',
    'allow: { ssh: forward, destinations: [db] }',
    '5:43: expected host:port',
  ],
  [
    'a shell in a pattern',
    'allow: { ssh: exec, commands: ["ls; rm"] }',
    '5:36: ";" stands for itself only in quotes',
  ],
  [
    'two stars in the middle',
    'allow: { ssh: exec, commands: ["git ** push"] }',
    '5:36: "**" stands for the remaining words, so it must be at the end',
  ],
  [
    'a program with a star',
    'allow: { ssh: exec, commands: ["git* push"] }',
    '5:36: write the program out',
  ],
  ['an open quote', `allow: { ssh: exec, commands: ["grep 'a"] }`, '5:36: a quote is not closed'],
])('policy check reports %s at its place', (_name, rule, expected) => {
  const [only, second] = problemsOf(policyFile(rule));
  expect(second).toBeUndefined();
  expect(only).toContain(`policies/p.yaml:${expected}`);
});

test('who opens a shell or sftp needs a rule, and a deny beats it', () => {
  expect(outcome(decide(grantOf('allow: { ssh: shell }'), { kind: 'shell' }))).toBe('allow');
  expect(outcome(decide(grantOf('allow: { ssh: exec }'), { kind: 'shell' }))).toBe(
    'HOOP_NOT_ALLOWED',
  );
  const both = grantOf('allow: { ssh: [shell, sftp] }', 'deny: { ssh: shell }');
  expect(outcome(decide(both, { kind: 'shell' }))).toBe('HOOP_DENIED');
  expect(outcome(decide(both, { kind: 'sftp' }))).toBe('allow');
  expect(outcome(decide(grantOf('approve: { ssh: shell }'), { kind: 'shell' }))).toBe('held');
});

test('a rule with users is about these alone', () => {
  const grant = grantOf(
    'allow: { ssh: shell, users: [deploy] }',
    'deny: { ssh: shell, users: [root] }',
  );
  expect(outcome(decide(grant, { kind: 'shell' }, 'deploy'))).toBe('allow');
  expect(outcome(decide(grant, { kind: 'shell' }, 'root'))).toBe('HOOP_DENIED');
  expect(outcome(decide(grant, { kind: 'shell' }, 'ann'))).toBe('HOOP_NOT_ALLOWED');
});

test('a refusal names the rule, and what would be allowed of the same kind', () => {
  const grant = grantOf(
    'allow: { ssh: sftp, paths: ["/srv/app/**"], operations: [read, list] }',
    'allow: { ssh: exec, commands: ["ls **"] }',
  );
  const verdict = decide(grant, { kind: 'file', operation: 'read', path: '/etc/shadow' });
  expect(verdict).toMatchObject({
    effect: 'refuse',
    touches: ['/etc/shadow'],
    refusal: {
      message: 'read by sftp is not allowed by policy for this path',
      detail: 'No rule of policy c0ffee allows it.',
      hint: 'Allowed here: sftp (read, list) of /srv/app/**.',
    },
  });
  expect(decide(grant, { kind: 'shell' })).toMatchObject({
    refusal: { hint: 'Allowed here: sftp (read, list) of /srv/app/**; exec of ls **.' },
  });
});

test('rules about servers give nothing on databases, nor the other way round', () => {
  const policy = policyOf({
    'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\n',
    'policies/a.yaml':
      'name: a\nwho: { groups: [staff] }\ntargets: { names: ["*"] }\nrules:\n  - allow: { verbs: [select] }\n',
    'policies/b.yaml':
      'name: b\nwho: { groups: [sre] }\ntargets: { names: ["*"] }\nrules:\n  - allow: { ssh: shell }\n',
    'policies/c.yaml':
      'name: c\nwho: { groups: [admins] }\ntargets: { names: ["*"] }\nstatements: anything\n',
  });
  const grant = (group: string, target: string) =>
    principalGrant(policy, 'c0ffee', principal({ groups: [group] }), target);
  expect(grant('staff', 'web-1')).toBeUndefined();
  expect(grant('sre', 'db')).toBeUndefined();
  expect(grant('admins', 'web-1')).toBeUndefined();
  expect(grant('staff', 'db')?.own).toBeUndefined();
  expect(grant('sre', 'web-1')).toMatchObject({
    rules: [],
    passthrough: false,
    own: { rules: [{ acts: ['shell'] }] },
  });
});

test('policy check warns of rules that give nothing, of unknown users and of shells beside denies', () => {
  const warned = (files: Readonly<Record<string, string>>) =>
    policyWarnings(policyOf(files)).map(problemLine);
  expect(warned(policyFile('allow: { verbs: [select] }'))).toEqual([
    'policies/p.yaml:5:1: rule p/rule-1 is about SQL, but all of the targets are servers: it has no effect',
  ]);
  expect(warned(policyFile('allow: { ssh: shell, users: [deplyo] }'))).toEqual([
    'policies/p.yaml:5:1: rule p/rule-1 names the user "deplyo", which no target lists in logins',
  ]);
  expect(
    warned(policyFile('allow: { ssh: [shell, exec] }', 'deny: { ssh: exec, commands: ["rm **"] }')),
  ).toEqual([
    'policies/p.yaml:5:1: rule p/rule-1 allows a shell, in which any command can be run: this gets around p/rule-2; remove the shell, or require approval for it',
  ]);
  const database = {
    'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\n',
    'policies/d.yaml':
      'name: d\nwho: { groups: [staff] }\ntargets: { names: [db] }\nrules:\n  - allow: { ssh: shell }\n',
  };
  expect(warned(database)).toEqual([
    'policies/d.yaml:5:1: rule d/rule-1 is about servers, but none of the targets is one: it has no effect',
  ]);
  expect(
    warned(policyFile('allow: { ssh: exec, users: [deploy] }', 'deny: { ssh: shell }')),
  ).toEqual([]);
});

test('logins on offer are those of the groups, less users that no rule speaks for', () => {
  const offered = (groups: readonly string[], rule: string) => {
    const policy = policyOf(policyFile(rule));
    const someone = principal({ groups: ['staff', ...groups] });
    const grant = principalGrant(policy, 'c0ffee', someone, 'web-1');
    const target = policy.targets.get('web-1');
    return grant && target && isServer(target)
      ? loginsOnOffer(target, someone, grant).map(({ user }) => user)
      : undefined;
  };
  expect(offered([], 'allow: { ssh: shell }')).toEqual(['deploy']);
  expect(offered(['sre'], 'allow: { ssh: shell }')).toEqual(['deploy', 'root']);
  expect(offered(['sre'], 'allow: { ssh: shell, users: [root] }')).toEqual(['root']);
  expect(offered([], 'allow: { ssh: shell, users: [root] }')).toEqual([]);
});

test('with an agent both sides must allow it, and the refusal says which does not', () => {
  const policy = policyOf({
    ...policyFile(
      'allow: { ssh: [shell, sftp] }',
      'approve: { ssh: forward, destinations: ["db:5432"] }',
    ),
    'agents/devin.yaml':
      'name: devin\ntargets: { names: ["*"] }\nrules:\n  - allow: { ssh: [sftp, forward] }\n  - deny: { ssh: sftp, paths: ["/srv/secret/**"] }\n',
  });
  const grant = principalGrant(policy, 'c0ffee', principal({ agent: 'devin' }), 'web-1');
  if (grant === undefined) {
    throw new Error('nothing is granted');
  }
  expect(outcome(decide(grant, { kind: 'sftp' }))).toBe('allow');
  expect(outcome(decide(grant, { kind: 'forward', host: 'db', port: 5432 }))).toBe('held');
  expect(outcome(decide(grant, { kind: 'file', operation: 'read', path: '/srv/secret/a' }))).toBe(
    'HOOP_DENIED',
  );
  expect(decide(grant, { kind: 'shell' })).toMatchObject({
    refusal: {
      code: 'HOOP_NOT_ALLOWED',
      detail:
        'Requested by devin for ann@example.org. No rule of agent devin (agents/devin.yaml, policy c0ffee) allows it.',
      hint: 'Allowed for agent devin: sftp and forward to anywhere. ann@example.org may do it without the agent, if appropriate.',
    },
  });
  expect(describeRules(grant)).toEqual([
    'p/rule-1: allow shell and sftp',
    'p/rule-2: approve forward to db:5432 (by one person of the group leads)',
  ]);
  expect(describeAgentRules(grant)).toEqual([
    'agents/devin/rule-1: allow sftp and forward to anywhere',
    'agents/devin/rule-2: deny sftp of /srv/secret/**',
  ]);
});

test('a policy on request adds its rules for the time it is given, and is offered where it gives something', () => {
  const policy = policyOf({
    'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\n',
    ...policyFile('allow: { ssh: sftp }'),
    'policies/fix.yaml':
      'name: fix\nwho: { groups: [staff] }\ntargets: { names: ["*"] }\nrequest: { maxDuration: 1h }\nrules:\n  - { name: root, allow: { ssh: [shell, exec] } }\n',
  });
  const [offer, second] = requestable(policy, principal());
  expect(second).toBeUndefined();
  expect(offer?.target).toBe('web-1');
  const document = policy.documents.find(({ name }) => name === 'fix');
  expect(document && describeDocument(document)).toEqual(['allow shell and exec']);
  const without = principalGrant(policy, 'c0ffee', principal(), 'web-1');
  expect(without).toMatchObject({ requestable: ['fix'] });
  const given = { id: 'g1', policy: 'fix', definition: document?.definition ?? '', expiresMs: 1 };
  const grant = principalGrant(policy, 'c0ffee', principal(), 'web-1', [given]);
  expect(grant && decide(grant, { kind: 'shell' })).toMatchObject({
    effect: 'allow',
    rules: [{ id: 'fix/root', grant: 'g1' }],
  });
});
