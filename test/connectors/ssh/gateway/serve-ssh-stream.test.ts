import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeInit, encodeRequest } from '../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench } from './ssh-stream-bench.ts';

let bench: SshStreamBench;

describe.skipIf(findSshd() === undefined)('the SSH engine', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('runs a command with its input, both outputs and its status, in the order of RFC 4254', async () => {
    const stream = await bench.connected();
    const outcome = await stream.run(0, 'cat; echo problem >&2; exit 3', Buffer.from('input\n'));
    expect(outcome).toMatchObject({ stderr: 'problem\n', status: 3 });
    expect(outcome.stdout.toString()).toBe('input\n');
    expect(outcome.order[0]).toBe('opened');
    expect(outcome.order.at(-1)).toBe('close');
    expect(stream.frames[0]).toMatchObject({
      type: 'hello',
      software: expect.stringContaining('OpenSSH'),
    });
    expect(stream.events).toMatchObject([
      { type: 'ssh.target', user: bench.server.user, hostKey: expect.stringMatching(/^SHA256:/) },
      { type: 'decision', effect: 'allow', verbs: ['exec'], statement: 1 },
      { type: 'result', statement: 1, tag: 'exit 3' },
      { type: 'ssh.channel', channel: 0, up: 6, down: 6, stderr: 8, exitStatus: 3 },
    ]);
  });

  test('gives a command what came before it was asked for', async () => {
    const stream = await bench.connected();
    stream.open(0);
    await stream.frame('opened', 0);
    stream.send({ type: 'data', channel: 0, data: Buffer.from('ear') });
    stream.send({ type: 'data', channel: 0, data: Buffer.from('ly') });
    stream.send({ type: 'eof', channel: 0 });
    stream.exec(0, 'cat');
    await stream.frame('close', 0);
    expect(stream.outcome(0).stdout.toString()).toBe('early');
  });

  test('records what sftp was asked for at its place, also when that was before sftp itself', async () => {
    const stream = await bench.connected();
    stream.open(0);
    await stream.frame('opened', 0);
    const stat = encodeRequest(1, { type: 'stat', path: Buffer.from('/etc') });
    stream.send({ type: 'data', channel: 0, data: encodeInit(3) });
    stream.send({ type: 'data', channel: 0, data: stat });
    stream.request(0, { kind: 'subsystem', name: 'sftp' });
    const places = await stream.until(() => {
      const all = stream.events.flatMap((event) =>
        event.type === 'decision' ? [{ verb: event.verbs[0], at: event.at }] : [],
      );
      return all.length === 2 ? all : undefined;
    });
    const [sftp, file] = places;
    expect([sftp?.verb, file?.verb]).toEqual(['sftp', 'sftp stat']);
    expect(file?.at).toBeLessThan(sftp?.at ?? 0);
  });

  test('refuses what no rule allows on stderr, with status 126, and the connection goes on', async () => {
    const grant = grantOf('{ name: shells, allow: { ssh: [shell] } }');
    const stream = await bench.connected({ grant: () => grant });
    const outcome = await stream.run(0, 'touch /tmp/never');
    expect(outcome.stderr).toMatch(/^hoop: touch is not allowed by policy/);
    expect(outcome.order).toEqual(['opened', 'success', 'stderr', 'exitStatus', 'eof', 'close']);
    expect(outcome.status).toBe(126);
    expect(stream.evidence).toMatchObject([{ type: 'denied', stream: stream.number }]);
    stream.open(1);
    await stream.frame('opened', 1);
  });

  test('who says hello has all the time of the session', async () => {
    const stream = await bench.connected({ limits: { helloWithinMs: 1000 } });
    const outcome = await stream.run(0, 'sleep 1.2; echo done');
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(outcome.stdout.toString()).toBe('done\n');
  });

  test('who says nothing is told so, and that is the end', async () => {
    const stream = bench.stream({ limits: { helloWithinMs: 20 } });
    expect((await stream.frame('disconnect')).message).toContain('did not say hello in time');
  });
});

test.skipIf(findSshd() === undefined)(
  'a forward to any host leads to no address of the server’s name, other hosts are asked for as ever',
  async () => {
    await using bench = await SshStreamBench.start();
    const grant = grantOf('allow: { ssh: forward, destinations: ["*:*"] }');
    const { port } = bench.server;
    const stream = await bench.connected({
      grant: () => grant,
      target: bench.target({ hosts: [{ host: 'localhost', port, shown: undefined }] }),
      // Its second interface.
      resolver: { resolve: async () => ['127.0.0.1', '192.0.2.7', '2001:db8::7'] },
    });
    const open = (channel: number, host: string): void => {
      const target = { host, port: 1, originHost: '127.0.0.1', originPort: 1 };
      stream.send({
        type: 'open',
        channel,
        target: { kind: 'direct-tcpip', ...target },
        window: 1,
      });
    };
    for (const [channel, host] of ['192.0.2.7', '2001:db8:0::7', 'localhost'].entries()) {
      open(channel, host);
      const { message } = await stream.frame('openFailed', channel);
      expect(message).toContain('not allowed by policy');
    }
  },
);
