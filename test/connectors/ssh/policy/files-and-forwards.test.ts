import { expect, test } from 'vitest';
import { deniedAddress } from '../../../../src/connectors/ssh/policy/decide-forward.ts';
import { normalHost } from '../../../../src/connectors/ssh/policy/destinations.ts';
import {
  type SftpOperation,
  type SshAct,
  sshRules,
} from '../../../../src/connectors/ssh/policy/types.ts';
import { decide, grantOf, outcome } from './ssh-fixture.ts';

const FILES = grantOf(
  'allow: { ssh: sftp, paths: ["/srv/app/**"] }',
  'allow: { ssh: sftp, paths: ["/var/log/*.log", "/var/log/*/*.log"], operations: [read, list, stat] }',
  'approve: { ssh: sftp, paths: ["/srv/app/config/**"], operations: [write, remove, rename] }',
  'deny: { ssh: sftp, paths: ["/srv/app/secret/**"] }',
);

test.each<[SftpOperation, string, string]>([
  ['read', '/srv/app/a', 'allow'],
  ['write', '/srv/app/a/b/c', 'allow'],
  ['list', '/srv/app', 'allow'],
  ['stat', '/srv/app/.env', 'allow'],
  ['read', '/srv/apple', 'HOOP_NOT_ALLOWED'],
  ['read', '/srv', 'HOOP_NOT_ALLOWED'],
  ['list', '/srv', 'HOOP_NOT_ALLOWED'],
  // A client looks at each folder on the way before it enters it.
  ['stat', '/srv', 'allow'],
  ['stat', '/', 'allow'],
  ['stat', '/etc', 'HOOP_NOT_ALLOWED'],
  ['read', '/var/log/a.log', 'allow'],
  ['read', '/var/log/nginx/a.log', 'allow'],
  ['read', '/var/log/nginx/old/a.log', 'HOOP_NOT_ALLOWED'],
  ['read', '/var/log/a.log.gz', 'HOOP_NOT_ALLOWED'],
  ['write', '/var/log/a.log', 'HOOP_NOT_ALLOWED'],
  ['write', '/srv/app/config/a.yaml', 'held'],
  ['read', '/srv/app/config/a.yaml', 'allow'],
  ['read', '/srv/app/secret', 'HOOP_DENIED'],
  ['read', '/srv/app/secret/key', 'HOOP_DENIED'],
  ['read', '/srv/app/SECRET/key', 'HOOP_DENIED'],
  // Paths that the target has not resolved.
  ['read', '/srv/app/../../etc/shadow', 'HOOP_NOT_ALLOWED'],
  ['read', '/srv/app/./a', 'HOOP_NOT_ALLOWED'],
  ['read', '/srv//app/a', 'HOOP_NOT_ALLOWED'],
  ['read', '/srv/app/a/', 'HOOP_NOT_ALLOWED'],
  ['read', 'srv/app/a', 'HOOP_NOT_ALLOWED'],
  ['read', '', 'HOOP_NOT_ALLOWED'],
  ['read', '/srv/app/a\0b', 'HOOP_NOT_ALLOWED'],
])('%s of %s: %s', (operation, path, expected) => {
  expect(outcome(decide(FILES, { kind: 'file', operation, path }))).toBe(expected);
});

test.each<[SftpOperation, string, string, string]>([
  ['rename', '/srv/app/a', '/srv/app/b', 'allow'],
  ['rename', '/srv/app/a', '/etc/cron.d/a', 'HOOP_NOT_ALLOWED'],
  ['rename', '/etc/shadow', '/srv/app/a', 'HOOP_NOT_ALLOWED'],
  ['rename', '/srv/app/a', '/srv/app/config/a', 'held'],
  ['rename', '/srv/app/secret/a', '/srv/app/a', 'HOOP_DENIED'],
  // Under another name no rule would speak of what is in it.
  ['rename', '/srv/app', '/srv/app/b', 'HOOP_DENIED'],
  ['symlink', '/srv/app/a', '/srv/app/b', 'allow'],
  ['symlink', '/srv/app/a', '/etc/shadow', 'HOOP_NOT_ALLOWED'],
])('%s of %s to %s: %s', (operation, path, to, expected) => {
  expect(outcome(decide(FILES, { kind: 'file', operation, path, to }))).toBe(expected);
});

test('sftp opens where any of it is allowed, and is asked about once where it is held as a whole', () => {
  expect(outcome(decide(FILES, { kind: 'sftp' }))).toBe('allow');
  const held = grantOf('approve: { ssh: sftp }');
  expect(outcome(decide(held, { kind: 'sftp' }))).toBe('held');
  expect(outcome(decide(held, { kind: 'file', operation: 'read', path: '/a' }))).toBe('allow');
  const closed = grantOf('allow: { ssh: [sftp, exec] }', 'deny: { ssh: sftp }');
  expect(outcome(decide(closed, { kind: 'sftp' }))).toBe('HOOP_DENIED');
});

