/** Live sessions against a gateway in this process whose logins stop being worth anything. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Identity } from '../../../src/gateway/identity/identity.ts';
import { LiveSession } from '../../../src/gateway/sessions/live-session.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { TestSession } from '../test-session.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

/** hoop.yaml with another identity provider entry. */
function hoopYaml(provider: string): Record<string, string> {
  return {
    'hoop.yaml': `version: 1
org: test
identityProviders:
  - ${provider}
roles:
  auditor: { groups: [auditors] }
  approver: { groups: [approvers] }
`,
  };
}

/** As if the provider had made the ID token for the client for device codes. The gateway is closed. */
function asDeviceLogin(sub: string, deviceClientId: string): void {
  using index = new DatabaseSync(join(bench.directory, 'data', 'index.sqlite'));
  const { changes } = index
    .prepare(
      `UPDATE refresh_families SET claims = json_set(claims, '$.flow', 'device', '$.audience', ?)
       WHERE sub = ?`,
    )
    .run(deviceClientId, sub);
  expect(changes).toBe(1);
}

async function endOf(session: TestSession): Promise<unknown> {
  await session.finish();
  return session.evidence.at(-1);
}

const closing = (message: string) => ({ type: 'closing', reason: 'revoked', message });

test('a commit without their identity provider ends them, and says why', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const files = hoopYaml('{ issuer: "https://other.example", clientId: hoop }');
  await bench.policy.commit({ files, message: 'another provider' });
  expect(await endOf(session)).toMatchObject(
    closing('the policy no longer names the identity provider of the login'),
  );
});

test('a commit without `device` ends those of logins by device code, and no others', async () => {
  const { issuer, clientId, deviceClientId } = bench.provider;
  const entry = (device: string) =>
    `{ issuer: "${issuer}", clientId: ${clientId}, scopes: [openid, email, profile, groups], claims: { groups: groups }${device} }`;
  const files = hoopYaml(entry(`, device: { clientId: ${deviceClientId} }`));
  await bench.policy.commit({ files, message: 'device' });
  await bench.restart();
  const engineer = await bench.client('engineer');
  const { sub } = await engineer.whoami(bench.signal);
  await bench.gateway().close();
  asDeviceLogin(sub, deviceClientId);
  await bench.restart();
  const session = await TestSession.open(bench, engineer);
  const other = await TestSession.open(bench, 'dba');
  await bench.policy.commit({ files: hoopYaml(entry('')), message: 'no device' });
  expect(await endOf(session)).toMatchObject(
    closing('the policy no longer allows logins with a device code'),
  );
  const dba = await bench.client('dba');
  expect((await dba.session(other.id, bench.signal)).state).toBe('live');
  await other.close();
});

test('a login that its provider has not confirmed in time ends them, and says why', async () => {
  const { issuer, clientId } = bench.provider;
  const session = await TestSession.open(bench, 'engineer');
  const client = await bench.client('engineer');
  const files = hoopYaml(
    `{ issuer: "${issuer}", clientId: ${clientId}, scopes: [openid, email, profile, groups], claims: { groups: groups }, fresh: 15m }`,
  );
  const { commit } = await client.policy(bench.signal);
  await bench.policy.commit({ files, message: 'fresh' });
  await expect.poll(async () => (await client.policy(bench.signal)).commit).not.toBe(commit);
  expect((await client.session(session.id, bench.signal)).state).toBe('live');
  bench.clock.offsetMs += 15 * 60_000;
  expect(await endOf(session)).toMatchObject({
    type: 'closing',
    reason: 'revoked',
    message: 'the identity provider has not confirmed the login for 15 min',
  });
});

test('ends with its login where the policy says how long that lasts', async () => {
  const { issuer, clientId } = bench.provider;
  const session = await TestSession.open(bench, 'engineer');
  const client = await bench.client('engineer');
  const files = hoopYaml(
    `{ issuer: "${issuer}", clientId: ${clientId}, scopes: [openid, email, profile, groups], claims: { groups: groups }, maxTime: 30m }`,
  );
  const { commit } = await client.policy(bench.signal);
  await bench.policy.commit({ files, message: 'short logins' });
  await expect.poll(async () => (await client.policy(bench.signal)).commit).not.toBe(commit);
  expect((await client.session(session.id, bench.signal)).state).toBe('live');
  bench.clock.offsetMs += 30 * 60_000;
  expect(await endOf(session)).toMatchObject({
    type: 'closing',
    reason: 'revoked',
    message: 'the login has expired',
  });
});

test('an answer about their login that comes late brings nothing back that a newer one has taken', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const groups = [['engineering', 'dba'], ['engineering']];
  const real = Identity.prototype.requireLive;
  let asked = 0;
  using _ = vi.spyOn(Identity.prototype, 'requireLive').mockImplementation(async function (
    this: Identity,
    who,
  ) {
    const look = asked;
    const standing = await real.call(this, who);
    asked += 1;
    await held[look]?.promise;
    return { ...standing, principal: { ...standing.principal, groups: groups[look] ?? [] } };
  });
  using given = vi.spyOn(LiveSession.prototype, 'setGrant');
  for (const look of [1, 2]) {
    const files = hoopYaml(
      `{ issuer: "${bench.provider.issuer}", clientId: ${bench.provider.clientId}, scopes: [openid, email, profile, groups], claims: { groups: groups } }`,
    );
    const { 'hoop.yaml': yaml } = files;
    await bench.policy.commit({ files: { 'hoop.yaml': `${yaml}# ${look}\n` }, message: 'look' });
    await expect.poll(() => asked, { timeout: 20_000 }).toBe(look);
  }
  const before = given.mock.calls.length;
  held[1]?.resolve();
  await expect.poll(() => given.mock.calls.length).toBe(before + 1);
  const newest = given.mock.lastCall?.[0]?.grant.generation;
  expect(newest).toBeDefined();
  held[0]?.resolve();
  await nextTurn();
  expect(given.mock.lastCall?.[0]?.grant.generation).toBe(newest);
  await session.close();
});

test('a commit ends those that have outlived their login, which it cannot judge', async () => {
  const { issuer, clientId } = bench.provider;
  const session = await TestSession.open(bench, 'engineer');
  bench.clock.offsetMs += 13 * 3_600_000;
  const files = hoopYaml(
    `{ issuer: "${issuer}", clientId: ${clientId}, scopes: [openid, email, profile, groups], claims: { groups: groups } }`,
  );
  await bench.policy.commit({ files, message: 'nothing that matters here' });
  expect(await endOf(session)).toMatchObject(closing('the login has expired'));
});

test('the log says of each session who, on which target and from where, to its end', async () => {
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  const of = { session: session.id, principal: 'engineer@example.com', target: 'prod-db' };
  expect(bench.log.events).toContainEqual(
    expect.objectContaining({ event: 'session.start', ...of, from: '127.0.0.1' }),
  );
  expect(bench.log.events).toContainEqual(
    expect.objectContaining({ event: 'session.ended', ...of }),
  );
});
