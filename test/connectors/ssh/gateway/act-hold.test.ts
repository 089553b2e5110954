/** Commands that wait for people, with real requests and a real server. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { actApprovals } from '../../../../src/connectors/ssh/gateway/connector.ts';
import type { SshApprovals } from '../../../../src/connectors/ssh/gateway/types.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { HoopError } from '../../../../src/errors.ts';
import { ApprovalStore } from '../../../../src/gateway/approvals/approval-store.ts';
import { approvalView } from '../../../../src/gateway/approvals/approval-view.ts';
import { Approvals } from '../../../../src/gateway/approvals/approvals.ts';
import { reconsiderStatements } from '../../../../src/gateway/approvals/policy-standing.ts';
import { SealedJson } from '../../../../src/gateway/approvals/sealed-json.ts';
import { IndexStore } from '../../../../src/gateway/index/index-store.ts';
import type { Grant, Principal } from '../../../../src/policy/types.ts';
import { Secret } from '../../../../src/secret.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { NO_EVENTS } from '../../../gateway/no-events.ts';
import { grantOf, principal } from '../policy/ssh-fixture.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';

const erin = principal();
const lead = principal({ sub: 'lou', name: 'lou@example.org', groups: ['leads'] });

const HELD = grantOf('{ name: held, approve: { ssh: [exec] } }');
const LATER = grantOf('{ name: later, approve: { ssh: [exec], wait: no } }');

let bench: SshStreamBench;
let directory: string;
let index: IndexStore;
let approvals: Approvals;
let grant: Grant;

const policy = {
  grant: () => ({ grant }),
  identityProviders: () => [],
};

function approvalsOf(who: Principal, run?: string): SshApprovals {
  return actApprovals({
    approvals,
    policy,
    principal: who,
    session: 's1',
    run,
    reason: 'INC-1',
    prompt: () => undefined,
    target: bench.target(),
    clock: Date.now,
  });
}

function connected(): Promise<TestStream> {
  return bench.connected({ grant: () => grant, approvals: approvalsOf(erin) });
}

/** Opens a channel and asks for the command in it. */
async function asked(stream: TestStream, command: string, hasPty = false): Promise<string> {
  stream.open(0);
  await stream.frame('opened', 0);
  if (hasPty) {
    const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
    stream.request(0, { kind: 'pty-req', term: 'xterm', ...size, modes: Uint8Array.of(0) });
  }
  stream.exec(0, command);
  const held = await stream.until(() =>
    stream.events.find((event) => event.type === 'approval.held'),
  );
  return held.type === 'approval.held' ? held.request : '';
}

function outcomes(stream: TestStream): string[] {
  return stream.events.flatMap((event) => (event.type === 'approval.end' ? [event.outcome] : []));
}

