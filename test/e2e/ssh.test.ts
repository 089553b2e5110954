/** Servers with the real gateway, a real sshd and OpenSSH's own clients. */
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/connectors/ssh/client/ssh-files.ts';
import { runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import { openSshBench, type SshBench } from './ssh-bench.ts';

const PATH = process.env['PATH'] ?? '';
const has = (program: string) => findProgram(program, PATH) !== undefined;
const hasServer = findSshd() !== undefined && has('ssh');

let servers: SshBench;
let place: string;
beforeAll(async () => {
  if (hasServer) {
    servers = await openSshBench();
    place = mkdtempSync(join(tmpdir(), 'hoop-ssh-e2e-'));
  }
});
afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
  if (place) {
    rmSync(place, { recursive: true, force: true });
  }
});

const hoop = (...args: string[]) => servers.bench.hoop('engineer', ...args);
const home = () => servers.bench.home('engineer');

/** A line of the shell inside of a session with web-1. */
const inSession = (line: string) => hoop('connect', 'web-1', '--', 'sh', '-ec', line);

async function live() {
  return (await servers.bench.sessions('engineer')).filter(({ state }) => state === 'live');
}

async function newestSession() {
  const [session] = await servers.bench.sessions('engineer');
  return session;
}

describe.skipIf(!hasServer)('hoop ssh', () => {
  test('is ssh: output, errors apart, status; and the session is uploaded', async () => {
    const ran = await hoop('ssh', 'web-1', 'echo out; echo err >&2; exit 137');
    expect(ran).toMatchObject({ exitCode: 137, stdout: 'out\n', stderr: 'err\n' });
    expect(await newestSession()).toMatchObject({ target: 'web-1', state: 'uploaded' });
  });

  test('options of the command are the command’s', async () => {
    const ran = await hoop('ssh', 'web-1', 'echo', '-q', '--json', '--', '-x');
    expect(ran).toMatchObject({ exitCode: 0, stdout: '-q --json -- -x\n' });
  });

  test('the login on the target can be named; another one is refused with those on offer', async () => {
    const { user } = servers.server;
    expect((await hoop('ssh', `${user}@web-1`, 'whoami')).stdout).toBe(`${user}\n`);
    const other = await hoop('ssh', 'nobody-here@web-1', 'whoami');
    expect(other.exitCode).toBe(255);
    expect(other.stderr).toContain(user);
  });

  test('the reason for which a connection ends is printed once', async () => {
    const there = Promise.withResolvers<void>();
    const running = runHoop(['ssh', 'web-1', 'echo there >&2; exec sleep 60'], {
      home: home(),
      onStderr: () => there.resolve(),
    });
    await there.promise;
    const [session] = await live();
    await hoop('sessions', 'end', String(session?.['id']), '--reason', 'enough-of-it');
    const { stderr } = await running;
    expect(stderr.match(/enough-of-it/g), stderr).toHaveLength(1);
    expect(stderr).not.toContain('an SSH connection was ended');
  });

  test('a database and a name that is none are refused before ssh runs', async () => {
    const database = await hoop('ssh', 'prod-db');
    expect(database.exitCode).toBe(255);
    expect(database.stderr).toContain('"prod-db" is a database, not a server');
    // What the gateway opened before it said so is signed by both sides all the same.
    const [session] = await servers.bench.sessions('engineer');
    expect(session).toMatchObject({ target: 'prod-db', state: 'uploaded' });
    expect((await hoop('ssh', 'web-9')).stderr).toContain('no access to target "web-9"');
  });

  test('without an ssh on this machine it says what to install', async () => {
    const ran = await runHoop(['ssh', 'web-1'], { home: home(), variables: { PATH: place } });
    expect(ran.exitCode).toBe(255);
    expect(ran.stderr).toContain('openssh-client');
  });
});

