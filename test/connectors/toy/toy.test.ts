/** A connector that hoop does not have, brought in by a registry: what it gets of the gateway for nothing. */
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { API_VERSION } from '../../../src/api/http.ts';
import { SEARCH_PATH, SearchReply } from '../../../src/api/search.ts';
import { openGateway } from '../../../src/auth/open-gateway.ts';
import { ApprovalsClient } from '../../../src/client/approvals-client.ts';
import { jsonBody } from '../../../src/client/gateway-client.ts';
import { CONNECTORS } from '../../../src/connectors/registry.ts';
import { bytesSource } from '../../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../../src/recording/client/upload-session.ts';
import { readSession } from '../../../src/recording/ended/read-session.ts';
import { buildTimeline } from '../../../src/replay/build-timeline.ts';
import { loadReplays } from '../../../src/replay/connector.ts';
import { Run } from '../../../src/run/run.ts';
import { connectSession } from '../../../src/tunnel/connect-session.ts';
import { approvalLines } from '../../../src/ui/approvals/approval-lines.ts';
import { transcriptLines } from '../../../src/ui/replay/transcript.ts';
import { styleFor } from '../../../src/ui/text/style.ts';
import { type GatewayBench, startGatewayBench } from '../../gateway/gateway-bench.ts';
import { TestSession, type TestStream } from '../../gateway/test-session.ts';
import { TOY_CLIENT } from './toy-client.ts';
import { lines, TOY } from './toy-connector.ts';

/** The bench has one, too. */
const DATABASES = CONNECTORS.filter(({ kind }) => kind === 'postgres');
/** What the target was sent, in turn. */
const heard: string[] = [];
const WIDE = { style: styleFor(false), width: undefined };
let server: Server;
let bench: GatewayBench;

