/** Two gateways in one PostgreSQL database, each with a data directory of its own, on one machine. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BLOCK_PATHS, BlockReply } from '../../../src/api/blocks.ts';
import { CutsReply } from '../../../src/api/control.ts';
import { API_VERSION, PATHS } from '../../../src/api/http.ts';
import { SEARCH_PATH, SearchReply } from '../../../src/api/search.ts';
import { login } from '../../../src/auth/login.ts';
import { openGateway } from '../../../src/auth/open-gateway.ts';
import { type GatewayClient, jsonBody } from '../../../src/client/gateway-client.ts';
import { CONNECTORS } from '../../../src/connectors/registry.ts';
import { SEARCH_WORKER } from '../../../src/connectors/search-worker-file.ts';
import { completeLogin } from '../../../src/demo/complete-login.ts';
import { parseGatewayConfig } from '../../../src/gateway/base/config.ts';
import { readEvents } from '../../../src/gateway/events/read-events.ts';
import { tellNodes } from '../../../src/gateway/nodes/node-changes.ts';
import { type Gateway, startGateway } from '../../../src/gateway/start/start-gateway.ts';
import { listNodes, takeOverNode } from '../../../src/gateway/start/take-over-node.ts';
import { change, type Store, sql } from '../../../src/gateway/store/store.ts';
import { locateHome } from '../../../src/home.ts';
import { waitFor } from '../../wait-for.ts';
import { collectLog } from '../collect-log.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { type InterruptedStore, interruptedStore } from '../store/interrupted-store.ts';
import { SERVERS, type TestStores, testStores } from '../store/test-stores.ts';
import { TestSession } from '../test-session.ts';

const NODES = sql('SELECT id, state, term FROM nodes ORDER BY url');
const SESSION = sql('SELECT state, node, end_reason, end_message FROM sessions WHERE id = $id');
const HEADS = sql('SELECT commit_id FROM policy_heads');
const SET_HEAD = sql('UPDATE policy_heads SET commit_id = $newest');
const LIVE_OF = sql("SELECT count(*) AS count FROM sessions WHERE node = $node AND state = 'live'");
const RUN_OUT = sql('UPDATE nodes SET lease_until_ms = 1 WHERE id = $node');

const storesOf = testStores();
let stores: TestStores;
let store: Store;
/** Of the first gateway. */
let interrupted: InterruptedStore;
let bench: GatewayBench;
let second: Gateway;

beforeAll(async () => {
  stores = await storesOf(SERVERS[0] ?? 'postgres');
  store = await stores.open();
  interrupted = interruptedStore(await stores.open());
  bench = await startGatewayBench({ store: interrupted });
  second = await startSecond();
});
afterAll(async () => {
  await second.close();
  await bench[Symbol.asyncDispose]();
  await stores[Symbol.asyncDispose]();
});

/** With the database that both are given here. */
async function configOfSecond(): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(stores.url ?? '');
  const file = join(bench.directory, 'second.yaml');
  await writeFile(join(bench.directory, 'store-password'), decodeURIComponent(password), {
    mode: 0o600,
  });
  await writeFile(
    file,
    `${bench.configText().replace('dataDir: data\n', 'dataDir: data2\nkeysDir: data/keys\n')}
store:
  url: postgres://${hostname}:${port}${pathname}
  user: ${username}
  password: { file: store-password }
  tls: { mode: disable }
`,
  );
  return file;
}

/** @param more lines of its configuration */
async function startSecond(listen = '127.0.0.1:0', more = ''): Promise<Gateway> {
  const text = `${bench
    .configText()
    .replace('dataDir: data\n', 'dataDir: data2\nkeysDir: data/keys\n')
    .replace(/listen: .*/, `listen: ${listen}`)}\n${more}`;
  return startGateway(parseGatewayConfig(text, join(bench.directory, 'second.yaml')), {
    connectors: CONNECTORS,
    searchWorker: SEARCH_WORKER,
    log: collectLog().log,
    env: { ...process.env, PROD_DB: 'unused' },
    signal: bench.signal,
    version: '0.0.0-test',
    store: await stores.open(),
  });
}

/** Logged in at the second gateway. */
async function clientOfSecond(name: string): Promise<GatewayClient> {
  const env = {
    HOOP_HOME: join(bench.directory, 'homes', `second-${name}`),
    HOOP_TOKEN_STORE: 'file',
  };
  await mkdir(env.HOOP_HOME, { recursive: true, mode: 0o700 });
  const account = bench.provider.accounts.find((other) => other.name === name);
  if (account === undefined) throw new RangeError(`no account ${name}`);
  await login({
    home: locateHome(env),
    config: { tokenStore: 'file' },
    gateway: second.url,
    ca: join(bench.directory, 'ca.pem'),
    openBrowser: async (url) => {
      await completeLogin(url, account, bench.signal);
      return true;
    },
    note: () => undefined,
    signal: bench.signal,
  });
  return (await openGateway({ env })).client;
}

