import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/api/http.ts';
import { TargetsReply } from '../../../src/api/targets.ts';
import type { GatewayClient } from '../../../src/client/gateway-client.ts';
import { openCertificate } from '../../../src/recording/keys/certificate.ts';
import { openKeyring } from '../../../src/recording/keys/keyring.ts';
import { ENGINEERS, type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { startRun } from '../run-client.ts';
import { requestSession, TestSession } from '../test-session.ts';

const DEVIN = `name: devin
match: [{ program: devin }, { program: node, arguments: ["*devin*"] }]
targets: { names: [prod-db] }
limits: { maxTime: 10m, maxConnections: 1 }
masks: [{ column: public.customers.ssn, mask: full }]
rules: [{ name: read, allow: { verbs: [select], relations: [public.orders] } }]
`;
const OTHERS = {
  'agents/claude.yaml':
    'name: claude\nmatch: [{ program: node, arguments: ["*claude*"] }]\nwho: { groups: [dba] }\ntargets: { names: [prod-db] }\nstatements: anything\n',
  'agents/bot.yaml':
    'name: bot\nidentities: { groups: [agents] }\ntargets: { names: [prod-db] }\nrules: [{ allow: { verbs: [select] } }]\n',
};

let bench: GatewayBench;
let engineer: GatewayClient;
beforeAll(async () => {
  bench = await startGatewayBench();
  const files = { 'agents/devin.yaml': DEVIN, ...OTHERS };
  await bench.policy.commit({ files, message: 'agents' });
  await bench.restart();
  engineer = await bench.client('engineer');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const run = (options: { agent?: string; command?: string[] }, parent = engineer) =>
  startRun(bench, parent, options);

describe('the agent of a run', () => {
  test('is the one that is named, or the one whose command it is, or none', async () => {
    for (const [asked, agent] of [
      [{ agent: 'devin', command: ['bash'] }, 'devin'],
      [{ command: ['/opt/bin/devin', '--serve'] }, 'devin'],
      [{ command: ['psql', '-c', 'select'] }, undefined],
    ] as const) {
      await using started = await run({ ...asked, command: [...asked.command] });
      expect(started.reply.agent).toBe(agent);
      expect((await started.client.whoami(bench.signal)).agent).toBe(agent);
    }
  });

  test('that is unknown is refused, with those that are known to whoever asks', async () => {
    await expect(run({ agent: 'dewin' })).rejects.toMatchObject({
      code: 'HOOP_AGENT_UNKNOWN',
      hint: 'Yours: bot, devin.',
    });
  });

  test('that may not act for somebody is refused, also when it was recognised', async () => {
    for (const asked of [{ agent: 'claude' }, { command: ['node', 'claude.js'] }]) {
      await expect(run(asked)).rejects.toMatchObject({
        code: 'HOOP_ACCESS_DENIED',
        message: 'agent "claude" may not act for you',
      });
    }
    await using allowed = await run({ agent: 'claude' }, await bench.client('dba'));
    expect(allowed.reply.agent).toBe('claude');
  });

  test('has to be named where the command is that of two', async () => {
    const command = ['node', 'devin-and-claude.js'];
    await expect(run({ command })).rejects.toMatchObject({
      code: 'HOOP_USAGE',
      detail: 'In the policy it belongs to claude, devin.',
    });
    await using named = await run({ agent: 'devin', command });
    expect(named.reply.agent).toBe('devin');
  });

  test('is that of every run within it, and no other', async () => {
    await using outer = await run({ agent: 'devin' });
    await using inner = await run({ command: ['psql'] }, outer.client);
    expect(inner.reply.agent).toBe('devin');
    await using same = await run({ agent: 'devin' }, inner.client);
    expect(same.reply.parent).toBe(inner.reply.run);
    await expect(run({ agent: 'bot' }, outer.client)).rejects.toMatchObject({
      code: 'HOOP_RUN_REFUSED',
      message: 'agent "devin" cannot start runs of another agent',
      detail: 'This run is that agent’s, and so is every run started within it.',
    });
    await using plain = await run({ command: ['make'] });
    await using narrower = await run({ agent: 'devin' }, plain.client);
    expect(narrower.reply.agent).toBe('devin');
  });
});

describe('a session of an agent', () => {
  test('has the limits and masks of both, and says whose it is', async () => {
    await using started = await run({ agent: 'devin' });
    const session = await TestSession.open(bench, started.client);
    expect(session.reply.limits).toMatchObject({
      maxTimeSeconds: 600,
      idleTimeSeconds: 600,
      maxConnections: 1,
    });
    expect(session.reply.masked.map(({ column }) => column).sort()).toEqual([
      'public.customers.email',
      'public.customers.ssn',
    ]);
    const shown = { agent: 'devin', run: started.reply.run, principal: 'engineer@example.com' };
    expect(await engineer.session(session.id, bench.signal)).toMatchObject(shown);
    const info = await engineer.info(bench.signal);
    const keyring = openKeyring(info.keyring, Buffer.from(info.rootKey, 'base64'));
    const certificate = openCertificate(session.reply.certificate, keyring);
    expect(certificate.act).toEqual({ agent: 'devin', isAgent: false, run: started.reply.run });
    expect(certificate.name).toBe('engineer@example.com');
    await session.close();
  });

  test('of nobody’s says nothing of one', async () => {
    const { reply } = await requestSession(bench, 'engineer');
    const info = await engineer.info(bench.signal);
    const keyring = openKeyring(info.keyring, Buffer.from(info.rootKey, 'base64'));
    expect(openCertificate(reply.certificate, keyring).act).toBeUndefined();
    const shown = await engineer.session(reply.session, bench.signal);
    expect([shown.agent, shown.run]).toEqual([undefined, undefined]);
    await engineer.endSession(reply.session, bench.signal);
  });

  test('targets tell what both need', async () => {
    await using started = await run({ agent: 'devin' });
    const request = { method: 'GET', path: PATHS.targets } as const;
    const { targets } = await started.client.json(TargetsReply, request, bench.signal);
    expect(targets).toMatchObject([
      {
        rules: ['engineers/read: allow select on public.*'],
        agentRules: ['agents/devin/read: allow select on public.orders'],
      },
    ]);
  });

  test('is not to be had where only the person has something, and the refusal says so', async () => {
    await using own = await startGatewayBench();
    const elsewhere = DEVIN.replace('prod-db', 'test-db');
    const target = 'name: test-db\nkind: postgres\ndatabase: postgres\ncredential: prod-db\n';
    const files = { 'agents/devin.yaml': elsewhere, 'targets/test-db.yaml': target };
    await own.policy.commit({ files, message: 'another target' });
    await own.restart();
    await using started = await startRun(own, await own.client('engineer'), { agent: 'devin' });
    await expect(requestSession(own, started.client)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
      message: 'no access to target "prod-db" for devin for engineer@example.com',
      detail: expect.stringContaining('but not agent devin (agents/devin.yaml)'),
    });
    await expect(requestSession(own, started.client, { target: 'test-db' })).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
    });
  });

  test('ends when its agent leaves the policy; the person’s goes on, and the run gets no other', async () => {
    await using own = await startGatewayBench();
    await own.policy.commit({ files: { 'agents/devin.yaml': DEVIN }, message: 'devin' });
    await own.restart();
    const person = await own.client('engineer');
    await using started = await startRun(own, person, { agent: 'devin' });
    const session = await TestSession.open(own, started.client);
    const persons = await TestSession.open(own, person);
    const other = DEVIN.replaceAll('devin', 'other');
    const files = { 'agents/other.yaml': other, 'agents/devin.yaml': undefined };
    await own.policy.commit({ files, message: 'no devin' });
    expect((await session.message('closing')).reason).toBe('revoked');
    await session.finish();
    await expect(requestSession(own, started.client)).rejects.toMatchObject({
      code: 'HOOP_AGENT_UNKNOWN',
      hint: 'Yours: other.',
    });
    expect((await person.session(persons.id, own.signal)).state).toBe('live');
    await persons.close();
  });
});

