import { describe, expect, test } from 'vitest';
import { Targets } from '../../../src/gateway/targets/targets.ts';
import type { PostgresPolicyTarget, SshPolicyTarget } from '../../../src/policy/policy.ts';
import { Secret } from '../../../src/secret.ts';

const target: PostgresPolicyTarget = {
  name: 'prod-db',
  kind: 'postgres',
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
};

const limits = { messageMiB: 3 };

test('addresses of the policy may be shown to clients', async () => {
  const targets = new Targets({ addresses: {}, limits }, credentials);
  expect(await targets.postgres(target, { groups: [] })).toMatchObject({
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
    (
      await new Targets({ addresses: { 'prod-db': addresses }, limits }, credentials).postgres(
        target,
        { groups: [] },
      )
    ).hosts;
  expect(await resolve(one)).toEqual([{ host: '10.0.0.1', port: 5432, shown: undefined }]);
  expect((await resolve(two)).map(({ shown }) => shown)).toEqual([
    'server 1 of 2',
    'server 2 of 2',
  ]);
});

test('a target without any address is the operator\u2019s business', async () => {
  const targets = new Targets({ addresses: { toString: [] }, limits }, credentials);
  await expect(
    targets.postgres({ ...target, addresses: [] }, { groups: [] }),
  ).rejects.toMatchObject({ code: 'HOOP_CONFIG', message: expect.stringContaining('no address') });
});

describe('a server', () => {
  const server: SshPolicyTarget = {
    name: 'web-1',
    kind: 'ssh',
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

  function withKeys(privateKey: () => Secret<string> | undefined): Targets {
    return new Targets(
      { addresses: {}, limits },
      {
        credential: async (name) => ({
          user: `${name}-user`,
          password: undefined,
          clientCertificate: undefined,
          privateKey: privateKey(),
        }),
      },
    );
  }

  test('has the logins on offer, by their own names where they have one', async () => {
    const ssh = await withKeys(() => new Secret('key')).ssh(server, offered);
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
    const ssh = await withKeys(() => new Secret(now)).ssh(server, offered);
    now = 'after';
    expect((await ssh.logins[0]?.credential())?.privateKey?.expose()).toBe('after');
  });

  test('without a login, or one without a secret, is the operator\u2019s business', async () => {
    await expect(withKeys(() => new Secret('key')).ssh(server, [])).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
      message: expect.stringContaining('no credential'),
    });
    await expect(withKeys(() => undefined).ssh(server, offered)).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
      message: expect.stringContaining('neither a privateKeyFile nor a password'),
    });
  });
});
