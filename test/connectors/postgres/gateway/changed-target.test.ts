/** What a policy commit means for sessions on databases that are open. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { ENGINEERS, type GatewayBench, startGatewayBench } from '../../../gateway/gateway-bench.ts';
import { TestSession } from '../../../gateway/test-session.ts';
import { startTestPostgres } from '../../../postgres-template.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ target: postgres });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

/** Its address is the policy's, while the gateway's configuration has that of `prod-db`. */
async function setTarget(changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const target = {
    name: 'shop',
    kind: 'postgres',
    address: [here()],
    database: 'postgres',
    credential: 'prod-db',
    ...changes,
  };
  const made = await bench.policy.commit({
    message: 'another target',
    files: {
      'targets/shop.yaml': JSON.stringify(target),
      'policies/shop.yaml': ENGINEERS.replace('name: engineers', 'name: shop').replace(
        'names: [prod-db]',
        'names: [shop]',
      ),
    },
  });
  const client = await bench.client('engineer');
  await expect.poll(async () => (await client.policy(bench.signal)).commit).toBe(made);
}

/** Nothing looks into it: the server has no TLS. */
const CA = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----';
const OTHER_CA = '-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----';
/** Both, in another order, with other lines, and one of them twice. */
const SAME_CAS = `${OTHER_CA}\n\n# ours\n${CA.replaceAll('\n', '\r\n')}\r\n${OTHER_CA}\n`;

const here = (): string => `127.0.0.1:${postgres.port}`;

describe('a commit, for a session that is open', () => {
  test('that adds an address, or says the same in other words, disturbs nobody', async () => {
    await setTarget({
      address: [here(), 'Standby.Example:5432', '[2001:DB8:0::1]:5432'],
      tls: { ca: `${CA}\n${OTHER_CA}` },
    });
    const session = await TestSession.open(bench, 'engineer', { target: 'shop' });
    const stream = await session.openStream(1);
    await stream.startUp('postgres', 'postgres');
    await setTarget({
      address: ['127.0.0.1:1', '[2001:db8::1]:5432', 'standby.example:5432', here()],
      tls: { ca: SAME_CAS, mode: 'prefer' },
      description: 'The shop',
      connectTimeout: '3s',
      requireAuth: ['none', 'password', 'md5', 'scram-sha-256'],
      credentials: [{ groups: ['dba'], credential: 'prod-db' }],
    });
    const types = (await stream.query('SELECT 1')).map(([type]) => type);
    expect(types).toContain('D');
    await session.close();
  });

  test.each([
    ['address', { address: ['127.0.0.1:1'] }],
    ['database', { database: 'template1' }],
    ['credential', { credentials: [{ groups: ['engineering'], credential: 'other' }] }],
    ['TLS setting', { tls: { mode: 'require' } }],
    ['TLS setting', { tls: { ca: OTHER_CA } }],
    ['requireAuth', { requireAuth: ['scram-sha-256'] }],
    ['targetSessionAttrs', { targetSessionAttrs: 'primary' }],
  ])('that has another %s ends it, and says so', async (what, changes) => {
    await setTarget();
    const session = await TestSession.open(bench, 'engineer', { target: 'shop' });
    const stream = await session.openStream(1);
    await stream.startUp('postgres', 'postgres');
    await setTarget(changes);
    const message = `the ${what} of target "shop" has changed in the policy: connect again`;
    expect(await session.message('closing')).toMatchObject({ reason: 'revoked', message });
    const said = (await stream.readUntil('E')).map(([, body]) => body.toString()).join();
    expect(said).toContain(message);
    await session.finish();
  });
});
