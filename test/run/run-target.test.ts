import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { FileTokenStore } from '../../src/auth/file-token-store.ts';
import type { OpenGateway } from '../../src/auth/open-gateway.ts';
import { exportDpopKey, generateDpopKey } from '../../src/client/dpop-key.ts';
import { GatewayClient } from '../../src/client/gateway-client.ts';
import { postgresClient } from '../../src/connectors/postgres/client/connector.ts';
import { RunTarget } from '../../src/run/run-target.ts';

test('a session that cannot be opened is an error of PostgreSQL to the client, and said once', async () => {
  const state = mkdtempSync(join(tmpdir(), 'hoop-target-'));
  const notes: string[] = [];
  const key = generateDpopKey();
  const credential = { accessToken: 'none', key };
  // Nobody listens there.
  const gateway = 'https://127.0.0.1:9';
  const tokens = { current: async () => credential, renewed: async () => credential };
  const client = new GatewayClient({ baseUrl: gateway, tokens });
  const open: OpenGateway = {
    client,
    home: { config: state, state, runtime: join(state, 'run') },
    config: {},
    gateway,
    pin: {
      gateway: 'test',
      rootKey: '',
      keyringVersion: 1,
      allowedSigners: '',
      policyBranch: 'main',
      pinnedAt: new Date(0).toISOString(),
    },
    tokens: {
      store: new FileTokenStore(state),
      record: { accessToken: '', expiresAtMs: 0, refreshToken: '', key: exportDpopKey(key) },
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
  const offer = postgresClient.open({ directory: state, env: {}, self: [] });
  const target = await RunTarget.listen({
    open,
    outer: open,
    target: { name: 'prod-db', database: 'shop' },
    offer,
    reason: undefined,
    version: 'test',
    env: process.env,
    carrier: 'auto',
    signal: new AbortController().signal,
    onSession: async () => undefined,
    onRevoked: () => undefined,
    events: { note: (text) => notes.push(text) },
  });
  const url = offer.endpoint(true).urls.get('prod-db') ?? '';
  try {
    for (const _ of [1, 2]) {
      const connection = new pg.Client({ connectionString: url });
      await expect(connection.connect()).rejects.toMatchObject({
        severity: 'FATAL',
        code: '08006',
        message: expect.stringContaining('cannot reach gateway "127.0.0.1:9"'),
      });
    }
    expect(notes).toEqual([expect.stringContaining('prod-db cannot be opened: cannot reach')]);
    const wrong = new pg.Client({
      connectionString: url.replace('//hoop:', '//somebody:'),
    });
    await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' });
    expect(await target.close()).toEqual([]);
  } finally {
    await open[Symbol.asyncDispose]();
    rmSync(state, { recursive: true, force: true });
  }
});
