/** Blocks against a gateway in this process: what ends, what is refused, who may, what a restart keeps. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BLOCK_PATHS, BlockReply, BlocksReply } from '../../../src/api/blocks.ts';
import { API_VERSION } from '../../../src/api/http.ts';
import { login } from '../../../src/auth/login.ts';
import { type GatewayClient, jsonBody } from '../../../src/client/gateway-client.ts';
import { completeLogin } from '../../../src/demo/complete-login.ts';
import { locateHome } from '../../../src/home.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { startRun } from '../run-client.ts';
import { requestSession, TestSession } from '../test-session.ts';

const DEVIN = `name: devin
match: [{ program: devin }]
targets: { names: [prod-db] }
rules: [{ name: read, allow: { verbs: [select], relations: [public.orders] } }]
`;

let bench: GatewayBench;
let approver: GatewayClient;
let logins = 0;
beforeAll(async () => {
  bench = await startGatewayBench();
  await bench.policy.commit({ files: { 'agents/devin.yaml': DEVIN }, message: 'devin' });
  await bench.restart();
  approver = await bench.client('dba');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** A new login each time: those of the test before have ended. */
async function logIn(account: string): Promise<GatewayClient> {
  const { openGateway } = await import('../../../src/auth/open-gateway.ts');
  const env = { ...bench.environment(account), HOOP_HOME: join(bench.directory, `h${++logins}`) };
  const found = bench.provider.accounts.find(({ name }) => name === account);
  await login({
    home: locateHome(env),
    config: { tokenStore: 'file' },
    gateway: bench.gateway().url,
    ca: join(bench.directory, 'ca.pem'),
    openBrowser: async (url) => {
      if (found !== undefined) await completeLogin(url, found, bench.signal);
      return true;
    },
    note: () => undefined,
    signal: bench.signal,
  });
  return (await openGateway({ env })).client;
}

type Asked = { target?: string; durationSeconds?: number };
const block = (who: string, asked: Asked = {}, by = approver) =>
  by.json(
    BlockReply,
    {
      method: 'POST',
      path: BLOCK_PATHS.blocks,
      body: jsonBody({ v: API_VERSION, who, reason: 'INC-4711', ...asked }),
    },
    bench.signal,
  );
const lift = (id: string, by = approver) =>
  by.json(BlockReply, { method: 'DELETE', path: BLOCK_PATHS.block(id) }, bench.signal);
const listed = async (by = approver) =>
  (await by.json(BlocksReply, { method: 'GET', path: BLOCK_PATHS.blocks }, bench.signal)).blocks;

beforeEach(async () => {
  for (const { id, state } of await listed()) {
    if (state === 'active') await lift(id);
  }
});

const BLOCKED = {
  code: 'HOOP_ACCESS_BLOCKED',
  message: 'you are blocked',
  detail: expect.stringMatching(/^dba@example\.com blocked you until it is lifted: INC-4711$/),
};

