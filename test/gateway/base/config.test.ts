import { expect, test } from 'vitest';
import { parseGatewayConfig, parseHostAndPort } from '../../../src/gateway/base/config.ts';

const MINIMAL = `version: 1
name: gw
listen: 127.0.0.1:0
tls: { cert: gw.pem, key: gw.key }
dataDir: data
policy:
  repository: policy.git
  allowedSigners: signers
`;

function parse(text: string) {
  return parseGatewayConfig(text, '/etc/hoop/gateway.yaml');
}

test('a minimal configuration gets defaults, and paths relative to its file', () => {
  expect(parse(MINIMAL)).toEqual({
    name: 'gw',
    listen: { host: '127.0.0.1', port: 0 },
    publicUrl: undefined,
    sessionUrl: undefined,
    tls: { certFile: '/etc/hoop/gw.pem', keyFile: '/etc/hoop/gw.key' },
    dataDir: '/etc/hoop/data',
    keysDir: '/etc/hoop/data/keys',
    policy: {
      repository: '/etc/hoop/policy.git',
      branch: 'main',
      allowedSignersFile: '/etc/hoop/signers',
      clientRepository: undefined,
      pollSeconds: 5,
    },
    addresses: {},
    credentials: {},
    store: { postgres: undefined, endSessionsAfterSeconds: 60 },
    recording: { uploadWithinSeconds: 86_400, minFreePercent: 10 },
    events: { days: 90, events: 1_000_000 },
    limits: { messageMiB: 64 },
  });
});

test('the longest message that is collected is a whole number of MiB up to what PostgreSQL sends', () => {
  expect(parse(`${MINIMAL}limits: { messageMiB: 1024 }\n`).limits).toEqual({ messageMiB: 1024 });
  for (const value of ['0', '1025', '1.5', '"64"']) {
    expect(() => parse(`${MINIMAL}limits: { messageMiB: ${value} }\n`)).toThrow(
      '"limits.messageMiB"',
    );
  }
});

test('addresses and credentials are read', () => {
  const config = parse(`${MINIMAL}
publicUrl: https://gw.example.com/
addresses: { prod-db: "[::1]:5432", shop: ["10.0.0.1:5432", "10.0.0.2:5433"] }
credentials:
  app: { user: app, password: { env: APP_PW } }
  ro: { user: ro, password: { file: ro.pw } }
  tls: { user: tls, clientCertificate: { cert: tls.pem, key: keys/tls.key } }
  web: { user: deploy, privateKeyFile: keys/web.key }
`);
  expect(config.publicUrl).toBe('https://gw.example.com');
  expect(config.addresses).toEqual({
    'prod-db': [{ host: '::1', port: 5432 }],
    shop: [
      { host: '10.0.0.1', port: 5432 },
      { host: '10.0.0.2', port: 5433 },
    ],
  });
  expect(config.credentials).toEqual({
    app: {
      user: 'app',
      password: { from: 'env', name: 'APP_PW' },
      clientCertificate: undefined,
      privateKeyFile: undefined,
    },
    ro: {
      user: 'ro',
      password: { from: 'file', path: '/etc/hoop/ro.pw' },
      clientCertificate: undefined,
      privateKeyFile: undefined,
    },
    tls: {
      user: 'tls',
      password: undefined,
      clientCertificate: { certFile: '/etc/hoop/tls.pem', keyFile: '/etc/hoop/keys/tls.key' },
      privateKeyFile: undefined,
    },
    web: {
      user: 'deploy',
      password: undefined,
      clientCertificate: undefined,
      privateKeyFile: '/etc/hoop/keys/web.key',
    },
  });
});

test.each([
  ['https://git.example.com/policy.git'],
  ['ssh://git@git.example.com/policy.git'],
  ['git@git.example.com:policy.git'],
])('the repository %s is no path', (repository) => {
  const text = MINIMAL.replace('policy.git', repository);
  expect(parse(text).policy.repository).toBe(repository);
});

test.each([
  ['an unknown key', MINIMAL.replace('dataDir:', 'datadir:'), '/etc/hoop/gateway.yaml:5:1: '],
  [
    'a wrong address',
    MINIMAL.replace('127.0.0.1:0', 'localhost'),
    '/etc/hoop/gateway.yaml:3:9: "listen": expected host:port or [ipv6]:port',
  ],
  [
    'a password in the file',
    `${MINIMAL}credentials:\n  app: { user: app, password: hunter2 }\n`,
    '/etc/hoop/gateway.yaml:10:31: "credentials.app.password": ',
  ],
  ['broken YAML', `${MINIMAL}\nx: [`, '/etc/hoop/gateway.yaml:'],
  ['a key that is there twice', `${MINIMAL}name: other\n`, '/etc/hoop/gateway.yaml:9:1: '],
  ['an option in place of a repository', MINIMAL.replace('policy.git', '--upload-pack=x'), ':7:15'],
  ['an alias', `${MINIMAL}addresses: &a {}\ncredentials: *a\n`, 'aliases'],
])('%s is refused with its place', (_what, text, place) => {
  expect(() => parse(text)).toThrow(place);
});

test('no error shows the password that stood in the wrong place', () => {
  const text = `${MINIMAL}credentials:\n  app: { user: app, password: hunter2 }\n`;
  const failure = (): unknown => {
    try {
      return parse(text);
    } catch (error) {
      return error;
    }
  };
  expect(String(failure())).not.toContain('hunter2');
});

test('several problems are named together', () => {
  const text = MINIMAL.replace('version: 1', 'version: 2').replace('name: gw', 'name: "a b"');
  expect(() => parse(text)).toThrow('gateway.yaml:1:10');
  try {
    parse(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'HOOP_CONFIG' });
    expect(error).toHaveProperty('detail', expect.stringContaining('gateway.yaml:2:7'));
  }
});

test.each([
  ['127.0.0.1:5432', { host: '127.0.0.1', port: 5432 }],
  ['db.example.com:1', { host: 'db.example.com', port: 1 }],
  ['[fe80::1]:0', { host: 'fe80::1', port: 0 }],
  ['::1:5432', undefined],
  ['host', undefined],
  ['host:', undefined],
  ['host:70000', undefined],
  ['ho st:1', undefined],
  ['host/x:1', undefined],
])('%s as an address', (text, expected) => {
  expect(parseHostAndPort(text)).toEqual(expected);
});