describe('a login that is an agent itself', () => {
  test('has what its agent may do, and is named once', async () => {
    const devin = await bench.client('devin');
    expect(await devin.whoami(bench.signal)).toMatchObject({ agent: 'bot', isAgent: true });
    const { targets } = await devin.targets(bench.signal);
    expect(targets[0]?.agentRules).toEqual(['agents/bot/rule-1: allow select']);
    const { reply } = await requestSession(bench, devin);
    expect(await devin.session(reply.session, bench.signal)).toMatchObject({
      agent: 'bot',
      isAgent: true,
      principal: 'devin@agents.example.com',
    });
    await devin.endSession(reply.session, bench.signal);
  });

  test('starts runs of no other agent', async () => {
    const devin = await bench.client('devin');
    await expect(run({ agent: 'devin' }, devin)).rejects.toMatchObject({
      code: 'HOOP_RUN_REFUSED',
      message: 'agent "bot" cannot start runs of another agent',
      detail: expect.stringContaining('This login is the agent’s own'),
    });
    await using own = await run({ command: ['devin'] }, devin);
    expect(own.reply.agent).toBe('bot');
  });
});

test('a policy for agents alone gives nothing to the person', async () => {
  await using own = await startGatewayBench();
  const engineers = ENGINEERS.replace('agents]', 'agents], agents: [devin]');
  const files = { 'agents/devin.yaml': DEVIN, 'policies/engineers.yaml': engineers };
  await own.policy.commit({ files, message: 'agents only' });
  await own.restart();
  const person = await own.client('engineer');
  expect((await person.targets(own.signal)).targets).toEqual([]);
  await using started = await startRun(own, person, { agent: 'devin' });
  expect((await started.client.targets(own.signal)).targets).toHaveLength(1);
});
