/** When an SSH connection tells its session that it is busy, so that `limits.idleTime` does not end it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decideSsh } from '../../../../src/connectors/ssh/policy/decide-ssh.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench } from './ssh-stream-bench.ts';

describe.skipIf(findSshd() === undefined)('an SSH connection', () => {
  let bench: SshStreamBench;
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  function watched() {
    const work = new Set<() => boolean>();
    return {
      work,
      isBusy: () => [...work].some((isBusy) => isBusy()),
      watchWork: (isBusy: () => boolean) => {
        work.add(isBusy);
        return () => work.delete(isBusy);
      },
    };
  }

  test('is busy while a command runs that says nothing', async () => {
    const { isBusy, watchWork } = watched();
    const stream = await bench.connected({ watchWork });
    expect(isBusy()).toBe(false);
    stream.open(0);
    await stream.frame('opened', 0);
    expect(isBusy()).toBe(false);
    // Silent until its input ends.
    stream.exec(0, 'cat >/dev/null');
    await stream.frame('success', 0);
    expect(isBusy()).toBe(true);
    stream.send({ type: 'eof', channel: 0 });
    await stream.frame('close', 0);
    stream.send({ type: 'close', channel: 0 });
    expect(isBusy()).toBe(false);
  });

  test('is not busy with a shell, with sftp, nor with a command that was refused', async () => {
    const { isBusy, watchWork } = watched();
    const stream = await bench.connected({
      watchWork,
      decide: (grant, user, act) =>
        act.kind === 'exec'
          ? decideSsh(grantOf('{ name: shell, allow: { ssh: shell } }'), user, act)
          : decideSsh(grant, user, act),
    });
    for (const [channel, request] of [
      { kind: 'shell' } as const,
      { kind: 'subsystem', name: 'sftp' } as const,
    ].entries()) {
      stream.open(channel);
      await stream.frame('opened', channel);
      stream.request(channel, request);
      await stream.frame('success', channel);
      expect(isBusy()).toBe(false);
    }
    stream.open(2);
    await stream.frame('opened', 2);
    stream.exec(2, 'true');
    await stream.frame('exitStatus', 2);
    expect(isBusy()).toBe(false);
  });

  test('that has ended is not asked any more', async () => {
    const { work, watchWork } = watched();
    const stream = await bench.connected({ watchWork });
    expect(work.size).toBe(1);
    stream.client.destroy();
    await stream.done;
    expect(work.size).toBe(0);
  });
});
