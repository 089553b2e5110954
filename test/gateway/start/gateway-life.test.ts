/** Starting, stopping, starting again: what must survive and what must be said. */
import { once } from 'node:events';
import { chmod, cp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENTS_PATH, EventsReply } from '../../../src/api/events.ts';
import { PATHS } from '../../../src/api/http.ts';
import { InfoReply } from '../../../src/api/login.ts';
import { SEARCH_WORKER } from '../../../src/connectors/search-worker-file.ts';
import { parseGatewayConfig } from '../../../src/gateway/base/config.ts';
import { startGateway } from '../../../src/gateway/start/start-gateway.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { requestSession, TestSession } from '../test-session.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

async function info() {
  return InfoReply.parse(JSON.parse((await rawRequest(bench, { path: PATHS.info })).text));
}

test('keys, logins and sessions survive a restart', async () => {
  const before = await info();
  expect(bench.gateway().firstStart).toBe(true);
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  await bench.restart();
  expect(bench.gateway().firstStart).toBe(false);
  const after = await info();
  expect([after.rootKey, after.keyring]).toEqual([before.rootKey, before.keyring]);
  const client = await bench.client('engineer');
  expect(await client.session(session.id, bench.signal)).toMatchObject({ state: 'ended' });
});

test('keys and data are for the gateway’s user alone', async () => {
  for (const path of ['data', 'data/keys', 'data/index.sqlite', 'data/keys/mask.key']) {
    const { mode } = await stat(join(bench.directory, path));
    expect([path, mode & 0o077]).toEqual([path, 0]);
  }
});

test('a shutdown tells live sessions, agrees on what is recorded, and frees the port', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const { port } = new URL(bench.gateway().url);
  const closed = bench.gateway().close();
  expect((await session.message('closing')).reason).toBe('gateway_shutdown');
  await session.finish();
  await closed;
  const server = createServer().listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
  await bench.restart();
  const client = await bench.client('engineer');
  expect(await client.session(session.id, bench.signal)).toMatchObject({
    state: 'ended',
    endReason: 'gateway_shutdown',
  });
});

test('a shutdown does not wait for sessions whose client never came', async () => {
  await requestSession(bench, 'engineer');
  await bench.gateway().close();
  const ended = bench.log.events.find(({ event }) => event === 'session.ended');
  expect(ended).toMatchObject({ reason: 'gateway_shutdown' });
});

test('a second gateway on the same data directory is refused', async () => {
  const text = `version: 1
name: second
listen: 127.0.0.1:0
tls: { cert: cert.pem, key: key.pem }
dataDir: data
policy: { repository: ${bench.policy.directory}, allowedSigners: ${bench.policy.allowedSigners} }
`;
  const config = parseGatewayConfig(text, join(bench.directory, 'second.yaml'));
  await expect(
    startGateway(config, {
      connectors: [],
      searchWorker: SEARCH_WORKER,
      log: bench.log.log,
      env: process.env,
      signal: bench.signal,
      version: '0',
    }),
  ).rejects.toMatchObject({
    code: 'HOOP_LOCAL_STATE',
    detail: 'Another gateway uses this data directory.',
  });
});

test('a data directory that others can reach is refused', async () => {
  await bench.gateway().close();
  await chmod(join(bench.directory, 'data'), 0o755);
  await expect(bench.restart()).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
  await chmod(join(bench.directory, 'data'), 0o700);
  await bench.restart();
});

test('a damaged file that only warnings come from is told, and the gateway starts', async () => {
  await bench.gateway().close();
  for (const name of ['seen-approvers.json', 'groupless-logins.json']) {
    await writeFile(join(bench.directory, 'data', name), '{', { mode: 0o600 });
  }
  await bench.restart();
  const told = bench.log.events.filter(({ event }) => event === 'data.unreadable');
  expect(told.map(({ code }) => code)).toEqual(['HOOP_LOCAL_STATE', 'HOOP_LOCAL_STATE']);
});

test('without a policy the gateway says that it is not ready, and gives nothing', async () => {
  await using bare = await startGatewayBench({ startWithoutPolicy: true });
  expect((await rawRequest(bare, { path: PATHS.health })).status).toBe(200);
  const ready = await rawRequest(bare, { path: PATHS.ready });
  expect(ready.status).toBe(503);
  expect(JSON.parse(ready.text)).toEqual({ ready: false, reasons: ['no policy is in force'] });
  expect(
    InfoReply.parse(JSON.parse((await rawRequest(bare, { path: PATHS.info })).text)),
  ).toMatchObject({ identityProviders: [] });
  expect(bare.log.events.some(({ event }) => event === 'policy.problem')).toBe(true);
});

