/** Everyday work over a stream, and how a stream ends. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { HoopError } from '../../../../src/errors.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';

const PTY = {
  kind: 'pty-req',
  term: 'xterm',
  columns: 80,
  rows: 24,
  widthPixels: 0,
  heightPixels: 0,
  modes: Uint8Array.of(0),
} as const;

let bench: SshStreamBench;

function textOf(stream: TestStream, channel: number): string {
  return stream.outcome(channel).stdout.toString();
}

async function opened(stream: TestStream, channel = 0, window?: number): Promise<TestStream> {
  stream.open(channel, window);
  await stream.frame('opened', channel);
  return stream;
}

/** Gives credit for what comes, as clients do. */
function read(
  stream: TestStream,
  channel: number,
): { readonly hash: () => string; length: number } {
  const hash = createHash('sha256');
  const seen = { length: 0, hash: () => hash.digest('hex') };
  stream.client.on('data', () => {
    for (const frame of stream.frames.splice(0)) {
      if (frame.type === 'data' && frame.channel === channel) {
        hash.update(frame.data);
        seen.length += frame.data.length;
        stream.send({ type: 'window', channel, bytes: frame.data.length });
      } else {
        stream.kept.push(frame);
      }
    }
  });
  return seen;
}

/** A way to the server that can be cut, or stop to carry anything. */
async function withWay<T>(
  use: (way: { port: number; sockets: Socket[] }) => Promise<T>,
): Promise<T> {
  const sockets: Socket[] = [];
  const way = createServer((socket) => {
    const onward = connect(bench.server.port, '127.0.0.1');
    sockets.push(socket, onward);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('error', () => undefined);
      from.pipe(to);
      from.on('close', () => to.destroy());
    }
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  try {
    return await use({ port: (way.address() as AddressInfo).port, sockets });
  } finally {
    for (const socket of sockets) {
      socket.destroy();
    }
    way.close();
  }
}

describe.skipIf(findSshd() === undefined)('an SSH stream', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('lives longer than a client has for its hello', async () => {
    const stream = await bench.connected({ limits: { helloWithinMs: 2000 } });
    expect(await stream.run(0, 'sleep 2.2; echo still here')).toMatchObject({ status: 0 });
    expect(textOf(stream, 0)).toBe('still here\n');
  });

  test('carries a shell with a terminal, its size and its signals', async () => {
    const stream = await opened(await bench.connected());
    stream.request(0, PTY);
    stream.exec(0, 'stty size; read x; stty size; exec cat -e');
    await stream.until(() => (textOf(stream, 0).includes('24 80') ? true : undefined));
    const size = { columns: 132, rows: 50, widthPixels: 0, heightPixels: 0 };
    stream.request(0, { kind: 'window-change', ...size }, false);
    stream.send({ type: 'data', channel: 0, data: Buffer.from('go\n') });
    await stream.until(() => (textOf(stream, 0).includes('50 132') ? true : undefined));
    // Between two commands a shell may take Ctrl-C for the first one's: what is typed shows in the
    // words of the last only when that one runs, and by then it is the shell's process.
    stream.send({ type: 'data', channel: 0, data: Buffer.from('typed\n') });
    await stream.until(() => (textOf(stream, 0).includes('typed$') ? true : undefined));
    // Ctrl-C is a byte here, and a signal there.
    stream.send({ type: 'data', channel: 0, data: Uint8Array.of(3) });
    await stream.frame('close', 0);
    expect(stream.of(0)).toContainEqual(
      expect.objectContaining({ type: 'exitSignal', name: 'INT' }),
    );
  });

  // sshd does not signal what it runs as root: it has no second process there that could.
  test.skipIf(process.getuid?.() === 0)('passes signals on', async () => {
    const stream = await opened(await bench.connected());
    stream.exec(0, 'echo ready; exec sleep 60');
    await stream.until(() => (textOf(stream, 0) === 'ready\n' ? true : undefined));
    stream.request(0, { kind: 'signal', name: 'TERM' }, false);
    expect(await stream.frame('exitSignal', 0)).toMatchObject({ name: 'TERM' });
  });

  test('tells which signal ended a command', async () => {
    const stream = await opened(await bench.connected());
    stream.exec(0, 'kill -TERM $$; sleep 60');
    await stream.frame('close', 0);
    expect(await stream.frame('exitSignal', 0)).toMatchObject({ name: 'TERM', coreDumped: false });
    stream.send({ type: 'close', channel: 0 });
    await stream.until(() => stream.events.find(({ type }) => type === 'ssh.channel'));
    expect(stream.events.slice(-2)).toMatchObject([
      { type: 'result', tag: 'signal TERM' },
      { type: 'ssh.channel', exitSignal: 'TERM' },
    ]);
  });

  test('keeps the status of a shell that a signal ended', async () => {
    const stream = await bench.connected();
    expect(await stream.run(0, 'sh -c "kill -9 \\$\\$"; exit $?')).toMatchObject({ status: 137 });
  });

  test('ends the input of a command and goes on with its output', async () => {
    const stream = await bench.connected();
    const outcome = await stream.run(0, 'sort; echo end', Buffer.from('b\na\n'));
    expect(outcome.stdout.toString()).toBe('a\nb\nend\n');
  });

  test('sends a command that is not UTF-8 only where no rule would have to read it', async () => {
    const command = Buffer.from('printf \xff', 'latin1');
    const stream = await opened(await bench.connected());
    stream.request(0, { kind: 'exec', command });
    await stream.frame('close', 0);
    expect(stream.outcome(0).stdout).toEqual(Buffer.of(0xff));
    const grant = grantOf('{ name: prints, allow: { ssh: [exec], commands: ["printf *"] } }');
    const read = await opened(await bench.connected({ grant: () => grant }));
    read.request(0, { kind: 'exec', command });
    await read.frame('close', 0);
    expect(read.outcome(0).status).toBe(126);
  });

  test('runs several channels at once, each with its own', async () => {
    const stream = await bench.connected();
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, channel) =>
        stream.run(channel, 'cat; exit 7', Buffer.from(`channel ${channel}\n`)),
      ),
    );
    expect(outcomes.map(({ stdout, status }) => `${stdout}${status}`)).toEqual(
      Array.from({ length: 10 }, (_, channel) => `channel ${channel}\n7`),
    );
  });

  test('loses nothing of what is sent last, in either direction, also while keys are exchanged', async () => {
    const stream = await opened(await bench.connected({ limits: { rekeyBytes: 4 * 1024 * 1024 } }));
    const seen = read(stream, 0);
    stream.exec(0, 'head -c 20000000 /dev/zero | tr "\\0" x; sha256sum >&2; exit 4');
    const data = Buffer.alloc(20_000_000, 'up');
    let sent = 0;
    let credit = 1024 * 1024;
    const pump = (): void => {
      while (sent < data.length && credit > 0) {
        const part = data.subarray(sent, sent + Math.min(32_768, credit));
        stream.send({ type: 'data', channel: 0, data: part });
        sent += part.length;
        credit -= part.length;
      }
    };
    stream.client.on('data', () => {
      for (const frame of stream.kept) {
        if (frame.type === 'window') credit += frame.bytes;
      }
      const rest = stream.kept.filter(({ type }) => type !== 'window');
      stream.kept.length = 0;
      stream.kept.push(...rest);
      pump();
    });
    pump();
    await stream.until(() => (sent === data.length ? true : undefined));
    stream.send({ type: 'eof', channel: 0 });
    await stream.until(() => stream.kept.find(({ type }) => type === 'close'));
    expect(seen.length).toBe(20_000_000);
    expect(seen.hash()).toBe(createHash('sha256').update('x'.repeat(20_000_000)).digest('hex'));
    const texts = stream.kept.flatMap((frame) => (frame.type === 'stderr' ? [frame.data] : []));
    expect(Buffer.concat(texts).toString()).toContain(
      createHash('sha256').update(data).digest('hex'),
    );
    expect(stream.kept.filter(({ type }) => type !== 'stderr').map(({ type }) => type)).toEqual(
      expect.arrayContaining(['success', 'exitStatus', 'eof', 'close']),
    );
    expect(stream.kept.at(-1)?.type).toBe('close');
  });

  test('needs no more memory for a client that has given credit and does not read', async () => {
    const stream = await opened(await bench.connected(), 0, 0xffffffff);
    const total = 80_000_000;
    stream.client.pause();
    stream.exec(0, `head -c ${total} /dev/zero`);
    // What is only not collected yet would depend on how busy the machine is.
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    const memory = (): number => {
      if (typeof collect === 'function') collect();
      return process.memoryUsage().arrayBuffers;
    };
    const before = memory();
    let most = 0;
    let length = 0;
    let measuredAt = 0;
    stream.client.on('data', (chunk: Buffer) => {
      length += chunk.length;
      stream.frames.length = Math.min(stream.frames.length, 4);
      if (length - measuredAt > 4_000_000) {
        measuredAt = length;
        most = Math.max(most, memory() - before);
      }
      // One chunk in each turn: everything else has time to pile up.
      stream.client.pause();
      setImmediate(() => stream.client.resume());
    });
    stream.client.resume();
    await stream.until(() => (length >= total ? true : undefined));
    expect(measuredAt).toBeGreaterThan(total / 2);
    expect(most).toBeLessThan(24 * 1024 * 1024);
  });

  test('ends with a text on the stderr of each channel when the session ends', async () => {
    const stream = await opened(await bench.connected());
    stream.exec(0, 'echo ready; exec sleep 60');
    await stream.until(() => (textOf(stream, 0) === 'ready\n' ? true : undefined));
    stream.session.abort(new HoopError('HOOP_SESSION_REVOKED', 'the session was ended by ada'));
    const { problem } = await stream.done;
    expect(problem?.code).toBe('HOOP_SESSION_REVOKED');
    expect(stream.outcome(0).stderr).toBe('hoop: the session was ended by ada\n');
    expect(stream.frames.slice(-2)).toMatchObject([
      { type: 'close', channel: 0 },
      { type: 'disconnect', message: 'the session was ended by ada' },
    ]);
    expect(stream.events.at(-1)).toMatchObject({ type: 'ssh.channel', channel: 0, down: 6 });
  });

  test('says so when the target is gone, and its record is complete', async () => {
    await withWay(async ({ port, sockets }) => {
      const hosts = [{ host: '127.0.0.1', port, shown: undefined }];
      const stream = await opened(await bench.connected({ target: bench.target({ hosts }) }));
      stream.exec(0, 'echo ready; exec sleep 60');
      await stream.until(() => (textOf(stream, 0) === 'ready\n' ? true : undefined));
      for (const socket of sockets) {
        socket.resetAndDestroy();
      }
      const { problem } = await stream.done;
      expect(problem?.code).toBe('HOOP_TARGET_UNREACHABLE');
      expect(stream.frames.at(-1)).toMatchObject({
        type: 'disconnect',
        message: expect.stringContaining(
          'the connection to target "web-1" was lost. Connect again; commands that were running there',
        ),
      });
      expect(stream.events.slice(-2).map(({ type }) => type)).toEqual(['result', 'ssh.channel']);
    });
  });

  test('notices a target that says nothing any more', async () => {
    await withWay(async ({ port, sockets }) => {
      const hosts = [{ host: '127.0.0.1', port, shown: undefined }];
      const target = bench.target({ hosts });
      const stream = await opened(await bench.connected({ target, limits: { keepAliveMs: 50 } }));
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
      const { problem } = await stream.done;
      expect(problem).toMatchObject({
        code: 'HOOP_TARGET_UNREACHABLE',
        detail: 'It no longer answers.',
      });
    });
  });

  test('stays when the target answers and does nothing else', async () => {
    const stream = await bench.connected({ limits: { keepAliveMs: 30 } });
    expect(await stream.run(0, 'sleep 1; echo there')).toMatchObject({ status: 0 });
  });

  test('ends the command when the client leaves', async () => {
    const stream = await opened(await bench.connected());
    stream.exec(0, 'echo ready; cat >/dev/null');
    await stream.until(() => (textOf(stream, 0) === 'ready\n' ? true : undefined));
    stream.client.end();
    await expect(stream.done).resolves.toEqual({ reason: 'the client closed the connection' });
    expect(stream.events.at(-1)).toMatchObject({ type: 'ssh.channel' });
  });

  test('decides by the policy of the moment', async () => {
    const rules = [
      '{ name: runs, allow: { ssh: [exec] } }',
      '{ name: shells, allow: { ssh: [shell] } }',
    ];
    let grant = grantOf(...rules);
    const stream = await bench.connected({ grant: () => grant });
    expect(await stream.run(0, 'true')).toMatchObject({ status: 0 });
    grant = grantOf(rules[1] ?? '');
    expect(await stream.run(1, 'true')).toMatchObject({ status: 126 });
  });

  test('ends by a fault of the gateway when it writes, and nothing else does', async () => {
    const other = await opened(await bench.connected());
    other.exec(0, 'cat');
    const stream = await opened(await bench.connected());
    stream.exec(0, 'echo ready; exec cat');
    await stream.until(() => (textOf(stream, 0) === 'ready\n' ? true : undefined));
    const fault = new Error('a fault of ours');
    stream.gateway.write = () => {
      throw fault;
    };
    // What `cat` answers is written when the call is over that brought it.
    stream.send({ type: 'data', channel: 0, data: Buffer.from('x') });
    await expect(stream.done).rejects.toBe(fault);
    expect(stream.events.slice(-2)).toMatchObject([
      { type: 'result', statement: 1 },
      { type: 'ssh.channel', channel: 0, up: 1 },
    ]);
    other.send({ type: 'data', channel: 0, data: Buffer.from('still here') });
    await other.until(() => (textOf(other, 0) === 'still here' ? true : undefined));
  });

  test('stops when something cannot be recorded, and nothing reaches the target', async () => {
    let isFull = false;
    const stream = await opened(
      await bench.connected({
        told: {
          event: () => {
            if (isFull) throw new HoopError('HOOP_RECORDING_WRITE', 'the disk is full');
          },
        },
      }),
    );
    isFull = true;
    stream.exec(0, 'true');
    await expect(stream.done).rejects.toMatchObject({ code: 'HOOP_RECORDING_WRITE' });
    expect(stream.of(0).map(({ type }) => type)).toEqual(['opened']);
  });
});
