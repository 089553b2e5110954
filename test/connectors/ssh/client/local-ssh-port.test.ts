import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Client } from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findProgram } from '../../../../src/connectors/ssh/client/ssh-files.ts';
import { CHANNEL_WINDOW_BYTES } from '../../../../src/connectors/ssh/protocol/frame.ts';
import { ssh2 } from '../../../../src/connectors/ssh/shared/ssh2.ts';
import { SshPortFixture } from './ssh-client.ts';

const has = (program: string) => findProgram(program, process.env['PATH'] ?? '') !== undefined;
const hasSsh = has('ssh');

let fixture: SshPortFixture;
beforeEach(async () => {
  fixture = await SshPortFixture.open();
});
afterEach(async () => {
  await fixture[Symbol.asyncDispose]();
});

describe.skipIf(!hasSsh)('ssh(1) at the local port', () => {
  test('a command has its output, its errors apart, and its status', async () => {
    const ran = await fixture.ssh('web-1', 'echo out; echo err >&2; exit 7');
    expect(ran).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
    expect(fixture.refusals).toEqual([]);
  });

  test('the login that is asked for on the target goes to the gateway', async () => {
    await fixture.ssh('deploy@web-1', 'true');
    const [hello] = fixture.frames;
    expect(hello).toMatchObject({ type: 'hello', user: 'deploy' });
    expect(hello?.type === 'hello' && hello.software).toMatch(/^OpenSSH/);
  });

  test('without a name it is the first on offer', async () => {
    await fixture.ssh('web-1', 'true');
    expect(fixture.frames[0]).toMatchObject({ user: 'hoop' });
  });

  test('standard input goes up, is ended, and the program still answers', async () => {
    const bytes = randomBytes(3_000_000);
    const sum = createHash('sha256').update(bytes).digest('hex');
    const ran = await fixture.withInput(bytes, 'ssh', 'web-1', 'sha256sum; echo after');
    expect(ran.stdout).toBe(`${sum}  -\nafter\n`);
  });

  test('binary data comes back as it went', async () => {
    const bytes = randomBytes(5_000_000);
    writeFileSync(join(fixture.directory, 'bytes'), bytes);
    await fixture.sh('ssh web-1 cat <bytes >back 2>errors');
    expect(readFileSync(join(fixture.directory, 'back')).equals(bytes)).toBe(true);
  });

  test('status 137 and an end by a signal are what ssh makes of them', async () => {
    expect((await fixture.ssh('web-1', 'exit 137')).status).toBe(137);
    const killed = await fixture.ssh('web-1', 'kill -KILL $$');
    expect(killed.status).toBe(255);
    expect(killed.stderr).toBe('');
  });

  test('who reads no more ends the program', async () => {
    const ran = await fixture.sh('ssh web-1 yes | head -1; echo done');
    expect(ran.stdout).toBe('y\ndone\n');
    expect(fixture.frames).toContainEqual(expect.objectContaining({ request: { kind: 'eow' } }));
  });

  test('a command is passed on byte by byte, also where it is no UTF-8', async () => {
    await fixture.sh(`ssh web-1 "printf '\\377' >/dev/null; : $(printf '\\351')"`);
    const exec = fixture.frames.find((frame) => frame.type === 'request');
    const command = exec?.request.kind === 'exec' ? exec.request.command : undefined;
    expect(Buffer.from(command ?? []).toString('latin1')).toContain(': \xe9');
  });

  test('a terminal is asked for with its size and its modes', async () => {
    await fixture.sh('script -qec "ssh -tt web-1 true" /dev/null');
    const pty = fixture.frames.find(
      (frame) => frame.type === 'request' && frame.request.kind === 'pty-req',
    );
    const modes =
      pty?.type === 'request' && pty.request.kind === 'pty-req' ? pty.request.modes : [];
    expect(modes.length).toBeGreaterThan(5);
  });

  test('ten programs run at once on one connection', async () => {
    const socket = join(fixture.directory, 'master');
    const master = ['-o', `ControlPath=${socket}`];
    await fixture.ssh(
      ...master,
      '-o',
      'ControlMaster=yes',
      '-o',
      'ControlPersist=yes',
      'web-1',
      'true',
    );
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        fixture.ssh(...master, 'web-1', `cat /dev/null; echo ${i}`),
      ),
    );
    expect(all.map(({ stdout }) => stdout)).toEqual(all.map((_, i) => `${i}\n`));
    await fixture.ssh(...master, '-O', 'exit', 'web-1');
    expect(fixture.targets.length).toBe(1);
  });

  test('how a program ends is known after both directions have, on a shared connection too', async () => {
    const master = ['-o', `ControlPath=${join(fixture.directory, 'ends')}`];
    const persist = ['-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes'];
    await fixture.ssh(...master, ...persist, 'web-1', 'true');
    const program = "exec sh -c 'exec > /dev/null 2>&1; sleep 1; exit 44'";
    expect((await fixture.ssh(...master, 'web-1', program)).status).toBe(44);
    await fixture.ssh(...master, '-O', 'exit', 'web-1');
  });

  test('keys are exchanged anew on the way, 100 MB in both directions', async () => {
    const line = 'head -c 104857600 /dev/zero | ssh -o RekeyLimit=1M web-1 cat | sha256sum';
    const direct = await fixture.sh('head -c 104857600 /dev/zero | sha256sum');
    expect((await fixture.sh(line)).stdout).toBe(direct.stdout);
  });

  test('-L reaches what the gateway dials', async () => {
    const server = createServer((socket) => socket.end('hello\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const ran = await fixture.ssh('-W', `127.0.0.1:${port}`, 'web-1');
    expect(ran.stdout).toBe('hello\n');
    server.close();
  });

  test('a forward that is refused says so, and the connection goes on', async () => {
    fixture.intercept = (frame, target) => {
      if (frame.type !== 'open' || frame.target.kind === 'session') {
        return false;
      }
      target.send({
        type: 'openFailed',
        channel: frame.channel,
        reason: 1,
        message: 'db:5432 is not allowed (rule ops/no-db)',
      });
      return true;
    };
    const ran = await fixture.ssh('-W', 'db:5432', 'web-1');
    expect(ran.stderr).toContain('db:5432 is not allowed (rule ops/no-db)');
  });

  test('-R, -A and -X are refused, which hoop says, and the command runs', async () => {
    const ran = await fixture.run(
      'env',
      'DISPLAY=:0',
      // Without an agent, or with what the configuration says of one, -A asks for nothing.
      'ssh-agent',
      'ssh',
      '-o',
      'IdentityAgent=SSH_AUTH_SOCK',
      '-A',
      '-X',
      '-R',
      '9:127.0.0.1:9',
      'web-1',
      'echo $DISPLAY ran',
    );
    expect(ran.stdout).toBe('ran\n');
    expect(ran.status).toBe(0);
    expect(fixture.notes.join('\n')).toContain('remote forwarding (-R) is refused');
    const told = fixture.frames.filter(({ type }) => type === 'notCarried');
    expect(told).toHaveLength(3);
    expect(told).toEqual(
      expect.arrayContaining([
        { type: 'notCarried', what: 'remote-forward' },
        { type: 'notCarried', what: 'agent' },
        { type: 'notCarried', what: 'x11' },
      ]),
    );
  });

  test('an older gateway is not told of what is refused, which would end the connection', async () => {
    fixture.hearsNotCarried = false;
    const ran = await fixture.ssh('-R', '9:127.0.0.1:9', 'web-1', 'echo ran');
    expect(ran.stdout).toBe('ran\n');
    expect(fixture.frames.filter(({ type }) => type === 'notCarried')).toEqual([]);
  });

  test('a failure that the gateway tells before the login is shown by ssh', async () => {
    fixture.intercept = (frame, target) => {
      if (frame.type === 'hello') {
        target.send({ type: 'disconnect', message: 'the host key of web-1 has changed' });
      }
      return frame.type === 'hello';
    };
    const ran = await fixture.ssh('web-1', 'true');
    expect(ran.status).toBe(255);
    expect(ran.stderr).toContain('hoop: the host key of web-1 has changed');
    expect(fixture.notes.join('\n')).toContain('the host key of web-1 has changed');
  });

  test('an end in the middle is shown as well', async () => {
    fixture.intercept = (frame, target) => {
      if (frame.type === 'request' && frame.request.kind === 'exec') {
        target.send({ type: 'disconnect', message: 'the session was ended by the auditor' });
      }
      return false;
    };
    const ran = await fixture.ssh('web-1', 'sleep 60');
    expect(ran.status).toBe(255);
    expect(ran.stderr).toContain('the session was ended by the auditor');
  });

  test('a tunnel that breaks is told in words', async () => {
    fixture.intercept = (frame, target) => {
      const isExec = frame.type === 'request' && frame.request.kind === 'exec';
      if (isExec) {
        target.tunnel.destroy(new Error('read ECONNRESET'));
      }
      return isExec;
    };
    const ran = await fixture.ssh('web-1', 'sleep 60');
    expect(ran.status).toBe(255);
    expect(ran.stderr).toContain('the connection to the gateway was lost');
    expect(fixture.notes.join('\n')).toContain('the connection to the gateway was lost');
  });

  test('text on stderr and status 126 pass, as the gateway refuses with them', async () => {
    fixture.intercept = (frame, target) => {
      if (frame.type !== 'request' || frame.request.kind !== 'exec') {
        return false;
      }
      const { channel } = frame;
      const data = Buffer.from('hoop: denied by ops/no-rm\n');
      target.send({ type: 'success', channel });
      target.send({ type: 'stderr', channel, data });
      target.send({ type: 'exitStatus', channel, status: 126 });
      target.send({ type: 'eof', channel });
      target.send({ type: 'close', channel });
      return true;
    };
    const ran = await fixture.ssh('web-1', 'rm -rf /');
    expect(ran).toEqual({ status: 126, stdout: '', stderr: 'hoop: denied by ops/no-rm\n' });
  });

  test('a login name with controls is refused', async () => {
    const ran = await fixture.run('ssh', '-l', 'de\x1bploy', 'web-1', 'true');
    expect(ran.status).toBe(255);
    expect(fixture.targets).toEqual([]);
  });
});

