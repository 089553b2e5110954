/**
 * Acceptance of servers, with OpenSSH's own client and server through the real CLI and gateway. Each
 * case has two tests: what happened, and, once the sessions have been uploaded, what was recorded of it.
 * They run in any order: those of the recording first run each case that has not run yet.
 * The table in docs/design/0080-ssh.md has where each stands, and what stands elsewhere.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Client } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/connectors/ssh/client/ssh-files.ts';
import { CHANNEL_WINDOW_BYTES } from '../../src/connectors/ssh/protocol/frame.ts';
import { ssh2 } from '../../src/connectors/ssh/shared/ssh2.ts';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import { runSessions } from '../cli/run-command.ts';
import { EVERYTHING } from '../connectors/ssh/gateway/ssh-stream-bench.ts';
import { SshThrough } from '../connectors/ssh/gateway/ssh-through.ts';
import { type LiveProgram, startProgram } from './live-program.ts';
import {
  AcceptanceBench,
  closed,
  type OpenSession,
  type Ran,
  type Recorded,
} from './ssh-acceptance-bench.ts';

const has = (program: string) => findProgram(program, process.env['PATH'] ?? '') !== undefined;
const canRun = findSshd() !== undefined && has('ssh') && has('script');
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const POLL = { interval: 100 };
const MIB = 1024 ** 2;

/** Of this machine, that leads to itself and is not `localhost`, which rules take for the address. */
const localName = readFileSync('/etc/hosts', 'utf8')
  .split('\n')
  .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
  .flatMap(([address, ...names]) => (address?.startsWith('127.') ? names : []))
  .find((name) => !name.startsWith('localhost') && /^[a-z0-9.-]+$/.test(name));

let bench: AcceptanceBench;
let main: OpenSession;
let strict: OpenSession;
let silent: Socket;
/** What runs each case: once, whoever asks first, its own test or those of the recording. */
const runs: (() => Promise<void>)[] = [];
/** Each that has run, with the session that it ran in and what must stand in its recording. */
const cases = new Map<number, { session: string; check: (recorded: Recorded) => void }>();
const sessions = new Set<string>();

beforeAll(async () => {
  if (canRun) {
    bench = await AcceptanceBench.open(localName);
    main = await bench.connect('web-1');
    strict = await bench.connect('web-2');
    silent = connect(main.port, '127.0.0.1');
    await once(silent, 'connect');
  }
});
afterAll(async () => {
  silent?.destroy();
  await main?.service[Symbol.asyncDispose]();
  await strict?.service[Symbol.asyncDispose]();
  await bench?.[Symbol.asyncDispose]();
});

function recordedAs(
  number: number,
  check: (recorded: Recorded) => void,
  session: string = main.id,
): void {
  cases.set(number, { session, check });
  sessions.add(session);
}

function testCase(title: string, run: () => Promise<void>): void {
  let running: Promise<void> | undefined;
  const once = (): Promise<void> => {
    running ??= run();
    return running;
  };
  runs.push(once);
  test(title, once);
}

const ssh = (...args: readonly string[]) => bench.run('ssh', ['-F', main.config, ...args]);
const sshTo = (session: OpenSession, ...args: readonly string[]) =>
  bench.run('ssh', ['-F', session.config, ...args]);

/** A client that knows nothing of our files but the port. */
function stranger(user: string, ...options: readonly string[]): Promise<Ran> {
  const settings = [
    `Port=${main.port}`,
    `User=${user}`,
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    'LogLevel=ERROR',
  ].flatMap((setting) => ['-o', setting]);
  return bench.run('ssh', ['-F', 'none', ...settings, ...options, '127.0.0.1', 'true']);
}

async function makeKey(name: string): Promise<string> {
  const file = join(bench.place, name);
  await bench.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return file;
}

const loggedInAs = ({ reading, entries }: Recorded, user: string) => [
  ...entries.filter((entry) => entry.type === 'connection.open' && entry.user === user),
  ...reading.events.filter(({ event }) => event.type === 'ssh.target' && event.user === user),
];

