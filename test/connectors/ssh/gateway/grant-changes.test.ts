import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SshStreamOptions } from '../../../../src/connectors/ssh/gateway/types.ts';
import { OPEN_FLAG, REPLY } from '../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import { encodeInit, encodeRequest } from '../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';

const COMMANDS = 'allow: { ssh: exec, commands: ["cat **", "echo **"] }';
const ALL = grantOf(COMMANDS, 'allow: { ssh: [shell, sftp, forward] }');

const HELD_ELSEWHERE =
  'approve: { ssh: sftp, paths: ["/elsewhere/**"], operations: [read], approvers: [leads] }';
const HELD_READING =
  'approve: { ssh: sftp, paths: ["/etc/**"], operations: [read], approvers: [leads] }';

/** Whether the second packet is there, and is a handle. */
function isOpen(bytes: Buffer): boolean {
  const second = bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readUInt32BE(0);
  return bytes[second + 4] === REPLY.handle;
}

let bench: SshStreamBench;

/** A stream, and how its grant becomes another one. */
async function changing(
  grant: Grant,
  changes: Partial<SshStreamOptions> = {},
): Promise<{ stream: TestStream; change: (next: Grant) => void }> {
  let now = grant;
  let changed: (() => void) | undefined;
  const stream = await bench.connected({
    ...changes,
    grant: () => now,
    onGrantChanged: (listener) => {
      changed = listener;
      return () => undefined;
    },
  });
  return {
    stream,
    change: (next) => {
      now = next;
      changed?.();
    },
  };
}

describe.skipIf(findSshd() === undefined)('when access changes while something runs', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('a shell that is not allowed any more ends, and a command that is goes on', async () => {
    const { stream, change } = await changing(ALL);
    stream.open(0);
    stream.open(1);
    await stream.frame('opened', 0);
    await stream.frame('opened', 1);
    stream.request(0, { kind: 'shell' });
    await stream.frame('success', 0);
    stream.exec(1, 'cat');
    await stream.frame('success', 1);
    change(grantOf(COMMANDS));
    await stream.frame('close', 0);
    expect(stream.outcome(0)).toMatchObject({
      status: 126,
      stderr: expect.stringMatching(/^hoop: ended, because access has changed: a shell is not/),
    });
    stream.send({ type: 'data', channel: 1, data: Buffer.from('still here') });
    stream.send({ type: 'eof', channel: 1 });
    await stream.frame('close', 1);
    expect(stream.outcome(1)).toMatchObject({ status: 0, stdout: Buffer.from('still here') });
  });

  test('what needs approval from now on, and had none, ends', async () => {
    const { stream, change } = await changing(ALL);
    stream.open(0);
    await stream.frame('opened', 0);
    stream.request(0, { kind: 'shell' });
    await stream.frame('success', 0);
    change(grantOf(COMMANDS, 'approve: { ssh: shell, approvers: [leads] }'));
    await stream.frame('close', 0);
    expect(stream.outcome(0).stderr).toContain('it needs approval now');
  });

  test('a file that is open and needs approval from now on, and had none, ends its channel', async () => {
    const { stream, change } = await changing(ALL);
    stream.open(0);
    await stream.frame('opened', 0);
    stream.request(0, { kind: 'subsystem', name: 'sftp' });
    const path = Buffer.from('/etc/hostname');
    const open = { type: 'open', path, flags: OPEN_FLAG.read, attributes: {} } as const;
    for (const data of [encodeInit(3), encodeRequest(1, open)]) {
      stream.send({ type: 'data', channel: 0, data });
    }
    await stream.until(() => (isOpen(stream.outcome(0).stdout) ? true : undefined));
    change(grantOf(COMMANDS, 'allow: { ssh: sftp }', HELD_ELSEWHERE));
    change(grantOf(COMMANDS, 'allow: { ssh: sftp }', HELD_READING));
    await stream.frame('close', 0);
    expect(stream.outcome(0)).toMatchObject({
      status: 126,
      stderr: expect.stringContaining('it needs approval now'),
    });
  });

  test('a forward that is not allowed any more ends', async () => {
    const { stream, change } = await changing(grantOf(COMMANDS, 'allow: { ssh: forward }'));
    const { host, port } = bench.server;
    stream.send({
      type: 'open',
      channel: 0,
      window: 100_000,
      target: { kind: 'direct-tcpip', host, port, originHost: '127.0.0.1', originPort: 1 },
    });
    await stream.frame('opened', 0);
    await stream.frame('data', 0);
    change(grantOf(COMMANDS));
    await stream.frame('close', 0);
  });

  test('a forward that was allowed when it was asked for, and not when it is there, ends', async () => {
    let whileLookedUp = (): void => undefined;
    const { stream, change } = await changing(grantOf(COMMANDS, 'allow: { ssh: forward }'), {
      resolver: {
        resolve: () => {
          whileLookedUp();
          return Promise.resolve([bench.server.host]);
        },
      },
    });
    whileLookedUp = () => change(grantOf(COMMANDS));
    stream.send({
      type: 'open',
      channel: 0,
      window: 100_000,
      target: {
        kind: 'direct-tcpip',
        host: 'db.internal',
        port: bench.server.port,
        originHost: '127.0.0.1',
        originPort: 1,
      },
    });
    await stream.frame('close', 0);
  });
});