describe.skipIf(!hasSsh || !has('tmux'))('a terminal', () => {
  test('resizes, and Ctrl-C is a byte of it', async () => {
    const tmux = (...args: string[]) =>
      fixture.run('tmux', '-S', join(fixture.directory, 'tmux'), '-f', '/dev/null', ...args);
    const command = `ssh -F '${fixture.files.configFile}' -t web-1 'cat >/dev/null'`;
    await tmux('new-session', '-d', '-x', '80', '-y', '24', command);
    try {
      const requests = () =>
        fixture.frames.flatMap((frame) => (frame.type === 'request' ? [frame.request] : []));
      await expect.poll(requests).toContainEqual(expect.objectContaining({ kind: 'exec' }));
      expect(requests()).toContainEqual(expect.objectContaining({ kind: 'pty-req', columns: 80 }));
      await tmux('resize-window', '-x', '100', '-y', '40');
      await expect
        .poll(requests)
        .toContainEqual(expect.objectContaining({ kind: 'window-change', columns: 100 }));
      await tmux('send-keys', 'C-c');
      const typed = () =>
        fixture.frames.flatMap((frame) => (frame.type === 'data' ? [...frame.data] : []));
      await expect.poll(typed).toEqual([3]);
    } finally {
      await tmux('kill-server');
    }
  });
});