describe.skipIf(!hasServer)('programs in a session', () => {
  test('tar through ssh, in both directions at once', async () => {
    const from = join(place, 'from');
    const to = join(place, 'to');
    mkdirSync(from);
    mkdirSync(to);
    writeFileSync(join(from, 'bytes'), randomBytes(2_000_000));
    const ran = await inSession(
      `tar -c -C ${from} . | ssh web-1 'tar -x -C ${to}; tar -c -C ${to} .' | tar -x -O ./bytes | cmp - ${from}/bytes`,
    );
    expect(ran.exitCode).toBe(0);
    expect(readFileSync(join(to, 'bytes')).equals(readFileSync(join(from, 'bytes')))).toBe(true);
  });

  test('scp in both protocols, sftp', async () => {
    const file = join(place, 'file');
    const bytes = randomBytes(3_000_000);
    writeFileSync(file, bytes);
    const ran = await inSession(
      [
        `scp -q ${file} web-1:${place}/scp-new`,
        `scp -q -O ${file} web-1:${place}/scp-old`,
        `scp -q -O web-1:${place}/scp-old ${place}/scp-back`,
        `printf 'put ${file} ${place}/sftp-there\\nget ${place}/sftp-there ${place}/sftp-back\\n' | sftp -q -b - web-1`,
      ].join('\n'),
    );
    expect(ran).toMatchObject({ exitCode: 0 });
    for (const name of ['scp-new', 'scp-old', 'scp-back', 'sftp-back']) {
      expect(readFileSync(join(place, name)).equals(bytes), name).toBe(true);
    }
  });

  test.skipIf(!has('rsync'))('rsync, which asks RSYNC_RSH', async () => {
    const from = join(place, 'rsync-from');
    mkdirSync(join(from, 'a'), { recursive: true });
    writeFileSync(join(from, 'a', 'b'), randomBytes(500_000));
    const ran = await inSession(`rsync -a ${from}/ web-1:${place}/rsync-to/`);
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(place, 'rsync-to', 'a', 'b'))).toBe(true);
  });

  test('git, which asks GIT_SSH_COMMAND', async () => {
    const bare = join(place, 'repo.git');
    const clone = join(place, 'clone');
    const git = 'git -c user.name=x -c user.email=x@example.com';
    const ran = await inSession(
      [
        `git init -q --bare ${bare}`,
        `git clone -q web-1:${bare} ${clone} 2>/dev/null`,
        `cd ${clone}`,
        'echo text > file',
        `${git} add file`,
        `${git} commit -q -m first`,
        `${git} push -q origin HEAD:refs/heads/main`,
        `git ls-remote origin refs/heads/main`,
      ].join('\n'),
    );
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/main\n$/);
  });

  test('ten programs on one connection each get their own output', async () => {
    const master = `-o ControlPath=${place}/master`;
    const ran = await inSession(
      [
        `ssh ${master} -o ControlMaster=yes -o ControlPersist=yes web-1 true`,
        `for i in 1 2 3 4 5 6 7 8 9 10; do ssh ${master} web-1 "echo $i; cat" </dev/null & done; wait`,
        `ssh ${master} -O exit web-1 2>/dev/null`,
      ].join('\n'),
    );
    expect(
      ran.stdout
        .trim()
        .split('\n')
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('keys are exchanged anew on the way', async () => {
    const file = join(place, 'large');
    const bytes = Buffer.alloc(24 * 1024 * 1024, 'some text that is not random ');
    writeFileSync(file, bytes);
    const sum = createHash('sha256').update(bytes).digest('hex');
    const ran = await inSession(
      `ssh -o RekeyLimit=1M web-1 'cat | tee /dev/stderr' <${file} 2>&1 >/dev/null | sha256sum`,
    );
    expect(ran.stdout).toBe(`${sum}  -\n`);
  });

  test('a forward that is not allowed is refused by rule; -R, -A and -X are, and the command runs', async () => {
    const ran = await inSession(
      [
        'ssh -W 127.0.0.1:1 web-1 </dev/null || true',
        'DISPLAY=:0 ssh -A -X -R 9:127.0.0.1:9 web-1 "echo still here"',
      ].join('\n'),
    );
    expect(ran.stdout).toBe('still here\n');
    expect(ran.stderr).toContain('administratively prohibited');
    expect(ran.stderr).toContain('remote forwarding (-R) is refused');
  });

  test('a command is as long as the server takes it; one that no server takes ends with words', async () => {
    // Several arguments: one of a local program has at most 128 KiB.
    const half = 'a'.repeat(60_000);
    const long = await hoop('ssh', 'web-1', `printf %s ${half}`, half, '|', 'wc -c');
    expect(long).toMatchObject({ exitCode: 0, stdout: '120000\n' });
    const refusedThere = await hoop('ssh', 'web-1', 'echo', half, half, half);
    expect(refusedThere).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refusedThere.stderr).toContain('Argument list too long');
    const none = await hoop('ssh', 'web-1', 'echo', ...Array.from({ length: 5 }, () => half));
    expect(none.exitCode).toBe(255);
    expect(none.stderr).toContain('a packet of more than 256 KiB');
  });

  test('who reads no more ends the program on the server', async () => {
    const ran = await inSession('ssh web-1 yes | head -1');
    expect(ran).toMatchObject({ exitCode: 0, stdout: 'y\n' });
  });

  test('variables of the locale arrive, others do not, and nobody waits for an answer', async () => {
    const ran = await inSession(
      'LC_HOOP=arrived LD_PRELOAD= SECRET=x ssh -o SendEnv="LC_HOOP SECRET" web-1 \'echo "$LC_HOOP/$SECRET"\'',
    );
    expect(ran.stdout).toBe('arrived/\n');
  });
});