describe('a block of a person', () => {
  test('ends sessions, runs and logins at once, and no new login gets in until it is lifted', async () => {
    const engineer = await logIn('engineer');
    await using run = await startRun(bench, engineer);
    const own = await TestSession.open(bench, engineer);
    const ofRun = await TestSession.open(bench, run.client);
    const { block: made, ...ended } = await block('Engineer@Example.com');
    expect(ended).toMatchObject({ logins: 2, sessions: 2 });
    for (const session of [own, ofRun]) {
      await session.finish();
      expect(session.evidence.at(-1)).toMatchObject({
        type: 'closing',
        reason: 'revoked',
        message: `blocked by dba@example.com: INC-4711 (block ${made.id})`,
      });
    }
    await expect(engineer.whoami(bench.signal)).rejects.toMatchObject(BLOCKED);
    await expect(requestSession(bench, run.client)).rejects.toMatchObject(BLOCKED);
    await expect(logIn('engineer')).rejects.toMatchObject(BLOCKED);
    await bench.restart();
    await expect(logIn('engineer')).rejects.toMatchObject(BLOCKED);
    expect(await lift(made.id)).toMatchObject({ block: { state: 'lifted' } });
    const again = await logIn('engineer');
    expect((await again.whoami(bench.signal)).name).toBe('engineer@example.com');
    // What ended stays ended.
    await expect(engineer.whoami(bench.signal)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: `Blocked by dba@example.com: INC-4711 (block ${made.id}).`,
    });
    await again[Symbol.asyncDispose]();
  });

  test('is told at once to a run that waits for its end, and nothing to others', async () => {
    const engineer = await logIn('engineer');
    await using run = await startRun(bench, engineer);
    await using nested = await startRun(bench, run.client);
    let isOver = false;
    const other = (await startRun(bench, approver)).client
      .untilLoginEnds(1, bench.signal)
      .then(() => {
        isOver = true;
      });
    const waits = [run, nested].map(({ client }) => client.untilLoginEnds(25, bench.signal));
    const ends = Promise.allSettled(waits);
    await block('engineer@example.com');
    const refused = { status: 'rejected', reason: BLOCKED };
    expect(await ends).toMatchObject([refused, refused]);
    await other;
    expect(isOver).toBe(true);
    await engineer[Symbol.asyncDispose]();
  });

  test('on a target leaves the login and what else it reaches, and ends by itself', async () => {
    const engineer = await logIn('engineer');
    const session = await TestSession.open(bench, engineer);
    const made = await block('engineer@example.com', { target: 'prod-db', durationSeconds: 60 });
    expect(made).toMatchObject({ logins: 0, sessions: 1 });
    await session.finish();
    expect((await engineer.targets(bench.signal)).targets).toEqual([]);
    await expect(requestSession(bench, engineer)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_BLOCKED',
      message: 'you are blocked on target "prod-db"',
    });
    const known = (await listed(engineer)).filter(({ state }) => state === 'active');
    expect(known).toMatchObject([{ id: made.block.id, target: 'prod-db' }]);
    bench.clock.offsetMs += 61_000;
    const next = await requestSession(bench, engineer);
    await engineer.endSession(next.reply.session, bench.signal);
    expect((await listed())[0]).toMatchObject({ state: 'expired' });
    await expect(lift(made.block.id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_ENDED' });
    await engineer[Symbol.asyncDispose]();
  });

  test('holds for the same subject under another name, and only for whom it means', async () => {
    const engineer = await logIn('engineer');
    const { sub } = await engineer.whoami(bench.signal);
    const made = await block(`user:${sub}`);
    expect(made.block.subjects).toEqual([{ issuer: bench.provider.issuer, sub }]);
    await expect(engineer.whoami(bench.signal)).rejects.toMatchObject(BLOCKED);
    const auditor = await logIn('auditor');
    expect((await auditor.whoami(bench.signal)).name).toBe('auditor@example.com');
    await auditor[Symbol.asyncDispose]();
  });

  test('is for approvers only, and none lifts a block of their own', async () => {
    const engineer = await logIn('engineer');
    await expect(block('auditor', {}, engineer)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
    });
    const made = await block('engineer@example.com', { target: 'prod-db' });
    await expect(lift(made.block.id, engineer)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
    });
    const own = await block('dba@example.com', { target: 'prod-db', durationSeconds: 60 });
    await expect(lift(own.block.id)).rejects.toMatchObject({
      message: 'you cannot lift a block on yourself',
    });
    await using run = await startRun(bench, engineer);
    await expect(block('auditor', {}, run.client)).rejects.toMatchObject({
      code: 'HOOP_RUN_REFUSED',
    });
    await engineer[Symbol.asyncDispose]();
    bench.clock.offsetMs += 61_000;
  });
});

describe('a block of an agent', () => {
  test('ends its runs and their sessions, and leaves those whom it worked for', async () => {
    const engineer = await logIn('engineer');
    await using run = await startRun(bench, engineer, { agent: 'devin' });
    const session = await TestSession.open(bench, run.client);
    const own = await TestSession.open(bench, engineer);
    const made = await block('devin');
    expect(made).toMatchObject({ block: { kind: 'agent' }, logins: 1, sessions: 1 });
    await session.finish();
    const refused = { code: 'HOOP_ACCESS_BLOCKED', message: 'agent "devin" is blocked' };
    await expect(requestSession(bench, run.client)).rejects.toMatchObject(refused);
    await expect(startRun(bench, engineer, { agent: 'devin' })).rejects.toMatchObject(refused);
    await expect(startRun(bench, engineer, { command: ['devin'] })).rejects.toMatchObject(refused);
    expect((await engineer.session(own.id, bench.signal)).state).toBe('live');
    await own.close();
    await lift(made.block.id);
    await using back = await startRun(bench, engineer, { agent: 'devin' });
    expect(back.reply.agent).toBe('devin');
    await engineer[Symbol.asyncDispose]();
  });
});

describe('ending a session', () => {
  test('of a run ends the login of the run; --login that of the person, too', async () => {
    const engineer = await logIn('engineer');
    await using run = await startRun(bench, engineer);
    const ofRun = await TestSession.open(bench, run.client);
    const ending = approver.endSession(ofRun.id, bench.signal, { reason: 'enough' });
    await ofRun.finish();
    expect(await ending).toMatchObject({ endReason: 'revoked', logins: 1 });
    await expect(requestSession(bench, run.client)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: expect.stringMatching(/^.*dba@example\.com.*enough.*\.$/),
    });
    const own = await TestSession.open(bench, engineer);
    const all = approver.endSession(own.id, bench.signal, { login: true });
    await own.finish();
    expect(await all).toMatchObject({ logins: 1 });
    await expect(engineer.whoami(bench.signal)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
    });
  });

  test('of a run by the run itself leaves its login', async () => {
    const engineer = await logIn('engineer');
    await using run = await startRun(bench, engineer);
    const session = await TestSession.open(bench, run.client);
    const ending = run.client.endSession(session.id, bench.signal);
    await session.finish();
    expect(await ending).toMatchObject({ logins: 0 });
    expect((await run.client.whoami(bench.signal)).run?.id).toBe(run.reply.run);
    await engineer[Symbol.asyncDispose]();
  });
});