test('which policy was in force from when on, and who signed it, is kept across restarts', async () => {
  const client = await bench.client('engineer');
  const first = await client.targets(bench.signal);
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  await bench.restart();
  expect(await client.targets(bench.signal)).toMatchObject({ inForceSince: first.inForceSince });
  const change = { files: { 'README.md': 'new' }, message: 'new' };
  const commit = await bench.policy.commit(change);
  await expect.poll(async () => (await client.targets(bench.signal)).commit).toBe(commit);
  const { inForceSince = '' } = await client.targets(bench.signal);
  expect(Date.parse(inForceSince)).toBeGreaterThan(Date.parse(first.inForceSince ?? ''));
  // A session is told with the policy of its time.
  const shown = await client.session(session.id, bench.signal);
  expect(shown).toMatchObject({ policyCommit: first.commit, policySince: first.inForceSince });
  const { signer } = await client.policy(bench.signal);
  expect(shown.policySigner).toBe(signer);
});

test('a commit that is refused is named by its event', async () => {
  const auditor = await bench.client('dba');
  const path = `${EVENTS_PATH}?type=policy.refused`;
  const refused = await bench.policy.commit({ files: { 'hoop.yaml': 'x: 1\n' }, message: 'bad' });
  const told = async () =>
    (await auditor.json(EventsReply, { method: 'GET', path }, bench.signal)).events;
  await expect.poll(told).toMatchObject([{ code: 'HOOP_POLICY_INVALID', commit: refused }]);
});

test('the last good policy is in force after a restart without the repository', async () => {
  const client = await bench.client('engineer');
  const { commit } = await client.policy(bench.signal);
  await bench.gateway().close();
  const saved = `${bench.policy.directory}.away`;
  await rename(bench.policy.directory, saved);
  await bench.restart();
  const policy = await client.policy(bench.signal);
  expect(policy.commit).toBe(commit);
  expect(policy.problem).toBeDefined();
  expect((await rawRequest(bench, { path: PATHS.ready })).status).toBe(200);
  await rename(saved, bench.policy.directory);
});

test('a session that a crash cut off is closed as gateway_crash at the next start', async () => {
  const session = await TestSession.open(bench, 'engineer', { reason: 'before the crash' });
  while (session.evidence.length === 0) {
    await once(session.control, 'message');
  }
  // The files as they are in mid-session, as kill -9 would leave them.
  const data = join(bench.directory, 'data');
  const copy = join(bench.directory, 'copy');
  await cp(data, copy, { recursive: true });
  const closed = bench.gateway().close();
  await session.finish();
  await closed;
  await rm(data, { recursive: true });
  await cp(copy, data, { recursive: true });
  await chmod(data, 0o700);
  await bench.restart();
  const client = await bench.client('engineer');
  expect(await client.session(session.id, bench.signal)).toMatchObject({
    state: 'ended',
    endReason: 'gateway_crash',
  });
  const position = await client.position(session.id, bench.signal);
  expect(position.state).not.toBe('live');
  expect(bench.log.events.some(({ event }) => event === 'session.recovered')).toBe(true);
});

test('a session whose client does not upload in time is signed by the gateway alone', async () => {
  await using hasty = await startGatewayBench({
    config: 'recording: { uploadWithinSeconds: 1 }\n',
  });
  const session = await TestSession.open(hasty, 'engineer');
  session.control.terminate();
  const client = await hasty.client('engineer');
  await expect
    .poll(async () => (await client.session(session.id, hasty.signal)).endReason)
    .toBe('client_lost');
  const bundle = { path: PATHS.bundle(session.id), as: 'engineer' };
  // An interim one until then, which seals nothing.
  expect((await rawRequest(hasty, bundle)).status).toBe(200);
  expect((await client.position(session.id, hasty.signal)).state).toBe('ended');
  // Overdue sessions are looked for whenever one ends.
  await expect
    .poll(async () => {
      await (await TestSession.open(hasty, 'engineer')).close();
      return (await client.position(session.id, hasty.signal)).state;
    })
    .toBe('complete');
  expect((await rawRequest(hasty, bundle)).status).toBe(200);
});

test('no password, token or key is in the data directory’s index or in the log', async () => {
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  await bench.gateway().close();
  const index = await readFile(join(bench.directory, 'data', 'index.sqlite'));
  for (const secret of [session.reply.saltKey, 'eyJ', 'PRIVATE KEY']) {
    expect(index.includes(secret)).toBe(false);
    expect(bench.log.text()).not.toContain(secret);
  }
});
