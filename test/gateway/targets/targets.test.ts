import { describe, expect, test } from 'vitest';
import { resolvePostgresTarget } from '../../../src/connectors/postgres/gateway/target/resolve-target.ts';
import type { PostgresPolicyTarget } from '../../../src/connectors/postgres/policy/target.ts';
import { resolveSshTarget } from '../../../src/connectors/ssh/gateway/resolve-target.ts';
import type { SshPolicyTarget } from '../../../src/connectors/ssh/policy/types.ts';
import type { GatewayConfig } from '../../../src/gateway/base/config.ts';
import type { TargetServices } from '../../../src/gateway/connector.ts';
import { Targets } from '../../../src/gateway/targets/targets.ts';
import { Secret } from '../../../src/secret.ts';

const target: PostgresPolicyTarget = {
  name: 'prod-db',
  kind: 'postgres',
  hasStatements: true,
  description: undefined,
  addresses: [
    { host: 'a.example', port: 5432 },
    { host: 'b.example', port: 5433 },
  ],
  sessionAttributes: 'primary',
  connectTimeoutSeconds: 3,
  database: 'shop',
  credential: 'app',
  credentials: [],
  tls: { mode: 'require', ca: undefined, negotiation: 'postgres', channelBinding: 'prefer' },
  loginMethods: ['scram-sha-256'],
  labels: {},
  recording: 'full',
  file: 'targets/prod-db.yaml',
  line: 1,
};

const credentials = {
  credential: async () => ({
    user: 'app',
    password: undefined,
    clientCertificate: undefined,
    privateKey: undefined,
  }),
  userOf: () => 'app',
};

function services(addresses: GatewayConfig['addresses']): TargetServices {
  return { targets: new Targets({ addresses }), credentials, maxMessageBytes: 3 * 1024 * 1024 };
}

test('addresses of the policy may be shown to clients', async () => {
  expect(await resolvePostgresTarget(services({}), target, { groups: [] })).toMatchObject({
    hosts: [
      { host: 'a.example', port: 5432, shown: 'a.example:5432' },
      { host: 'b.example', port: 5433, shown: 'b.example:5433' },
    ],
    sessionAttributes: 'primary',
    methods: ['scram-sha-256'],
    connectTimeoutMs: 3000,
    maxMessageBytes: 3 * 1024 * 1024,
  });
});

test('addresses of the configuration win, and are not shown', async () => {
  const one = [{ host: '10.0.0.1', port: 5432 }];
  const two = [...one, { host: '10.0.0.2', port: 5432 }];
  const resolve = async (addresses: typeof two) =>
    (await resolvePostgresTarget(services({ 'prod-db': addresses }), target, { groups: [] })).hosts;
  expect(await resolve(one)).toEqual([{ host: '10.0.0.1', port: 5432, shown: undefined }]);
  expect((await resolve(two)).map(({ shown }) => shown)).toEqual([
    'server 1 of 2',
    'server 2 of 2',
  ]);
});

test('a target without any address is the operator\u2019s business', async () => {
  const nowhere = services({ toString: [] });
  await expect(
    resolvePostgresTarget(nowhere, { ...target, addresses: [] }, { groups: [] }),
  ).rejects.toMatchObject({ code: 'HOOP_CONFIG', message: expect.stringContaining('no address') });
});

describe('a server', () => {
  const server: SshPolicyTarget = {
    name: 'web-1',
    kind: 'ssh',
    hasStatements: false,
    description: undefined,
    addresses: [{ host: 'web.example', port: 22 }],
    connectTimeoutSeconds: 3,
    credential: undefined,
    credentials: [],
    hostKeys: ['ssh-ed25519 AAAA'],
    logins: [],
    labels: {},
    recording: 'full',
    file: 'targets/web-1.yaml',
    line: 1,
  };
  const offered = [
    { user: undefined, credential: 'web' },
    { user: 'root', credential: 'web-root' },
  ];

  function withKeys(privateKey: () => Secret<string> | undefined): TargetServices {
    return {
      ...services({}),
      credentials: {
        credential: async (name) => ({
          user: `${name}-user`,
          password: undefined,
          clientCertificate: undefined,
          privateKey: privateKey(),
        }),
        userOf: (name) => `${name}-user`,
      },
    };
  }

  test('has the logins on offer, by their own names where they have one', async () => {
    const ssh = await resolveSshTarget(
      withKeys(() => new Secret('key')),
      server,
      offered,
    );
    expect(ssh).toMatchObject({
      kind: 'ssh',
      hosts: [{ host: 'web.example', port: 22, shown: 'web.example:22' }],
      hostKeys: ['ssh-ed25519 AAAA'],
      connectTimeoutMs: 3000,
    });
    expect(ssh.logins.map(({ user }) => user)).toEqual(['web-user', 'root']);
  });

  test('gets a credential that was changed since without a new session', async () => {
    let now = 'before';
    const ssh = await resolveSshTarget(
      withKeys(() => new Secret(now)),
      server,
      offered,
    );
    now = 'after';
    expect((await ssh.logins[0]?.credential())?.privateKey?.expose()).toBe('after');
  });

  test('without a login, or one without a secret, is the operator\u2019s business', async () => {
    await expect(
      resolveSshTarget(
        withKeys(() => new Secret('key')),
        server,
        [],
      ),
    ).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
      message: expect.stringContaining('no credential'),
    });
    await expect(
      resolveSshTarget(
        withKeys(() => undefined),
        server,
        offered,
      ),
    ).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
      message: expect.stringContaining('neither a privateKeyFile nor a password'),
    });
  });
});