test('have nodes of their own, and neither ends what the other has', async () => {
  const session = await TestSession.open(bench, 'engineer');
  expect(await store.all(NODES)).toMatchObject([{ state: 'live' }, { state: 'live' }]);
  await second.close();
  second = await startSecond();
  expect(await store.get(SESSION, { id: session.id })).toMatchObject({ state: 'live' });
  const terms = (await store.all(NODES)).map((row) => row['term']);
  expect(terms.toSorted()).toEqual([1, 2]);
  const dba = await clientOfSecond('dba');
  const { sessions: listed } = await dba.sessions({ live: '1' }, bench.signal);
  expect(listed.map(({ id }) => id)).toEqual([session.id]);
  // Its recording lies elsewhere, and that is said.
  const own = await clientOfSecond('engineer');
  await expect(
    own.json(CutsReply, { method: 'GET', path: PATHS.cuts(session.id) }, bench.signal),
  ).rejects.toMatchObject({ code: 'HOOP_OTHER_NODE' });
  await session.close();
  // The list names the node, and a search by text does not call the recording erased.
  const shown = await own.session(session.id, bench.signal);
  expect(shown.keptBy).toEqual({ node: expect.any(String), url: expect.stringContaining('http') });
  const asked = { v: API_VERSION, text: 'no such thing', limit: 10 } as const;
  const search = { method: 'POST', path: SEARCH_PATH, body: jsonBody(asked) } as const;
  const found = await own.json(SearchReply, search, bench.signal);
  expect(found.unread).toContainEqual({
    session: session.id,
    why: 'other node',
    node: `${shown.keptBy?.node} (${shown.keptBy?.url})`,
  });
  const told = await readEvents(store, { type: 'recording.searched', limit: 10 });
  expect(told.events.flatMap(({ sessions }) => sessions)).not.toContain(session.id);
});

test('a session of the one is ended at the other, with its login', async () => {
  const session = await TestSession.open(bench, 'devin');
  const dba = await clientOfSecond('dba');
  const why = { reason: 'INC-1', login: true } as const;
  const ended = dba.endSession(session.id, bench.signal, why);
  await session.finish();
  expect(await ended).toMatchObject({ endReason: 'revoked', logins: 1 });
  const told = await readEvents(store, { type: 'session.end', session: session.id, limit: 10 });
  expect(told.events).toMatchObject([
    { reason: 'revoked', by: { name: expect.stringMatching(/dba/) } },
  ]);
  expect(session.evidence.at(-1)).toMatchObject({
    type: 'closing',
    message: expect.stringMatching(/^the hoop session was ended by .+: INC-1$/),
  });
  await expect(TestSession.open(bench, 'devin')).rejects.toMatchObject({
    code: 'HOOP_TOKEN_REVOKED',
  });
  await expect(dba.endSession(session.id, bench.signal, why)).rejects.toMatchObject({
    code: 'HOOP_SESSION_UNKNOWN',
  });
});

test('who is blocked at the one is out at the other, until that is lifted', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const dba = await clientOfSecond('dba');
  const asked = jsonBody({ v: 1, who: 'engineer', target: 'prod-db', reason: 'INC-2' });
  const { block } = await dba.json(
    BlockReply,
    { method: 'POST', path: BLOCK_PATHS.blocks, body: asked },
    bench.signal,
  );
  await session.finish();
  expect(session.evidence.at(-1)).toMatchObject({ type: 'closing', reason: 'revoked' });
  await expect(TestSession.open(bench, 'engineer')).rejects.toMatchObject({
    code: 'HOOP_ACCESS_BLOCKED',
  });
  await dba.json(BlockReply, { method: 'DELETE', path: BLOCK_PATHS.block(block.id) }, bench.signal);
  const again = await waitFor(() => TestSession.open(bench, 'engineer'));
  await again.close();
});