beforeAll(async () => {
  server = createServer(async (socket) => {
    socket.on('error', () => undefined);
    for await (const { line } of lines(socket)) {
      heard.push(line);
      socket.write(`OK ${line}\n`);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  bench = await startGatewayBench({ connectors: [TOY, ...DATABASES] });
  const made = await bench.policy.commit({
    message: 'a toy',
    files: {
      'targets/toy.yaml': `name: toy
kind: toy
address: 127.0.0.1:${port}
credential: prod-db
`,
      'policies/toy.yaml': `name: toys
who: { groups: [engineering] }
targets: { names: [toy] }
rules:
  - { name: read, allow: { lines: [GET] } }
  - { name: write, approve: { lines: [SET] } }
  - { name: never, deny: { lines: [SET secret] }, hint: Ask ops. }
`,
    },
  });
  const client = await bench.client('engineer');
  await vi.waitUntil(async () => (await client.policy(bench.signal)).commit === made, {
    timeout: 60_000,
  });
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  server.close();
});

class ToyClient {
  readonly #stream: TestStream;
  readonly #answers: AsyncGenerator<{ line: string }>;

  constructor(stream: TestStream) {
    this.#stream = stream;
    const down = new PassThrough();
    stream.carrier.on('data', (data) => down.write(Buffer.from(data)));
    stream.carrier.on('close', () => down.end());
    this.#answers = lines(down);
  }

  send(line: string): void {
    this.#stream.send(Buffer.from(`${line}\n`));
  }

  async answer(): Promise<string | undefined> {
    return (await this.#answers.next()).value?.line;
  }

  async ask(line: string): Promise<string | undefined> {
    this.send(line);
    return this.answer();
  }
}

async function open(): Promise<{ session: TestSession; client: ToyClient }> {
  const session = await TestSession.open(bench, 'engineer', { target: 'toy' });
  const client = new ToyClient(await session.openStream(1, 'multiplexed', 'toy'));
  return { session, client };
}

/** Signed, uploaded and read again. */
async function recorded(session: TestSession): Promise<ReturnType<typeof readSession>> {
  await session.close();
  const gateway = await bench.client('engineer');
  const { spools: directory, id } = session;
  await uploadSession({ directory, session: id, gateway, signal: bench.signal });
  return readSession(bytesSource(await buffer(await gateway.bundle(id, bench.signal))));
}

test('a line that a rule allows goes to the target, with the login that the client never sees', async () => {
  heard.length = 0;
  const { session, client } = await open();
  expect(await client.ask('GET a')).toBe('OK GET a');
  expect(heard).toEqual(['LOGIN postgres unused', 'GET a']);
  const { streams } = await recorded(session);
  const toys = streams.filter(({ kind }) => kind === 'toy').flatMap((one) => [...one.pieces()]);
  const bytes = (direction: number): string =>
    Buffer.concat(
      toys.filter((piece) => piece.direction === direction).map((piece) => piece.bytes),
    ).toString();
  expect(bytes(0)).toBe('GET a\n');
  expect(bytes(1)).toBe('OK GET a\n');
});

test('a line that no rule allows, or one denies, is answered by the policy and reaches nobody', async () => {
  heard.length = 0;
  const { session, client } = await open();
  expect(await client.ask('DROP a')).toContain('ERR HOOP_NOT_ALLOWED');
  expect(await client.ask('SET secret 1')).toContain('ERR HOOP_DENIED');
  expect(await client.ask('GET a')).toBe('OK GET a');
  expect(heard).toEqual(['LOGIN postgres unused', 'GET a']);
  await session.close();
  const auditor = await bench.client('auditor');
  const shown = await auditor.session(session.id, bench.signal);
  expect(shown).toMatchObject({ target: 'toy', statements: 3, denied: 2 });
});

test('a line that a rule holds waits for somebody else, and goes on once', async () => {
  heard.length = 0;
  const { session, client } = await open();
  const held = await client.ask('SET a 1');
  const id = held?.replace('HELD ', '') ?? '';
  expect(heard).toEqual(['LOGIN postgres unused']);
  const dba = new ApprovalsClient(await bench.client('dba'));
  const shown = await dba.find(id, bench.signal);
  expect(shown).toMatchObject({ state: 'waiting', target: 'toy' });
  expect(approvalLines(shown, WIDE, Date.now())).toContain('  SET a 1');
  await dba.decide(id, { decision: 'approve' }, bench.signal);
  expect(await client.answer()).toBe('OK SET a 1');
  expect(heard).toEqual(['LOGIN postgres unused', 'SET a 1']);
  const { events, timeline } = await recorded(session);
  // What was shown is in what is signed, and drawn from there by who has no connector for it.
  const view = [{ type: 'code', language: 'toy', text: 'SET a 1' }];
  expect(shown.command?.view).toEqual(view);
  expect(events.map(({ event }) => event)).toContainEqual(
    expect.objectContaining({ type: 'approval.held', view }),
  );
  const entries = [...buildTimeline(timeline(), await loadReplays(CONNECTORS))];
  const lines = entries.flatMap((entry) => transcriptLines(entry, { ...WIDE, startMs: 0 }));
  const at = lines.indexOf('      SET a 1');
  expect(lines.slice(at - 1, at + 5).join('\n')).toMatch(
    /approved on connection 1, OK, .*\n {6}SET a 1\n.*toys\/write.*\n.*held: SET a 1 is held.*\n.*approved after/,
  );
});

test('a line that is held and then denied never reaches the target', async () => {
  heard.length = 0;
  const { session, client } = await open();
  const id = (await client.ask('SET b 1'))?.replace('HELD ', '') ?? '';
  const dba = new ApprovalsClient(await bench.client('dba'));
  await dba.decide(id, { decision: 'deny', reason: 'not today' }, bench.signal);
  expect(await client.answer()).toBe('ERR HOOP_APPROVAL_DENIED SET b 1 was not approved');
  expect(heard).toEqual(['LOGIN postgres unused']);
  await session.close();
});

test('a target has the streams of its connector, as many as that says, and no others', async () => {
  const { session } = await open();
  await expect(session.openStream(2, 'multiplexed', 'toy')).rejects.toMatchObject({
    code: 'HOOP_LIMIT',
  });
  await expect(session.openStream(3, 'multiplexed', 'postgres')).rejects.toMatchObject({
    code: 'HOOP_PROTOCOL',
    message: 'target "toy" has no streams of kind postgres',
  });
  await expect(session.openStream(3, 'multiplexed', 'ssh')).rejects.toMatchObject({
    code: 'HOOP_PROTOCOL',
    message: 'a stream is of one of the kinds toy, postgres, cancel, terminal',
  });
  await session.close();
});

/** What a program says to it. @param url of the local port */
async function say(url: string, line: string): Promise<string | undefined> {
  const { hostname, port, username } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`${username}\n${line}\n`);
  const answer = await lines(socket).next();
  socket.destroy();
  return answer.value?.line;
}

test('programs reach it by connect and by run, and what they sent is in the replay', async () => {
  await bench.client('engineer');
  const env = bench.environment('engineer');
  await using open = await openGateway({ env });
  const connectors = [TOY_CLIENT];
  const options = { open, reason: 'to play', version: 'test', env, signal: bench.signal };
  const common = { ...options, carrier: 'auto' } as const;
  const session = await connectSession({
    ...common,
    target: 'toy',
    listen: { type: 'tcp', port: 0, connectors },
    events: {},
  });
  expect(await say(session.offer.endpoint(true).urls.get('toy') ?? '', 'GET a')).toBe('OK GET a');
  await session.close();
  const run = await Run.start({
    ...{ ...common, connectors, targets: [], agent: undefined, command: ['toy'] },
    events: { note: () => undefined },
  });
  expect(run.targets).toEqual(['toy']);
  const url = Object.assign({}, ...run.environment)['HOOP_TOY_URL'];
  expect(await say(url, 'GET b')).toBe('OK GET b');
  const [opened] = await run.sessions();
  await run.close();
  const gateway = await bench.client('engineer');
  const bundle = await buffer(await gateway.bundle(opened?.id ?? '', bench.signal));
  const timeline = readSession(bytesSource(bundle)).timeline();
  const entries = [...buildTimeline(timeline, await loadReplays([]))];
  expect(entries.filter(({ type }) => type === 'statement')).toMatchObject([
    { text: 'GET b', outcome: 'ok', decisions: [{ effect: 'allow' }] },
  ]);
  const body = jsonBody({ v: API_VERSION, text: 'get B', limit: 5 });
  const asked = { method: 'POST', path: SEARCH_PATH, body } as const;
  const found = await gateway.json(SearchReply, asked, bench.signal);
  expect(found).toMatchObject({ hits: [{ session: opened?.id }] });
});

test('a session ends when its target becomes one of another kind, whatever its connector says', async () => {
  const { session, client } = await open();
  expect(await client.ask('GET a')).toBe('OK GET a');
  await bench.policy.commit({
    message: 'the toy is a database now',
    files: {
      'targets/toy.yaml': 'name: toy\nkind: postgres\ndatabase: toy\naddress: 127.0.0.1:1\n',
      'policies/toy.yaml': `name: toys
who: { groups: [engineering] }
targets: { names: [toy] }
rules:
  - allow: { verbs: [select] }
`,
    },
  });
  expect(await session.message('closing')).toMatchObject({
    reason: 'revoked',
    message: 'the kind of target "toy" has changed in the policy: connect again',
  });
  await session.finish();
});