describe('a client that does not keep to the rules', () => {
  async function logIn(): Promise<{ client: Client; failed: Promise<Error> }> {
    const client = new ssh2.Client();
    const { promise: failed, resolve } = Promise.withResolvers<Error>();
    client.on('error', resolve);
    const ready = once(client, 'ready');
    client.connect({
      host: '127.0.0.1',
      port: fixture.tcpPort,
      username: 'hoop',
      privateKey: fixture.keys.userKeys[0]?.privateKey.expose() ?? '',
      algorithms: { cipher: ['aes128-gcm@openssh.com'], serverHostKey: ['ssh-ed25519'] },
    });
    await ready;
    return { client, failed };
  }

  /** Of ssh2's inner side, which does what it is told. */
  function messagesOf(client: Client): {
    channelData(channel: number, data: Buffer): void;
    channelEOF(channel: number): void;
  } {
    return Reflect.get(client, '_protocol');
  }

  async function openChannel(client: Client): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    client.exec('sleep 60', () => resolve());
    await promise;
    return 0;
  }

  test('more data than the window takes ends the connection, and is not kept', async () => {
    const { client, failed } = await logIn();
    const channel = await openChannel(client);
    const block = Buffer.alloc(32 * 1024);
    for (let sent = 0; sent <= CHANNEL_WINDOW_BYTES; sent += block.length) {
      messagesOf(client).channelData(channel, block);
    }
    expect((await failed).message).toContain('data beyond the window of the channel');
    const taken = fixture.frames.reduce(
      (sum, frame) => sum + (frame.type === 'data' ? frame.data.length : 0),
      0,
    );
    expect(taken).toBe(CHANNEL_WINDOW_BYTES);
  });

  test('so does data for a channel that there is not, and data after the end', async () => {
    const first = await logIn();
    messagesOf(first.client).channelData(7, Buffer.from('x'));
    expect((await first.failed).message).toContain('there is no channel 7');
    const second = await logIn();
    const channel = await openChannel(second.client);
    messagesOf(second.client).channelEOF(channel);
    messagesOf(second.client).channelData(channel, Buffer.from('x'));
    expect((await second.failed).message).toContain('data after the end of a channel');
  });
});