/** `hoop ssh` to the end of a session of its own. */
function startHoopSsh(target: string, command: string): LiveProgram {
  return startProgram(process.execPath, [LAUNCHER, 'ssh', target, command], {
    home: bench.bench.home('engineer'),
  });
}

async function newestSession(): Promise<string> {
  const [session] = await bench.bench.sessions('engineer');
  return String(session?.['id']);
}

describe.skipIf(!canRun)('who gets in', () => {
  testCase('2: another key than that of the session is refused', async () => {
    const ran = await stranger('case-2', '-i', await makeKey('other'));
    expect(ran).toMatchObject({ status: 255 });
    expect(ran.stderr).toContain('Permission denied (publickey)');
    recordedAs(2, (recorded) => expect(loggedInAs(recorded, 'case-2')).toEqual([]));
  });

  testCase('3: the seventh try ends the connection', async () => {
    const keys = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((i) => makeKey(`key-${i}`)));
    const ran = await stranger('case-3', ...keys.flatMap((key) => ['-i', key]));
    expect(ran.stderr).toContain('too many login attempts');
    recordedAs(3, (recorded) => expect(loggedInAs(recorded, 'case-3')).toEqual([]));
  });

  testCase('4: nobody gets in without a proof', async () => {
    const ran = await stranger('case-4', '-o', 'PreferredAuthentications=none');
    expect(ran).toMatchObject({ status: 255 });
    expect(ran.stderr).toContain('Permission denied (publickey)');
    recordedAs(4, (recorded) => expect(loggedInAs(recorded, 'case-4')).toEqual([]));
  });

  testCase('5: the key exchange is strict', async () => {
    const ran = await ssh('-vvv', 'web-1', 'echo case-5');
    expect(ran).toMatchObject({ status: 0, stdout: 'case-5\n' });
    expect(ran.stderr).toContain('will use strict KEX ordering');
    recordedAs(5, (recorded) => {
      expect(recorded.act('case-5')).toMatchObject({ outcome: 'ok', channel: { output: 7 } });
    });
  });

  testCase('6: clients that know only old algorithms are refused', async () => {
    const old = [
      'Ciphers=aes128-cbc',
      'KexAlgorithms=diffie-hellman-group14-sha1',
      'HostKeyAlgorithms=ssh-rsa',
    ];
    for (const setting of old) {
      const ran = await ssh('-o', setting, 'web-1', 'echo case-6');
      expect(ran.status, setting).toBe(255);
      expect(ran.stderr, setting).toContain('Unable to negotiate');
    }
    recordedAs(6, ({ acts }) => {
      expect(acts.filter(({ text }) => text.includes('case-6'))).toEqual([]);
    });
  });
});