const FORWARDS = grantOf(
  'allow: { ssh: forward, destinations: ["127.0.0.1:8080", "db.internal:5432", "10.0.0.7:*", "[fd00::1]:80"] }',
  'approve: { ssh: forward, destinations: ["admin.internal:443"] }',
  'deny: { ssh: forward, destinations: ["10.0.0.7:22"] }',
);

test.each<[string, number, string]>([
  ['127.0.0.1', 8080, 'allow'],
  ['localhost', 8080, 'allow'],
  ['LOCALHOST.', 8080, 'allow'],
  ['::1', 8080, 'allow'],
  ['0x7f.1', 8080, 'allow'],
  ['2130706433', 8080, 'allow'],
  ['::ffff:127.0.0.1', 8080, 'allow'],
  ['127.0.0.1', 8081, 'HOOP_NOT_ALLOWED'],
  ['127.0.0.2', 8080, 'HOOP_NOT_ALLOWED'],
  ['0.0.0.0', 8080, 'HOOP_NOT_ALLOWED'],
  ['db.internal', 5432, 'allow'],
  ['DB.Internal', 5432, 'allow'],
  ['db.internal.', 5432, 'allow'],
  ['db.internal', 5433, 'HOOP_NOT_ALLOWED'],
  ['db.internal.evil.example', 5432, 'HOOP_NOT_ALLOWED'],
  ['xdb.internal', 5432, 'HOOP_NOT_ALLOWED'],
  ['db', 5432, 'HOOP_NOT_ALLOWED'],
  ['10.0.0.7', 443, 'allow'],
  ['10.7', 443, 'allow'],
  ['10.0.0.7', 22, 'HOOP_DENIED'],
  ['012.0.0.7', 22, 'HOOP_DENIED'],
  ['::ffff:a00:7', 22, 'HOOP_DENIED'],
  ['fd00:0:0::1', 80, 'allow'],
  ['admin.internal', 443, 'held'],
  ['', 80, 'HOOP_NOT_ALLOWED'],
  ['a b', 80, 'HOOP_NOT_ALLOWED'],
  ['db.internal\n', 5432, 'HOOP_NOT_ALLOWED'],
  ['db%2einternal', 5432, 'HOOP_NOT_ALLOWED'],
  ['db。internal', 5432, 'HOOP_NOT_ALLOWED'],
  ['1.2.3.4.5', 80, 'HOOP_NOT_ALLOWED'],
  ['fe80::1%eth0', 80, 'HOOP_NOT_ALLOWED'],
])('a forward to %s port %d: %s', (host, port, expected) => {
  expect(outcome(decide(FORWARDS, { kind: 'forward', host, port }))).toBe(expected);
});

test('a deny of the loopback address is meant for every name of it', () => {
  const grant = grantOf(
    'allow: { ssh: forward }',
    'deny: { ssh: forward, destinations: ["127.0.0.1:*"] }',
  );
  for (const host of [
    'localhost',
    '127.1',
    '127.0.0.53',
    '0.0.0.0',
    '0',
    '::',
    '::1',
    'a.localhost',
  ]) {
    expect(outcome(decide(grant, { kind: 'forward', host, port: 22 })), host).toBe('HOOP_DENIED');
  }
  expect(outcome(decide(grant, { kind: 'forward', host: 'db', port: 22 }))).toBe('allow');
});

test('a deny of an address holds for the name that leads there', () => {
  const grant = grantOf(
    'allow: { ssh: forward }',
    'deny: { ssh: forward, destinations: ["169.254.169.254:*"], users: [deploy] }',
  );
  const address = { host: '169.254.169.254', port: 80 };
  expect(deniedAddress(grant, 'deploy', address)).toMatchObject({ code: 'HOOP_DENIED' });
  expect(deniedAddress(grant, 'root', address)).toBeUndefined();
  expect(deniedAddress(grant, 'deploy', { host: '10.0.0.1', port: 80 })).toBeUndefined();
});

test('an approval of an address holds for the name that leads there', () => {
  const grant = grantOf(
    'allow: { ssh: forward, destinations: ["*:*"] }',
    'approve: { ssh: forward, destinations: ["10.0.0.7:22", "localhost:22"], approvers: [leads] }',
  );
  const at = (host: string, port: number) => deniedAddress(grant, 'deploy', { host, port });
  expect(at('10.0.0.7', 22)).toMatchObject({ code: 'HOOP_APPROVAL_UNAVAILABLE' });
  expect(at('127.0.0.1', 22)).toMatchObject({ code: 'HOOP_APPROVAL_UNAVAILABLE' });
  expect(at('10.0.0.7', 80)).toBeUndefined();
});

