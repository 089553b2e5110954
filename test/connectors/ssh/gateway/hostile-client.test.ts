/** What a client of its own making may send: each ends the stream, or costs nothing but itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CHANNEL_WINDOW_BYTES,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';

const HELLO: UpFrame = { type: 'hello', from: 'client', user: '', software: 'test' };
const SESSION = { kind: 'session' } as const;

let bench: SshStreamBench;

/** The stream ends with a protocol error, and the client is told. */
async function brokenBy(stream: TestStream, what: RegExp): Promise<void> {
  const { problem } = await stream.done;
  expect(problem?.code).toBe('HOOP_PROTOCOL');
  expect(problem?.message).toMatch(what);
  expect(stream.frames.at(-1)).toMatchObject({ type: 'disconnect' });
}

async function withChannel(window?: number): Promise<TestStream> {
  const stream = await bench.connected();
  stream.open(5, window);
  await stream.frame('opened', 5);
  return stream;
}

describe.skipIf(findSshd() === undefined)('a hostile client', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start({ settings: { MaxSessions: '200' } });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test.each<[string, readonly UpFrame[]]>([
    ['open', [{ type: 'open', channel: 0, target: SESSION, window: 1 }]],
    ['data', [{ type: 'data', channel: 0, data: Uint8Array.of(1) }]],
    ['eof', [{ type: 'eof', channel: 0 }]],
    ['what it has refused', [{ type: 'notCarried', what: 'agent' }]],
  ])('that sends %s before its hello is cut off, and the target hears nothing', async (_, sent) => {
    const stream = bench.stream();
    stream.send(...sent);
    await brokenBy(stream, /before the connection/);
    expect(stream.events).toEqual([]);
  });

  test('that does not wait for the hello of the gateway is cut off', async () => {
    const stream = bench.stream();
    stream.send(HELLO, { type: 'open', channel: 0, target: SESSION, window: 1 });
    await brokenBy(stream, /before the connection/);
  });

  test('that says hello twice is cut off', async () => {
    const stream = await bench.connected();
    stream.send(HELLO);
    await brokenBy(stream, /hello twice/);
  });

  test('that tells of more than there is to refuse is cut off, and leaves one decision of each', async () => {
    const stream = await bench.connected();
    stream.send({ type: 'notCarried', what: 'agent' }, { type: 'notCarried', what: 'x11' });
    stream.send({ type: 'notCarried', what: 'agent' });
    await brokenBy(stream, /told twice/);
    const decisions = stream.events.filter(({ type }) => type === 'decision');
    expect(decisions).toMatchObject([
      { effect: 'refuse', verbs: ['agent'], relations: [], rules: [], code: 'HOOP_DENIED' },
      { effect: 'refuse', verbs: ['x11'] },
    ]);
  });

  test('that says nothing is cut off in time', async () => {
    const stream = bench.stream({ limits: { helloWithinMs: 50 } });
    await brokenBy(stream, /hello in time/);
  });

  test.each<[string, UpFrame]>([
    ['data', { type: 'data', channel: 6, data: Uint8Array.of(1) }],
    ['a request', { type: 'request', channel: 6, wantReply: true, request: { kind: 'shell' } }],
    ['credit', { type: 'window', channel: 6, bytes: 1 }],
    ['an end', { type: 'eof', channel: 6 }],
    ['a close', { type: 'close', channel: 6 }],
  ])('that sends %s on a channel that there is not is cut off', async (_, frame) => {
    const stream = await withChannel();
    stream.send(frame);
    await brokenBy(stream, /not open/);
  });

  test.each([5, 4])('that opens channel %d after 5 is cut off', async (channel) => {
    const stream = await withChannel();
    stream.open(channel);
    await brokenBy(stream, /again/);
  });

  test('that uses a channel before it is open is cut off', async () => {
    const stream = await bench.connected();
    stream.open(0);
    stream.exec(0, 'true');
    await brokenBy(stream, /not open/);
  });

  test('that uses a channel after its close is cut off', async () => {
    const stream = await withChannel();
    stream.send({ type: 'close', channel: 5 });
    await stream.frame('close', 5);
    stream.exec(5, 'true');
    await brokenBy(stream, /not open/);
  });

  test('that asks for a command behind its close is cut off, and nothing was allowed', async () => {
    const stream = await withChannel();
    const request = { kind: 'exec', command: Buffer.from('true') } as const;
    stream.send(
      { type: 'close', channel: 5 },
      { type: 'request', channel: 5, wantReply: true, request },
    );
    await brokenBy(stream, /after its close/);
    expect(stream.events.filter(({ type }) => type === 'decision')).toEqual([]);
  });

  test('that sends data after its end, or ends twice, is cut off', async () => {
    const data = await withChannel();
    data.send({ type: 'eof', channel: 5 }, { type: 'data', channel: 5, data: Uint8Array.of(1) });
    await brokenBy(data, /after its end/);
    const eof = await withChannel();
    eof.send({ type: 'eof', channel: 5 }, { type: 'eof', channel: 5 });
    await brokenBy(eof, /twice/);
  });

  test('that sends more than its credit is cut off at the first byte beyond it', async () => {
    const stream = await withChannel();
    // Nothing runs: nothing takes it.
    for (let sent = 0; sent < CHANNEL_WINDOW_BYTES; sent += 65_536) {
      stream.send({ type: 'data', channel: 5, data: new Uint8Array(65_536) });
    }
    stream.exec(5, 'true');
    await stream.frame('success', 5);
    const other = await withChannel();
    for (let sent = 0; sent < CHANNEL_WINDOW_BYTES; sent += 65_536) {
      other.send({ type: 'data', channel: 5, data: new Uint8Array(65_536) });
    }
    other.send({ type: 'data', channel: 5, data: Uint8Array.of(1) });
    await brokenBy(other, /more than it had credit for/);
  });

  test('that gives credit beyond 4 GiB is cut off', async () => {
    const stream = await withChannel(0xffffffff);
    stream.send({ type: 'window', channel: 5, bytes: 1 });
    await brokenBy(stream, /4 GiB/);
  });

  test('that sends what is no frame is cut off', async () => {
    const stream = await bench.connected();
    stream.bytes(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await brokenBy(stream, /no frame/);
  });

  test('gets 64 channels and is told that there are no more; the others go on', async () => {
    const stream = await bench.connected();
    for (let channel = 0; channel < 65; channel += 1) {
      stream.open(channel);
    }
    expect(await stream.frame('openFailed', 64)).toMatchObject({
      reason: 4,
      message: expect.stringContaining('64'),
    });
    await stream.until(() =>
      stream.frames.filter(({ type }) => type === 'opened').length === 64 ? true : undefined,
    );
    stream.send({ type: 'close', channel: 3 });
    await stream.frame('close', 3);
    stream.open(65);
    await stream.frame('opened', 65);
    stream.exec(63, 'echo here');
    await stream.frame('close', 63);
    expect(stream.outcome(63).stdout.toString()).toBe('here\n');
  });

  test('gets LANG through and LD_PRELOAD not, and the record says so', async () => {
    const stream = await withChannel();
    for (const [name, value] of [
      ['LD_PRELOAD', '/tmp/x.so'],
      ['PATH', '/tmp'],
      ['BASH_ENV', '/tmp/x'],
      ['LC_X\nPATH', '/tmp'],
      ['LC_ALL', 'x'.repeat(100_000)],
      ['LANG', 'de_DE.UTF-8'],
    ] as const) {
      stream.request(5, { kind: 'env', name, value }, name === 'LD_PRELOAD');
    }
    expect(await stream.frame('failure', 5)).toBeDefined();
    stream.exec(5, 'env');
    await stream.frame('close', 5);
    const env = stream.outcome(5).stdout.toString();
    expect(env).toContain('LANG=de_DE.UTF-8');
    expect(env).not.toMatch(/LD_PRELOAD|BASH_ENV|LC_ALL=x/);
    stream.send({ type: 'close', channel: 5 });
    await stream.until(() => stream.events.find(({ type }) => type === 'ssh.channel'));
    expect(stream.events.at(-1)).toMatchObject({
      dropped: ['LD_PRELOAD', 'PATH', 'BASH_ENV', 'LC_X\nPATH', 'LC_ALL'],
    });
  });

  test('starts one thing in a channel, and the second is refused', async () => {
    const stream = await withChannel();
    stream.exec(5, 'echo one; cat');
    stream.exec(5, 'echo two');
    stream.request(5, { kind: 'shell' });
    await stream.until(() =>
      stream.of(5).filter(({ type }) => type === 'failure').length === 2 ? true : undefined,
    );
    expect(
      stream
        .of(5)
        .filter(({ type }) => type !== 'data')
        .map(({ type }) => type),
    ).toEqual(['opened', 'success', 'failure', 'failure']);
    stream.send({ type: 'eof', channel: 5 });
    await stream.frame('close', 5);
    expect(stream.outcome(5).stdout.toString()).toBe('one\n');
  });

  test('has no subsystem but sftp', async () => {
    const stream = await withChannel();
    stream.request(5, { kind: 'subsystem', name: 'netconf' });
    await stream.frame('close', 5);
    expect(stream.outcome(5)).toMatchObject({
      status: 126,
      stderr: expect.stringContaining('the subsystem "netconf" is not available'),
    });
    expect(stream.evidence).toMatchObject([{ type: 'denied', code: 'HOOP_NOT_ALLOWED' }]);
  });

  test('that leaves within a frame has broken the protocol', async () => {
    const stream = await bench.connected();
    stream.bytes(Uint8Array.of(0, 0, 0));
    stream.client.end();
    await expect(stream.done).resolves.toMatchObject({ problem: { code: 'HOOP_PROTOCOL' } });
  });

  test('that gives no credit gets no byte, and the target waits with the rest', async () => {
    const stream = await withChannel(0);
    stream.exec(5, 'head -c 300000 /dev/zero; echo done >&2');
    await stream.frame('success', 5);
    // The answer to a later request shows that nothing came before it.
    stream.open(6);
    await stream.frame('opened', 6);
    expect(stream.outcome(5).stdout.length).toBe(0);
    stream.send({ type: 'window', channel: 5, bytes: 1000 });
    await stream.until(() => (stream.outcome(5).stdout.length === 1000 ? true : undefined));
    stream.send({ type: 'window', channel: 5, bytes: 1_000_000 });
    await stream.frame('close', 5);
    expect(stream.outcome(5)).toMatchObject({ stderr: 'done\n', status: 0 });
    expect(stream.outcome(5).stdout.length).toBe(300_000);
  });
});