describe.skipIf(!hasSsh)('who does not get in', () => {
  test('another key', async () => {
    const other = join(fixture.directory, 'other');
    await fixture.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', other);
    const ran = await fixture.ssh('-o', 'IdentityFile=none', '-i', other, 'web-1', 'true');
    expect(ran.status).toBe(0);
    const only = await fixture.run('/usr/bin/ssh', ...plain(), '-i', other, '127.0.0.1', 'true');
    expect(only.status).toBe(255);
    expect(only.stderr).toContain('Permission denied (publickey)');
    expect(fixture.targets.length).toBe(1);
  });

  test('no key, a password, answers to questions', async () => {
    for (const method of ['none', 'password', 'keyboard-interactive']) {
      const ran = await fixture.run(
        '/usr/bin/ssh',
        ...plain(),
        '-o',
        `PreferredAuthentications=${method}`,
        '127.0.0.1',
        'true',
      );
      expect(ran.stderr).toContain('Permission denied (publickey)');
    }
    expect(fixture.targets).toEqual([]);
  });

  test('the seventh wrong key ends the connection', async () => {
    const keys = Array.from({ length: 7 }, (_, i) => join(fixture.directory, `key-${i}`));
    for (const key of keys) {
      await fixture.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
    }
    const ran = await fixture.run(
      '/usr/bin/ssh',
      ...plain(),
      ...keys.flatMap((key) => ['-i', key]),
      '127.0.0.1',
      'true',
    );
    expect(ran.stderr).toContain('too many login attempts');
    // Told when the connection has closed here, which may be after ssh has ended.
    await expect.poll(() => fixture.refusals).toEqual(['too many login attempts']);
  });

  test('clients with nothing but old algorithms', async () => {
    for (const old of [
      'Ciphers=aes128-cbc',
      'HostKeyAlgorithms=ssh-rsa',
      'KexAlgorithms=diffie-hellman-group14-sha1',
      'KexAlgorithms=diffie-hellman-group-exchange-sha1',
    ]) {
      const ran = await fixture.ssh('-o', old, 'web-1', 'true');
      expect(ran.stderr).toContain('Unable to negotiate');
    }
    await expect.poll(() => new Set(fixture.refusals)).toEqual(new Set(['weak algorithms']));
  });
});

/** A client that knows nothing of our files but the address. */
function plain(): string[] {
  return [
    '-F',
    'none',
    '-p',
    String(fixture.tcpPort),
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'IdentityAgent=none',
    '-o',
    'BatchMode=yes',
    '-o',
    'LogLevel=ERROR',
  ];
}

describe('what is no SSH client', () => {
  test.each([
    ['GET / HTTP/1.1\r\n', 'HTTP'],
    ['SSH-1.99-old\r\n', 'garbage'],
    ['\x16\x03\x01', 'garbage'],
    [`SSH-2.0-${'x'.repeat(300)}\r\n`, 'garbage'],
    ['SSH-2.0-\n', 'garbage'],
  ])('%j is closed', async (sent, reason) => {
    const refused = fixture.refused.promise;
    const socket = await open();
    socket.write(sent);
    expect(await refused).toBe(reason);
    await closed(socket);
    expect(fixture.targets).toEqual([]);
  });

  test('who says nothing has to go', async () => {
    await using impatient = await SshPortFixture.open({ loginWithinMs: 50 });
    const refused = impatient.refused.promise;
    const socket = connect(impatient.tcpPort, '127.0.0.1');
    expect(await refused).toBe('login timeout');
    await closed(socket);
  });

  test('who says only what it is has to go as well', async () => {
    await using impatient = await SshPortFixture.open({ loginWithinMs: 50 });
    const refused = impatient.refused.promise;
    const socket = connect(impatient.tcpPort, '127.0.0.1');
    socket.write('SSH-2.0-slow\r\n');
    expect(await refused).toBe('login timeout');
    await closed(socket);
  });

  test.skipIf(!hasSsh)('a thousand of them do not keep the owner out', async () => {
    const silent = await Promise.all(Array.from({ length: 1000 }, () => open()));
    expect((await fixture.ssh('web-1', 'echo in')).stdout).toBe('in\n');
    for (const socket of silent) {
      socket.destroy();
    }
  });
});

async function open(): Promise<Socket> {
  const socket = connect(fixture.tcpPort, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  return socket;
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) {
    socket.resume();
    await once(socket, 'close');
  }
}