describe.skipIf(!canRun)('what flows', () => {
  testCase('7: the client exchanges keys during an upload, which arrives whole', async () => {
    const input = randomBytes(16 * MIB);
    const ran = await bench.run(
      'ssh',
      ['-F', main.config, '-v', '-o', 'RekeyLimit=1M', 'web-1', ': case-7; sha256sum'],
      { input },
    );
    expect(ran).toMatchObject({ status: 0, stdout: `${sha256(input)}  -\n` });
    expect(ran.stderr.match(/SSH2_MSG_KEXINIT sent/g)?.length).toBeGreaterThan(4);
    recordedAs(7, (recorded) => {
      expect(sha256(recorded.data(recorded.act('case-7')).input)).toBe(sha256(input));
    });
  });

  testCase('8: the gateway exchanges keys with the server after so many bytes', async () => {
    await using through = await SshThrough.start(EVERYTHING, {
      limits: { rekeyBytes: MIB },
      server: { settings: { LogLevel: 'DEBUG1' } },
    });
    const input = randomBytes(8 * MIB);
    const ran = await through.local.withInput(input, 'ssh', 'web-1', 'sha256sum');
    expect(ran).toMatchObject({ status: 0, stdout: `${sha256(input)}  -\n` });
    expect(through.server.log().match(/: rekeying/g)?.length).toBeGreaterThan(4);
    expect(await through.events('ssh.channel')).toMatchObject([{ up: input.length, down: 68 }]);
  });

  testCase('9: who sends more than the window takes loses the connection', async () => {
    const identity = /IdentityFile "?([^"\n]+)/.exec(readFileSync(main.config, 'utf8'))?.[1] ?? '';
    const client = new ssh2.Client();
    const failed = new Promise<Error>((resolve) => client.on('error', resolve));
    client.connect({
      host: '127.0.0.1',
      port: main.port,
      username: 'hoop',
      privateKey: readFileSync(identity),
      algorithms: { cipher: ['aes128-gcm@openssh.com'], serverHostKey: ['ssh-ed25519'] },
    });
    await once(client, 'ready');
    await new Promise<void>((resolve) => client.exec(': case-9; sleep 600', () => resolve()));
    const protocol: { channelData(channel: number, data: Buffer): void } = innerSide(client);
    let hasFailed = false;
    void failed.then(() => {
      hasFailed = true;
    });
    const block = Buffer.alloc(32 * 1024);
    for (let sent = 0; sent < 64 * MIB && !hasFailed; sent += block.length) {
      protocol.channelData(0, block);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await failed).message).toContain('data beyond the window of the channel');
    recordedAs(9, (recorded) => {
      const { channel } = recorded.act('case-9');
      // Our window, that of the server, and what its socket and pipe take.
      expect(channel?.input).toBeGreaterThanOrEqual(CHANNEL_WINDOW_BYTES);
      expect(channel?.input).toBeLessThan(24 * MIB);
    });
  });

  testCase('10: a reader that stops stops the program, and nothing piles up', async () => {
    const { processId } = bench.bench.demo.gatewayProcess();
    const progress = join(bench.place, 'progress');
    const producer = join(bench.place, 'producer.sh');
    writeFileSync(
      producer,
      `i=0; while head -c 65536 /dev/zero; do i=$((i+1)); echo $i >${progress}; done\n`,
    );
    const before = residentBytes(processId);
    const live = bench.stopped('ssh', ['-F', main.config, 'web-1', `sh ${producer}; : case-10`]);
    const produced = () =>
      (existsSync(progress) ? Number(readFileSync(progress, 'utf8')) : 0) * 65_536;
    let last = 0;
    await expect
      .poll(
        () => {
          const now = produced();
          const isStill = now > 0 && now === last;
          last = now || last;
          return isStill;
        },
        { interval: 1000 },
      )
      .toBe(true);
    expect(last).toBeLessThan(48 * MIB);
    expect(residentBytes(processId) - before).toBeLessThan(128 * MIB);
    live.kill('SIGKILL');
    await once(live, 'exit');
    recordedAs(10, (recorded) => {
      const { channel } = recorded.act('case-10');
      expect(channel?.output).toBeGreaterThan(0);
      expect(channel?.output).toBeLessThan(48 * MIB);
    });
  });

  testCase('15: exit status 137 is not an end by a signal', async () => {
    expect(await ssh('web-1', ': case-15a; exit 137')).toMatchObject({ status: 137 });
    expect(await ssh('web-1', ': case-15b; kill -KILL $$')).toMatchObject({ status: 255 });
    recordedAs(15, (recorded) => {
      expect(recorded.act('case-15a').channel?.exit).toEqual({ status: 137 });
      expect(recorded.act('case-15b').channel?.exit).toMatchObject({ signal: 'KILL' });
    });
  });

  testCase('16: errors stay apart, and every byte comes as it is', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    writeFileSync(join(bench.place, 'every'), every);
    const ran = await ssh('web-1', `cat ${bench.place}/every; echo case-16 >&2`);
    expect(ran.bytes.equals(every)).toBe(true);
    expect(ran.stderr).toBe('case-16\n');
    recordedAs(16, (recorded) => {
      const act = recorded.act('case-16');
      expect(recorded.data(act).output.equals(every)).toBe(true);
      expect(act.channel).toMatchObject({ output: 256, errors: 8 });
    });
  });

  testCase('17: tar through ssh: the end of the input is not the end of the program', async () => {
    const from = join(bench.place, 'tar-from');
    mkdirSync(from);
    mkdirSync(join(bench.place, 'tar-to'));
    writeFileSync(join(from, 'file'), randomBytes(200_000));
    const tar = await bench.run('tar', ['-c', '-C', from, 'file']);
    const command = `tar -x -C ${bench.place}/tar-to && echo unpacked case-17`;
    const ran = await bench.run('ssh', ['-F', main.config, 'web-1', command], {
      input: tar.bytes,
    });
    expect(ran).toMatchObject({ status: 0, stdout: 'unpacked case-17\n' });
    const file = readFileSync(join(bench.place, 'tar-to', 'file'));
    expect(file.equals(readFileSync(join(from, 'file')))).toBe(true);
    recordedAs(17, (recorded) => {
      const act = recorded.act('case-17');
      expect(recorded.data(act).input.equals(tar.bytes)).toBe(true);
      const order = [...recorded.frames(act)].map(
        ({ direction, frame }) => `${direction} ${frame.type}`,
      );
      expect(order.indexOf('0 eof')).toBeGreaterThan(0);
      expect(order.indexOf('1 data')).toBeGreaterThan(order.indexOf('0 eof'));
    });
  });
});