test('any host is any but the server itself and what its network tells it alone', () => {
  const grant = grantOf('allow: { ssh: forward, destinations: ["*:80"] }');
  const to = (host: string) => outcome(decide(grant, { kind: 'forward', host, port: 80 }));
  expect(to('db.internal')).toBe('allow');
  expect(to('10.0.0.1')).toBe('allow');
  for (const host of [
    'localhost',
    '127.0.0.9',
    '::1',
    '0',
    '169.254.169.254',
    'fe80::1',
    '224.0.0.1',
    'ff02::1',
  ]) {
    expect(to(host), host).toBe('HOOP_NOT_ALLOWED');
  }
  const deny = grantOf('allow: { ssh: forward }', 'deny: { ssh: forward, destinations: ["*:22"] }');
  expect(outcome(decide(deny, { kind: 'forward', host: '127.0.0.1', port: 22 }))).toBe(
    'HOOP_DENIED',
  );
  expect(outcome(decide(deny, { kind: 'forward', host: '127.0.0.1', port: 23 }))).toBe('allow');
});

test('hosts have one normal form', () => {
  expect(normalHost('0x7f000001')).toBe('127.0.0.1');
  expect(normalHost('017700000001')).toBe('127.0.0.1');
  expect(normalHost('2001:DB8::0:1')).toBe('2001:db8::1');
  expect(normalHost('::ffff:10.0.0.1')).toBe('10.0.0.1');
});

test.each([
  'fd00:ec2::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '100.80.80.80',
  '0xa9fea9fe',
  '169.254.43518',
  '::ffff:a9fe:a9fe',
  '::169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::7f00:1',
  '2002:a9fe:a9fe::1',
])('any host is not %s, until a rule names it', (host) => {
  const any = 'allow: { ssh: forward, destinations: ["*:*"] }';
  const named = `allow: { ssh: forward, destinations: ["${host.includes(':') ? `[${host}]` : host}:80"] }`;
  expect(outcome(decide(grantOf(any), { kind: 'forward', host, port: 80 }))).toBe(
    'HOOP_NOT_ALLOWED',
  );
  expect(outcome(decide(grantOf(any, named), { kind: 'forward', host, port: 80 }))).toBe('allow');
});

test('any host is not the server itself, and a deny of loopback speaks of it too', () => {
  const itself = { kind: 'forward', host: '10.0.0.1', port: 80, isServer: true } as const;
  const any = 'allow: { ssh: forward, destinations: ["*:80"] }';
  const verdict = decide(grantOf(any), itself);
  expect(outcome(verdict)).toBe('HOOP_NOT_ALLOWED');
  expect(JSON.stringify(verdict)).toContain('a rule must name it');
  const named = 'allow: { ssh: forward, destinations: ["10.0.0.1:80"] }';
  expect(outcome(decide(grantOf(any, named), itself))).toBe('allow');
  const denied = 'deny: { ssh: forward, destinations: ["127.0.0.1:*"] }';
  expect(outcome(decide(grantOf(named, denied), itself))).toBe('HOOP_DENIED');
});

test('a deny of an address speaks of IPv6 that stands for it', () => {
  const grant = grantOf(
    'allow: { ssh: forward }',
    'deny: { ssh: forward, destinations: ["169.254.169.254:*"] }',
  );
  const to = (host: string) => outcome(decide(grant, { kind: 'forward', host, port: 80 }));
  expect(to('64:ff9b::a9fe:a9fe')).toBe('HOOP_DENIED');
  expect(to('64:ff9b::a00:5')).toBe('allow');
});

test('a rule that asks for approval and names no terms of one allows nothing', () => {
  const asking = grantOf(
    'approve: { ssh: [shell, sftp, exec], approvers: [leads] }',
    'approve: { ssh: sftp, paths: ["/srv/**"], approvers: [leads] }',
    'approve: { ssh: forward, destinations: ["db:5432"], approvers: [leads] }',
  );
  const rules = sshRules(asking).map(({ approval: _, ...rule }) => rule);
  const acts: readonly SshAct[] = [
    { kind: 'shell' },
    { kind: 'sftp' },
    { kind: 'exec', command: 'ls' },
    { kind: 'file', operation: 'read', path: '/srv/a' },
    { kind: 'forward', host: 'db', port: 5432 },
  ];
  for (const act of acts) {
    expect(outcome(decide(asking, act)), act.kind).toBe('held');
    const verdict = decide({ ...asking, own: { rules } }, act);
    expect(outcome(verdict), act.kind).toBe('HOOP_APPROVAL_UNAVAILABLE');
  }
});