describe.skipIf(!hasServer)('hoop connect', () => {
  test('a line to paste, whose files go with the session', async () => {
    await using service = await startHoop(['connect', 'web-1', '--json'], 'listening', {
      home: home(),
    });
    const { config, command, kind } = service.ready;
    expect(kind).toBe('ssh');
    expect(command).toEqual(['ssh', '-F', config, 'web-1']);
    const ran = await promisify(execFile)('ssh', ['-F', String(config), 'web-1', 'echo pasted']);
    expect(ran.stdout).toBe('pasted\n');
    await service[Symbol.asyncDispose]();
    expect(existsSync(String(config))).toBe(false);
  });

  test('--socket: nothing listens on a port', async () => {
    await using service = await startHoop(['connect', 'web-1', '--json', '--socket'], 'listening', {
      home: home(),
    });
    const { config, port } = service.ready;
    expect(port).toBeUndefined();
    const ran = await promisify(execFile)('ssh', ['-F', String(config), 'web-1', 'echo by socket']);
    expect(ran.stdout).toBe('by socket\n');
  });

  test('--tls has no meaning there', async () => {
    const ran = await hoop('connect', 'web-1', '--tls');
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain('--tls is for databases');
  });
});

describe.skipIf(!hasServer)('hoop ssh-config', () => {
  let config: string;
  beforeAll(async () => {
    config = join(place, 'ssh_config');
    writeFileSync(config, (await hoop('ssh-config')).stdout);
  });

  test('plain ssh opens a session; those that start at once share it', async () => {
    // Whoever came before may still upload, or may be joined.
    await expect.poll(live, { interval: 1000 }).toEqual([]);
    const before = (await servers.bench.sessions('engineer')).length;
    const all = await Promise.all(
      [1, 2, 3].map((i) =>
        promisify(execFile)('ssh', ['-F', config, 'web-1', `echo ${i}; sleep 3`]),
      ),
    );
    expect(all.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n']);
    await expect
      .poll(async () => (await servers.bench.sessions('engineer'))[0]?.['state'])
      .toBe('uploaded');
    expect(await servers.bench.sessions('engineer')).toHaveLength(before + 1);
  });

  test('who joins a session and asks for what is refused is told so', async () => {
    const first = spawn('ssh', ['-F', config, 'web-1', 'echo up; cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(first.stdout, 'data');
    const joined = await promisify(execFile)('ssh', [
      ...['-F', config, '-A', '-R', '0:127.0.0.1:1', 'web-1', 'echo joined; echo own >&2'],
    ]);
    const ended = once(first, 'exit');
    first.stdin.end();
    expect(await ended).toEqual([0, null]);
    expect(joined.stdout).toBe('joined\n');
    expect(joined.stderr).toContain('hoop: remote forwarding (-R) is refused');
    expect(joined.stderr).toContain('own\n');
  });

  test('who waits for the end of its output does not wait for the upload', async () => {
    const ran = await promisify(execFile)('sh', [
      '-c',
      `ssh -F ${config} web-1 'echo x' 2>&1 | cat`,
    ]);
    expect(ran.stdout).toBe('x\n');
  });

  test('--write is idempotent and says which line is missing', async () => {
    const variables = { HOME: join(place, 'home') };
    mkdirSync(join(variables.HOME, '.ssh'), { recursive: true });
    const write = () => runHoop(['ssh-config', '--write'], { home: home(), variables });
    const first = await write();
    expect(first.stdout).toBe('Include config.d/hoop\n');
    const file = join(variables.HOME, '.ssh', 'config.d', 'hoop');
    const text = readFileSync(file, 'utf8');
    writeFileSync(join(variables.HOME, '.ssh', 'config'), 'Include config.d/hoop\nHost *\n');
    const second = await write();
    expect(second.stdout).toBe('');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});

describe.skipIf(!hasServer)('hoop run', () => {
  test('ssh, git and others lead to the server; a session is opened when they do', async () => {
    const before = (await servers.bench.sessions('engineer')).length;
    const ran = await hoop(
      'run',
      '--',
      'sh',
      '-c',
      'ssh web-1 echo $((6 * 7)); scp -q web-1:/etc/hostname /dev/null; echo $?',
    );
    expect(ran.stdout).toBe('42\n0\n');
    const sessions = await servers.bench.sessions('engineer');
    expect(sessions).toHaveLength(before + 1);
    expect(sessions[0]).toMatchObject({ target: 'web-1', state: 'uploaded' });
  });

  test('--print-env and the briefing know the server', async () => {
    const printed = await hoop('run', '--target', 'web-1', '--print-env');
    expect(printed.stdout).toMatch(/^set {6}GIT_SSH_COMMAND=ssh -F /m);
    expect(printed.stdout).not.toContain('PGHOST=');
    const briefing = await hoop('run', '--target', 'web-1', '--briefing-only');
    expect(briefing.stdout).toContain('Connect with `ssh web-1`');
  });

  test.skipIf(!has('bwrap'))('also inside of a fence', async () => {
    const ran = await hoop(
      'run',
      '--fence',
      '--target',
      'web-1',
      '--',
      'ssh',
      'web-1',
      'echo fenced',
    );
    expect(ran).toMatchObject({ exitCode: 0, stdout: 'fenced\n' });
  });
});