/** Of ssh2's client: what it is told to send, it sends. */
function innerSide(client: Client): { channelData(channel: number, data: Buffer): void } {
  return Reflect.get(client, '_protocol');
}

function residentBytes(processId: number): number {
  const status = readFileSync(`/proc/${processId}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

describe.skipIf(!canRun)('variables and terminals', () => {
  testCase('11: variables that want no answer arrive', async () => {
    const ran = await bench.run(
      'ssh',
      ['-F', main.config, '-o', 'SendEnv=LC_TIME', 'web-1', 'echo case-11 $LC_TIME'],
      { variables: { LC_TIME: 'C.UTF-8' } },
    );
    expect(ran).toMatchObject({ status: 0, stdout: 'case-11 C.UTF-8\n' });
    recordedAs(11, (recorded) => {
      const act = recorded.act('case-11');
      expect(act.channel?.environment).toContainEqual(['LC_TIME', 'C.UTF-8']);
      const wanted = [...recorded.frames(act)].flatMap(({ frame }) =>
        frame.type === 'request' && frame.request.kind === 'env' ? [frame.wantReply] : [],
      );
      expect(new Set(wanted)).toEqual(new Set([false]));
    });
  });

  testCase('12: LD_PRELOAD does not arrive', async () => {
    const ran = await ssh(
      '-o',
      'SetEnv=LD_PRELOAD=/nowhere.so',
      'web-1',
      'echo "case-12 [$LD_PRELOAD]"',
    );
    expect(ran).toMatchObject({ status: 0, stdout: 'case-12 []\n' });
    recordedAs(12, (recorded) => {
      expect(recorded.act('case-12').channel).toMatchObject({
        environment: expect.arrayContaining([['LD_PRELOAD', '/nowhere.so']]),
        dropped: ['LD_PRELOAD'],
      });
    });
  });

  testCase('13, 14: a terminal has its size, its new size, and Ctrl-C', async () => {
    const remote = join(bench.place, 'remote.sh');
    writeFileSync(
      remote,
      [
        `trap 'stty size' WINCH`,
        `trap 'echo interrupted; exit 3' INT`,
        'stty size',
        'while :; do sleep 0.1; done',
        '',
      ].join('\n'),
    );
    const local = join(bench.place, 'local.sh');
    writeFileSync(
      local,
      `stty rows 24 cols 80; tty >${bench.place}/tty
exec ssh -F ${main.config} -tt web-1 'sh ${remote}; exit 3 # case-13'\n`,
    );
    const live = startProgram('script', ['-qfec', `sh ${local}`, '/dev/null'], {
      home: bench.bench.home('engineer'),
      variables: { TERM: 'xterm' },
    });
    await live.sees('24 80');
    const tty = readFileSync(join(bench.place, 'tty'), 'utf8').trim();
    await bench.run('stty', ['-F', tty, 'rows', '40', 'cols', '100']);
    await live.sees('40 100');
    live.type('\x03');
    await live.sees('interrupted');
    expect(await live.ended).toEqual([3, null]);
    recordedAs(13, (recorded) => {
      const sizes = [...recorded.frames(recorded.act('case-13'))].flatMap(({ frame }) =>
        frame.type === 'request' &&
        (frame.request.kind === 'pty-req' || frame.request.kind === 'window-change')
          ? [`${frame.request.columns}x${frame.request.rows}`]
          : [],
      );
      // stty sets rows and columns one after the other, and ssh may tell of both.
      expect(sizes.filter((size) => size !== '80x40')).toEqual(['80x24', '100x40']);
    });
    recordedAs(14, (recorded) => {
      const act = recorded.act('case-13');
      expect([...recorded.data(act).input]).toEqual([3]);
      expect(act.channel?.exit).toEqual({ status: 3 });
    });
  });

  testCase('32: what writes to the clipboard is recorded', async () => {
    const ran = await ssh('web-1', `printf 'case-32 \\033]52;c;aG9vcA==\\007after\\n'`);
    expect(ran.stdout).toContain('\x1b]52;c;');
    recordedAs(32, (recorded) => {
      const { output } = recorded.data(recorded.act('case-32'));
      expect(String(output)).toBe('case-32 \x1b]52;c;aG9vcA==\x07after\n');
    });
  });
});

describe.skipIf(!canRun)('forwards, agents, X11', () => {
  testCase('18: a forward that no rule allows is refused', async () => {
    const ran = await ssh('-W', '127.0.0.1:1', 'web-1');
    expect(ran).toMatchObject({ status: 255, stdout: '' });
    expect(ran.stderr).toContain('administratively prohibited');
    recordedAs(18, (recorded) => {
      expect(recorded.act('127.0.0.1:1')).toMatchObject({ protocol: 'forward', outcome: 'denied' });
    });
  });

  testCase('19: one that is allowed is recorded with its bytes', async () => {
    const destination = `127.0.0.1:${bench.echoPort}`;
    const ran = await bench.run('ssh', ['-F', main.config, '-W', destination, 'web-1'], {
      input: Buffer.from('and back'),
    });
    expect(ran.stdout).toBe('hello and back');
    recordedAs(19, (recorded) => {
      const act = recorded.act(destination);
      expect(act).toMatchObject({
        protocol: 'forward',
        outcome: 'ok',
        address: destination,
        channel: { input: 8, output: 14 },
      });
      expect(String(recorded.data(act).output)).toBe('hello and back');
    });
  });

  // Without such a name: test/connectors/ssh/gateway/files-through.test.ts, with a name server of its own.
  const named = localName === undefined ? test.skip : testCase;
  named('20: a name that leads elsewhere is refused', async () => {
    const ran = await sshTo(strict, '-W', `${localName}:${bench.echoPort}`, 'web-2');
    expect(ran).toMatchObject({ status: 255, stdout: '' });
    expect(ran.stderr).toContain('resolves to 127.0.');
    recordedAs(
      20,
      (recorded) => expect(recorded.act(`${localName}:`)).toMatchObject({ outcome: 'denied' }),
      strict.id,
    );
  });

  testCase('21: -R is refused, and the session goes on', async () => {
    const ran = await ssh('-R', '0:127.0.0.1:9', 'web-1', 'echo case-21');
    expect(ran).toMatchObject({ status: 0, stdout: 'case-21\n' });
    expect(ran.stderr).toContain('remote port forwarding failed');
    recordedAs(21, (recorded) => {
      expect(recorded.act('case-21')).toMatchObject({ outcome: 'ok' });
      expect(
        recorded.acts.filter(({ protocol, text }) => protocol === 'forward' && text.endsWith(':9')),
      ).toEqual([]);
      expect(recorded.act('remote forwarding (-R)')).toMatchObject({
        protocol: 'not carried',
        outcome: 'denied',
      });
    });
  });

  testCase('22: -A, -X and an unknown subsystem are refused', async () => {
    const ran = await bench.run(
      'ssh-agent',
      [
        // Otherwise -A asks for nothing: there is no agent, or the configuration wants none.
        ...['ssh', '-F', main.config, '-o', 'IdentityAgent=SSH_AUTH_SOCK'],
        ...['-A', '-X', 'web-1', 'echo "case-22 [$SSH_AUTH_SOCK$DISPLAY]"'],
      ],
      { variables: { DISPLAY: ':0' } },
    );
    expect(ran).toMatchObject({ status: 0, stdout: 'case-22 []\n' });
    const subsystem = await ssh('-s', 'web-1', 'case-22-nothing');
    expect(subsystem.status).not.toBe(0);
    recordedAs(22, (recorded) => {
      expect(recorded.act('case-22-nothing')).toMatchObject({ outcome: 'denied' });
      for (const text of ['agent forwarding (-A)', 'X11 forwarding (-X)']) {
        expect(recorded.act(text)).toMatchObject({ protocol: 'not carried', outcome: 'denied' });
      }
    });
  });
});

describe.skipIf(!canRun)('files', () => {
  const sftp = (...lines: readonly string[]) => {
    const batch = join(bench.place, 'batch');
    writeFileSync(batch, `${lines.join('\n')}\n`);
    return bench.run('sftp', ['-F', main.config, '-vv', '-b', batch, 'web-1']);
  };
  const filesOf = ({ acts }: Recorded, path: string) =>
    acts.flatMap(({ file }) => (file?.path === path ? [file] : []));

  testCase('23: put and get are recorded with path, size and digest', async () => {
    const bytes = randomBytes(2_000_000);
    const there = join(bench.place, 'open', 'case-23');
    writeFileSync(join(bench.place, 'here'), bytes);
    expect(await sftp(`put here ${there}`, `get ${there} back`)).toMatchObject({ status: 0 });
    expect(readFileSync(join(bench.place, 'back')).equals(bytes)).toBe(true);
    const moved = { bytes: bytes.length, from: 0, sha256: sha256(bytes), whole: true };
    recordedAs(23, (recorded) => {
      expect(filesOf(recorded, there)).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ operation: 'write', status: 0, written: moved }),
          expect.objectContaining({ operation: 'read', status: 0, read: moved }),
        ]),
      );
    });
  });

  testCase('24: hard links are neither offered nor made', async () => {
    const link = join(bench.place, 'open', 'case-24');
    writeFileSync(join(bench.place, 'open', 'case-24-file'), '');
    const ran = await sftp(`ln ${link}-file ${link}`);
    expect(ran.status).not.toBe(0);
    expect(ran.stderr).not.toMatch(/Server supports extension "hardlink/);
    expect(ran.stderr).toMatch(/Server supports extension "posix-rename/);
    expect(existsSync(link)).toBe(false);
    recordedAs(24, (recorded) => expect(filesOf(recorded, link)).toEqual([]));
  });

  testCase('25: rules hold where dots and links lead to', async () => {
    const secret = join(bench.place, 'closed', 'case-25');
    writeFileSync(secret, 'secret');
    symlinkSync('../closed/case-25', join(bench.place, 'open', 'link'));
    for (const path of ['open/../closed/case-25', 'open/link']) {
      const ran = await bench.run('scp', [
        ...['-F', main.config, '-s'],
        `web-1:${bench.place}/${path}`,
        'stolen',
      ]);
      expect(ran.status, path).not.toBe(0);
      expect(ran.stderr, path).toContain('hoop: Ask the owners.');
    }
    expect(existsSync(join(bench.place, 'stolen'))).toBe(false);
    recordedAs(25, ({ acts }) => {
      const denied = acts.flatMap(({ decisions }) =>
        decisions.filter(({ effect }) => effect === 'refuse'),
      );
      expect(denied.filter(({ relations }) => relations.includes(secret)).length).toBeGreaterThan(
        1,
      );
      expect(acts.filter(({ file }) => file?.path === secret && file.read)).toEqual([]);
    });
  });
});

describe.skipIf(!canRun)('commands', () => {
  testCase('26: a command in a command, or spelled otherwise, is denied', async () => {
    const victim = join(bench.place, 'case-26');
    writeFileSync(victim, '');
    for (const command of [`echo $(rm ${victim})`, `$'\\x72m' ${victim}`]) {
      const ran = await sshTo(strict, 'web-2', command);
      expect(ran, command).toMatchObject({ status: 126, stdout: '' });
      expect(ran.stderr, command).toContain('People remove nothing.');
    }
    expect(existsSync(victim)).toBe(true);
    recordedAs(
      26,
      ({ acts }) => {
        const tried = acts.filter(({ text }) => text.includes('case-26'));
        expect(tried.map(({ outcome }) => outcome)).toEqual(['denied', 'denied']);
      },
      strict.id,
    );
  });

  testCase('27: a command that cannot be read waits for somebody', async () => {
    const live = startHoopSsh('web-4', '"$SHELL" -c "echo case-27"');
    await expect.poll(live.errors, POLL).toMatch(/hoop approvals approve \w+/);
    const request = /hoop approvals approve (\w+)/.exec(live.errors())?.[1] ?? '';
    expect(live.output()).toBe('');
    expect(await bench.bench.hoop('dba', 'approvals', 'approve', request)).toMatchObject({
      exitCode: 0,
    });
    expect(await live.ended).toEqual([0, null]);
    expect(live.output()).toBe('case-27\n');
    recordedAs(
      27,
      (recorded) => {
        expect(recorded.act('case-27')).toMatchObject({
          outcome: 'ok',
          approvals: [
            { type: 'held', request },
            { type: 'decided', outcome: 'released' },
          ],
        });
      },
      await newestSession(),
    );
  });

  testCase('28: what is no shell is denied, with the reason', async () => {
    const ran = await sshTo(strict, 'web-2', 'echo "case-28');
    expect(ran).toMatchObject({ status: 126, stdout: '' });
    expect(ran.stderr).toContain('it is not a complete POSIX shell command');
    recordedAs(
      28,
      (recorded) => {
        const act = recorded.act('case-28');
        expect(act).toMatchObject({ outcome: 'denied', decisions: [{ code: 'HOOP_UNPARSED' }] });
      },
      strict.id,
    );
  });

  testCase('29: ten programs on one connection are told apart', async () => {
    const numbers = Array.from({ length: 10 }, (_, i) => `case-29-${i};`);
    const shared = ['-o', `ControlPath=${join(bench.place, 'master')}`];
    await ssh(...shared, '-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes', 'web-1', 'true');
    const all = await Promise.all(
      numbers.map((number) => ssh(...shared, 'web-1', `echo '${number}'`)),
    );
    await ssh(...shared, '-O', 'exit', 'web-1');
    expect(all.map(({ stdout }) => stdout)).toEqual(numbers.map((number) => `${number}\n`));
    recordedAs(29, (recorded) => {
      const acts = numbers.map((number) => recorded.act(number));
      expect(new Set(acts.map(({ stream }) => stream)).size).toBe(1);
      expect(new Set(acts.map(({ channel }) => channel?.channel)).size).toBe(10);
    });
  });
});

describe.skipIf(!canRun)('ends', () => {
  testCase('1: who says nothing is closed', async () => {
    await closed(silent);
    recordedAs(1, () => {
      const { refused } = main.lines.find(({ event }) => event === 'closing') ?? {};
      expect(refused).toEqual({
        'login timeout': 1,
        'too many login attempts': 1,
        'weak algorithms': 3,
      });
    });
  });

  testCase('30: a server with another host key is refused', async () => {
    const live = startHoopSsh('web-3', 'echo case-30');
    expect(await live.ended).toEqual([255, null]);
    expect(live.output()).toBe('');
    expect(live.errors()).toMatch(/host key/);
    recordedAs(30, ({ acts }) => expect(acts).toEqual([]), await newestSession());
  });

  testCase(
    '31: a server that goes away is said to be gone, and the recording is closed',
    async () => {
      const live = startHoopSsh('web-1', 'echo case-31; exec sleep 600');
      await live.sees('case-31');
      await bench.server.dropConnections();
      expect(await live.ended).toEqual([255, null]);
      expect(live.errors()).toMatch(/hoop: .*web-1/);
      recordedAs(
        31,
        (recorded) => {
          const act = recorded.act('case-31');
          expect(act.channel?.exit).toBeUndefined();
          expect(recorded.entries).toContainEqual(
            expect.objectContaining({ type: 'session.close', isAnnounced: true }),
          );
        },
        await newestSession(),
      );
    },
  );

  testCase('33: an approver ends a session', async () => {
    const live = startHoopSsh('web-1', 'echo case-33; exec sleep 600');
    await live.sees('case-33');
    const id = await newestSession();
    const killed = await bench.bench.hoop('dba', 'sessions', 'kill', id, '--reason', 'INC-7');
    expect(killed).toMatchObject({ exitCode: 0 });
    expect(await live.ended).toEqual([255, null]);
    expect(live.errors()).toContain('INC-7');
    recordedAs(
      33,
      ({ entries }) => {
        expect(entries).toContainEqual(
          expect.objectContaining({
            type: 'evidence',
            kind: 'closing',
            message: expect.stringContaining('INC-7'),
          }),
        );
      },
      id,
    );
  });
});

describe.skipIf(!canRun)('the recording', () => {
  let reading: Promise<ReadonlyMap<string, Recorded>> | undefined;
  const uploaded = () => {
    reading ??= readAll();
    return reading;
  };
  async function readAll(): Promise<ReadonlyMap<string, Recorded>> {
    // Those that did not, where only some tests run or in another order; what fails says its own test.
    for (const run of runs) {
      await run().catch(() => undefined);
    }
    for (const { service } of [main, strict]) {
      service.kill('SIGINT');
      await service.exited;
    }
    const readings = new Map<string, Recorded>();
    for (const session of sessions) {
      readings.set(session, await bench.reading(session));
    }
    return readings;
  }

  // 8 has looked at its own, and 34 is about all of them.
  const numbers = Array.from({ length: 33 }, (_, i) => i + 1).filter(
    (number) => number !== 8 && (number !== 20 || localName !== undefined),
  );
  test.each(numbers)('of case %i', async (number) => {
    const readings = await uploaded();
    const ran = cases.get(number);
    const recorded = readings.get(ran?.session ?? '');
    expect(recorded, 'the case did not get that far').toBeDefined();
    if (ran !== undefined && recorded !== undefined) {
      ran.check(recorded);
    }
  });

  test('of case 32 is filtered where it is shown', async () => {
    await uploaded();
    const shown = await bench.bench.hoop('engineer', 'sessions', 'replay', main.id);
    expect(shown.stdout).toContain('case-32');
    expect(shown.stdout).not.toContain('\x1b]52');
  });

  test('of case 13 plays with its sizes', async () => {
    const recorded = (await uploaded()).get(main.id);
    const number = recorded?.act('case-13').number;
    const cast = await bench.bench.hoop(
      'engineer',
      'sessions',
      'replay',
      main.id,
      '--channel',
      String(number),
      '--asciicast',
    );
    expect(cast.stdout).toMatch(/"r","100x40"\]/);
  });

  test('34: both sides have signed the same of every session', async () => {
    await uploaded();
    const all = await bench.bench.sessions('engineer');
    expect(new Set(all.map(({ id }) => String(id)))).toEqual(sessions);
    for (const session of sessions) {
      const env = { HOOP_HOME: bench.bench.home('engineer') };
      const verified = await runSessions(['verify', session], { env });
      expect(verified.stdout, session).toContain('verified (two-sided');
      expect(verified.status).toBe(0);
    }
  });
});