describe.skipIf(findSshd() === undefined)('a command that needs approval', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hoop-hold-'));
    index = IndexStore.open(join(directory, 'index.sqlite'));
    const store = new ApprovalStore(
      index.store,
      new SealedJson(new Secret(new Uint8Array(32).fill(7))),
    );
    approvals = await Approvals.open({
      events: NO_EVENTS,
      node: 'node',
      store,
      isAgent: () => false,
      isBlocked: () => false,
      log: collectLog().log,
      clock: Date.now,
    });
    await approvals.handle('command', { needs: ({ needs }) => needs });
    grant = HELD;
  });
  afterEach(() => {
    approvals[Symbol.dispose]();
    index[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test('and is no text is refused: nobody can be shown it', async () => {
    const stream = await connected();
    stream.open(0);
    await stream.frame('opened', 0);
    stream.request(0, { kind: 'exec', command: Uint8Array.of(0x69, 0x64, 0x20, 0xff) });
    await stream.frame('close', 0);
    expect(stream.outcome(0)).toMatchObject({
      status: 126,
      stderr: expect.stringContaining('is not UTF-8'),
    });
    expect(stream.events.some((event) => event.type === 'approval.held')).toBe(false);
  });

  test('is bound to whom it is done for', () => {
    const binding = (requester: string): string =>
      approvalsOf({ ...erin, requester }).bindingOf({
        stream: 1,
        at: 0,
        act: { kind: 'exec', command: 'id' },
        user: 'deploy',
        command: undefined,
        demands: [],
        touches: [],
        policyCommit: 'c',
      });
    expect(binding('ada@example.org')).toBe(binding('ada@example.org'));
    expect(binding('ada@example.org')).not.toBe(binding('bob@example.org'));
  });

  test('waits where it is, is seen whole with its login, and runs once it is approved', async () => {
    const stream = await connected();
    const id = await asked(stream, 'echo "done"; cat');
    stream.send({ type: 'data', channel: 0, data: Buffer.from('input\n') });
    stream.send({ type: 'eof', channel: 0 });
    expect(
      await approvalView(approvals, await approvals.visible(lead, id), lead, false),
    ).toMatchObject({
      kind: 'command',
      target: 'web-1',
      reason: 'INC-1',
      command: { verb: 'exec', text: 'echo "done"; cat', user: bench.server.user, waits: true },
    });
    expect(stream.events.find(({ type }) => type === 'approval.held')).toMatchObject({
      view: [
        { fields: [{}, { name: 'act', value: 'exec' }] },
        { type: 'code', language: 'shell', text: 'echo "done"; cat' },
        { fields: [{}, { name: 'login', value: bench.server.user }] },
      ],
    });
    await stream.frame('stderr', 0);
    expect(stream.outcome(0).stderr).toContain(`held for approval, request ${id}`);
    expect(stream.outcome(0).stdout.length).toBe(0);
    await approvals.decide(lead, id, { decision: 'approve', reason: 'go' });
    await stream.frame('close', 0);
    expect(stream.outcome(0).stdout.toString()).toBe('done\ninput\n');
    expect(stream.outcome(0).status).toBe(0);
    stream.send({ type: 'close', channel: 0 });
    await stream.until(() => stream.events.find(({ type }) => type === 'ssh.channel'));
    expect(stream.events.map(({ type }) => type)).toEqual([
      'ssh.target',
      'approval.held',
      'approval.vote',
      'approval.end',
      'decision',
      'result',
      'ssh.channel',
    ]);
    expect(stream.events.find(({ type }) => type === 'decision')).toMatchObject({
      effect: 'approve',
      rules: [{ id: 'p/held' }],
    });
    expect((await approvals.visible(erin, id)).state).toBe('used');
  });

  test('does not run when it is denied, and says who said so and why', async () => {
    const stream = await connected();
    const id = await asked(stream, 'echo never');
    await approvals.decide(lead, id, { decision: 'deny', reason: 'not on a Friday' });
    await stream.frame('close', 0);
    const { stderr, stdout, status } = stream.outcome(0);
    expect(status).toBe(126);
    expect(stdout.length).toBe(0);
    expect(stderr).toContain('lou@example.org denied request');
    expect(stderr).toContain('not on a Friday');
    expect(outcomes(stream)).toEqual(['denied']);
  });

  test.each<[string, (stream: TestStream) => void]>([
    ['the client closes the channel', (stream) => stream.send({ type: 'close', channel: 0 })],
    [
      'a signal comes for it',
      (stream) => stream.request(0, { kind: 'signal', name: 'INT' }, false),
    ],
    [
      'Ctrl-C is typed on its terminal',
      (stream) => stream.send({ type: 'data', channel: 0, data: Uint8Array.of(3) }),
    ],
    ['the client leaves', (stream) => stream.client.end()],
    [
      'the session ends',
      (stream) => stream.session.abort(new HoopError('HOOP_SESSION_EXPIRED', 'over')),
    ],
  ])('is withdrawn when %s, and never runs', async (_, act) => {
    const stream = await connected();
    const id = await asked(stream, 'echo never', true);
    act(stream);
    await stream.until(() => (outcomes(stream).length > 0 ? true : undefined)).catch(() => true);
    expect(outcomes(stream)).toEqual(['withdrawn']);
    expect((await approvals.visible(erin, id)).state).toBe('withdrawn');
    await expect(approvals.decide(lead, id, { decision: 'approve' })).rejects.toThrow();
    expect(stream.outcome(0).stdout.length).toBe(0);
  });

  test('and is asked for twice in a run happens once, and the other is told where', async () => {
    const stream = await bench.connected({
      grant: () => grant,
      approvals: approvalsOf(erin, 'run-1'),
    });
    const id = await asked(stream, 'echo once');
    stream.open(1);
    await stream.frame('opened', 1);
    stream.exec(1, 'echo once');
    await stream.until(() => {
      const held = stream.events.filter(({ type }) => type === 'approval.held');
      return held.length === 2 ? held : undefined;
    });
    await approvals.decide(lead, id, { decision: 'approve' });
    await Promise.all([stream.frame('close', 0), stream.frame('close', 1)]);
    const both = [0, 1].map((channel) => stream.outcome(channel));
    expect(both.map(({ stdout }) => stdout.toString()).sort()).toEqual(['', 'once\n']);
    const told = both.find(({ stdout }) => stdout.length === 0)?.stderr;
    expect(told).toContain('it happened on another channel or connection of this run');
    expect(told).toContain('Check what it did.');
  });

  test('is refused when the policy changes its mind while it waits', async () => {
    const stream = await connected();
    const id = await asked(stream, 'echo never');
    grant = grantOf('{ name: shells, allow: { ssh: [shell] } }');
    await reconsiderStatements(approvals, policy);
    await stream.frame('close', 0);
    expect(stream.outcome(0).status).toBe(126);
    expect(outcomes(stream)).toEqual(['void']);
    expect((await approvals.visible(erin, id)).state).toBe('void');
  });

  test('with `wait: no` fails at once, and runs once when it is asked for again', async () => {
    grant = LATER;
    const stream = await connected();
    const first = await stream.run(0, 'echo ran');
    expect(first).toMatchObject({ status: 126, stderr: expect.stringContaining('is waiting') });
    const [record] = await approvals.list(erin, { isOpen: true, limit: 10 });
    await approvals.decide(lead, record?.id ?? '', { decision: 'approve' });
    expect((await stream.run(1, 'echo else')).status).toBe(126);
    expect((await stream.run(2, 'echo ran')).stdout.toString()).toBe('ran\n');
    expect((await stream.run(3, 'echo ran')).status).toBe(126);
  });
});
