import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReplyOrder } from '../../../../src/connectors/ssh/gateway/reply-order.ts';
import type { UpFrame } from '../../../../src/connectors/ssh/protocol/frame.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import type { AskedApproval } from '../../../../src/gateway/approvals/asked-approval.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench } from './ssh-stream-bench.ts';

/** An answer that waits for the text in front of it, and that for credit. */
const DROPPED: UpFrame = {
  type: 'request',
  channel: 0,
  wantReply: true,
  request: { kind: 'env', name: 'LD_PRELOAD', value: '/tmp/x.so' },
};

let bench: SshStreamBench;

describe.skipIf(findSshd() === undefined)('a client that asks for ever', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('for commands that take long to read waits, and is not refused; others do not wait', async () => {
    const grant = grantOf('allow: { ssh: exec, commands: ["echo **"] }');
    const greedy = await bench.connected({ grant: () => grant });
    // sshd takes ten.
    const count = 10;
    for (let channel = 0; channel < count; channel += 1) {
      greedy.open(channel);
      await greedy.frame('opened', channel);
    }
    for (let channel = 0; channel < count; channel += 1) {
      greedy.exec(channel, `echo ${'a;'.repeat(30_000)}`);
    }
    await greedy.frame('close', 0);
    expect(greedy.outcome(0)).toMatchObject({ status: 126 });
    const other = await bench.connected({ grant: () => grant });
    expect(await other.run(0, 'echo in time')).toMatchObject({ status: 0 });
    // The rest takes ten seconds at least.
    expect(greedy.frames.filter(({ type }) => type === 'close').length).toBeLessThan(count);
  });

  test('and gives no credit for what is said to it ends its own stream', async () => {
    const grant = grantOf('approve: { ssh: exec, approvers: [leads] }');
    const never = new Promise<never>(() => undefined);
    const stream = await bench.connected({
      grant: () => grant,
      approvals: {
        bindingOf: () => 'same',
        viewOf: () => [],
        ask: async (): Promise<AskedApproval> => ({
          id: 'request',
          waits: true,
          lacking: [],
          binding: 'same',
          waitsUntilMs: Date.now() + 60_000,
          standing: { state: 'waiting', votes: [], outcome: undefined },
          decided: never,
          policyChanged: () => never,
          isKept: false,
          isUsed: async () => false,
          leave: async () => undefined,
          use: async () => undefined,
          end: async () => undefined,
        }),
      },
    });
    stream.open(0, 0);
    await stream.frame('opened', 0);
    stream.exec(0, 'true');
    for (let sent = 0; sent < 20_000; sent += 1000) {
      stream.send(...Array.from({ length: 1000 }, () => DROPPED));
    }
    await expect(stream.done).resolves.toMatchObject({
      reason: expect.stringContaining('gives no credit'),
    });
  });
});

test('requests that nobody answers are counted', () => {
  const replies = new ReplyOrder(() => undefined);
  for (let asked = 0; asked < 1024; asked += 1) {
    replies.next();
  }
  expect(() => replies.next()).toThrow('before it has been answered');
});