test('a proof of a key is spent at one gateway alone: the other takes no nonce but its own', async () => {
  const { host, origin } = new URL(second.url);
  await second.close();
  const { url: called } = bench.gateway();
  // Both are called alike, as behind one balancer.
  second = await startSecond(host, `publicUrl: ${called}\n`);
  const client = await bench.client('engineer');
  const prove = () => client.authHeaders('GET', `${called}${PATHS.whoami}`, bench.signal);
  const send = (headers: Record<string, string>, to = called) =>
    rawRequest(bench, { path: PATHS.whoami, headers, to });
  await rawRequest(bench, { path: PATHS.whoami, as: 'engineer' });
  const proof = await prove();
  expect(await send(proof)).toMatchObject({ status: 200 });
  expect(await send(proof)).toMatchObject({ code: 'HOOP_PROOF_REPLAYED' });
  const elsewhere = await send(proof, origin);
  expect(elsewhere).toMatchObject({ status: 401, code: 'HOOP_PROOF_NONCE' });
  expect(elsewhere.headers['www-authenticate']).toContain('use_dpop_nonce');
  // What a client does then: once more, with the nonce of the answer.
  expect(client.upgradeRefused(elsewhere.status, elsewhere.headers)).toBe(true);
  const again = await prove();
  expect(await send(again, origin)).toMatchObject({ status: 200 });
  expect(await send(again)).toMatchObject({ code: 'HOOP_PROOF_NONCE' });
  await second.close();
  second = await startSecond();
});

test('a gateway behind the newest policy opens no sessions', async () => {
  const { commit } = await (await bench.client('engineer')).policy(bench.signal);
  const set = (newest: string) =>
    store.transaction(function* () {
      yield* change(SET_HEAD, { newest });
      yield* tellNodes('policy');
    });
  await set('f'.repeat(40));
  await waitFor(() =>
    expect(TestSession.open(bench, 'engineer')).rejects.toMatchObject({
      code: 'HOOP_POLICY_BEHIND',
    }),
  );
  await set(commit);
  await (await waitFor(() => TestSession.open(bench, 'engineer'))).close();
  // And a new commit of its own moves it forward for all.
  const next = await bench.policy.commit({ files: { 'README.md': 'x' }, message: 'next' });
  await waitFor(async () => expect(await store.all(HEADS)).toEqual([{ commit_id: next }]));
});

test('a node that is taken over ends its sessions and opens none', async () => {
  // The other one may have been the first to fetch the commit of before.
  const session = await waitFor(() => TestSession.open(bench, 'engineer'));
  const row = await store.get(SESSION, { id: session.id });
  const node = String(row?.['node']);
  const live = await store.get(LIVE_OF, { node });
  const by = { configFile: await configOfSecond(), env: process.env, logTo: new PassThrough() };
  expect((await listNodes(by)).filter(({ isOwn }) => !isOwn)).toMatchObject([{ id: node }]);
  await expect(takeOverNode(node, by)).rejects.toMatchObject({ code: 'HOOP_USAGE' });
  await expect(takeOverNode('none', by)).rejects.toMatchObject({ code: 'HOOP_USAGE' });
  // As if the clock of the store's server were set ahead: a node that lives renews its lease.
  await store.change(RUN_OUT, { node });
  await expect(takeOverNode(node, by)).rejects.toMatchObject({ code: 'HOOP_USAGE' });
  // As if it stood still: its next renewal comes too late.
  const stands = Promise.withResolvers<void>();
  const goesOn = Promise.withResolvers<void>();
  interrupted.before(/^UPDATE nodes SET lease_until_ms/, () => {
    stands.resolve();
    return goesOn.promise;
  });
  await stands.promise;
  await store.change(RUN_OUT, { node });
  const taken = await takeOverNode(node, by);
  goesOn.resolve();
  expect(taken.sessions).toBe(live?.['count']);
  const { events } = await readEvents(store, { type: 'node.taken_over', limit: 10 });
  expect(events).toMatchObject([
    { gateway: expect.any(String), taken: node, sessions: taken.sessions },
  ]);
  const ends = await readEvents(store, { type: 'session.end', session: session.id, limit: 10 });
  expect(ends.events).toMatchObject([
    { reason: 'gateway_crash', who: { name: expect.any(String) } },
  ]);
  await session.finish();
  expect(await store.get(SESSION, { id: session.id })).toMatchObject({
    state: 'ended',
    end_message: 'the node that had the session was taken over',
  });
  expect(bench.log.events).toContainEqual(expect.objectContaining({ event: 'node.lost' }));
  await expect(TestSession.open(bench, 'engineer')).rejects.toMatchObject({
    code: 'HOOP_UNREACHABLE',
    message: 'the gateway was taken over by another one',
  });
  // Who balances load sends nobody there any more.
  const ready = await rawRequest(bench, { path: PATHS.ready });
  expect(ready).toMatchObject({ status: 503 });
});
