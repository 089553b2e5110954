/** Programs that come with an SSH client of their own mind: through `hoop ssh-config`, unchanged. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/connectors/ssh/client/ssh-files.ts';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import { locateHome } from '../../src/home.ts';
import { pendingUploads } from '../../src/recording/client/pending-uploads.ts';
import { spoolDirectory } from '../../src/recording/client/spool.ts';
import { spoolsOf } from '../../src/tunnel/spools-of.ts';
import { openSshBench, type SshBench } from './ssh-bench.ts';

const run = promisify(execFile);
const PATH = process.env['PATH'] ?? '';
const has = (program: string) => findProgram(program, PATH) !== undefined;
const hasServer = findSshd() !== undefined && has('ssh');
const hasAnsible = hasServer && has('ansible-playbook');
const hasSshfs = hasServer && has('sshfs') && has('fusermount3') && existsSync('/dev/fuse');

let servers: SshBench;
let place: string;
/** What `hoop ssh-config` has printed. */
let config: string;
beforeAll(async () => {
  if (hasServer) {
    servers = await openSshBench();
    place = mkdtempSync(join(tmpdir(), 'hoop-ssh-programs-'));
    config = join(place, 'ssh_config');
    writeFileSync(config, (await servers.bench.hoop('engineer', 'ssh-config')).stdout);
  }
});
afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
  if (place) {
    rmSync(place, { recursive: true, force: true });
  }
});

const PLAYBOOK = `- hosts: web
  gather_facts: true
  vars: { name: wörld }
  tasks:
    - file: { path: "{{ place }}/there", state: directory }
    - copy: { src: "{{ place }}/blob", dest: "{{ place }}/there/blob" }
    - fetch: { src: "{{ place }}/there/blob", dest: "{{ place }}/back", flat: yes }
    - template: { src: "{{ place }}/t.j2", dest: "{{ place }}/there/t" }
    - command: cat {{ place }}/there/t
      register: out
    - assert: { that: "out.stdout == 'hello wörld'" }
    - shell: exit 3
      register: failed
      failed_when: failed.rc != 3
`;

// First: what plain ssh opens delivers what it finds, too.
describe.skipIf(!hasServer)('a recording that was left behind', () => {
  test('goes with the next hoop ssh, which says nothing of it', async () => {
    const home = servers.bench.home('engineer');
    await using killed = await startHoop(['connect', 'web-1', '--json'], 'listening', { home });
    const session = String(killed.ready['session']);
    killed.kill('SIGKILL');
    const state = async () => {
      const all = await servers.bench.sessions('engineer');
      return all.find(({ id }) => id === session)?.['state'];
    };
    await expect.poll(state, { interval: 1000 }).not.toBe('live');
    expect(await state()).not.toBe('uploaded');
    const again = async () => {
      const ran = await servers.bench.hoop('engineer', 'ssh', 'web-1', 'echo out');
      expect(ran).toMatchObject({ exitCode: 0, stdout: 'out\n', stderr: '' });
      return state();
    };
    await expect.poll(again).toBe('uploaded');
  });

  test('of plain ssh, whose upload failed, goes with the next plain ssh', async () => {
    const { bench } = servers;
    const spools = spoolsOf(locateHome({ HOOP_HOME: bench.home('engineer') }));
    const left = async () => (await pendingUploads(spools)).map(({ session }) => session);
    expect(await left()).toEqual([]);
    // As printed, and then it says that it has ended: it goes on for longer than ssh, which hangs up.
    const [, proxy = ''] = /ProxyCommand (.*)/.exec(readFileSync(config, 'utf8')) ?? [];
    const ended = join(place, 'proxy-ended');
    const script = `trap : HUP\n${proxy.replaceAll('%%', '%')}\necho $? >${ended}\n`;
    writeFileSync(join(place, 'proxy'), script);
    const ssh = spawn(
      'ssh',
      [
        ...['-F', config, '-o', `ProxyCommand=sh ${join(place, 'proxy')}`],
        ...['web-1', 'echo up; exec sleep 600'],
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let said = '';
    ssh.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await expect.poll(() => said).toBe('up\n');
    const [session] = await bench.sessions('engineer');
    const exit = once(ssh, 'exit');
    bench.demo.gatewayProcess().kill('SIGKILL');
    expect((await exit)[0]).toBe(255);
    // What the gateway has not signed is in the proxy alone, which goes on asking for two minutes,
    // unless it is told to end a second time.
    const owner = Number(
      readFileSync(join(spoolDirectory(spools, String(session?.['id'])), 'owner')),
    );
    const isGivenUp = (): boolean => {
      if (!existsSync(ended)) process.kill(owner, 'SIGTERM');
      return existsSync(ended);
    };
    await expect.poll(isGivenUp, { interval: 600 }).toBe(true);
    expect(await left()).toEqual([session?.['id']]);
    await bench.demo.restartGateway();
    const again = await run('ssh', ['-F', config, 'web-1', 'echo out']);
    expect(again).toMatchObject({ stdout: 'out\n', stderr: '' });
    const now = async () => {
      const all = await bench.sessions('engineer');
      return all.slice(0, 2).map(({ id, state }) => [id === session?.['id'], state]);
    };
    await expect.poll(now, { interval: 1000 }).toEqual([
      [false, 'uploaded'],
      [true, 'uploaded'],
    ]);
    expect(await left()).toEqual([]);
    // What came before the gateway was gone is delivered, too.
    const replayed = await bench.hoop('engineer', 'sessions', 'replay', String(session?.['id']));
    expect(replayed.stdout).toMatch(/^.*echo up; exec sleep 600[\s\S]*\bup\b/m);
  });
});

describe.skipIf(!hasServer)('a session of plain ssh', () => {
  test('goes on after SIGHUP and Ctrl-C, which are for one ssh; SIGTERM ends it', async () => {
    const { bench } = servers;
    const ssh = spawn('ssh', ['-F', config, 'web-1', 'echo up; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const exit = once(ssh, 'exit');
    const [up] = await once(ssh.stdout, 'data');
    expect(String(up)).toBe('up\n');
    const newest = async () => (await bench.sessions('engineer'))[0];
    const id = String((await newest())?.['id']);
    const spools = spoolsOf(locateHome({ HOOP_HOME: bench.home('engineer') }));
    const owner = Number(readFileSync(join(spoolDirectory(spools, id), 'owner')));
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGHUP', 'SIGINT'] as const) {
      process.kill(owner, signal);
      const joined = await run('ssh', ['-F', config, 'web-1', 'echo joined']);
      expect(joined).toMatchObject({ stdout: 'joined\n', stderr: '' });
      expect(await newest()).toMatchObject({ id, state: 'live' });
    }
    process.kill(owner, 'SIGTERM');
    expect((await exit)[0]).toBe(255);
    const state = async () => (await newest())?.['state'];
    await expect.poll(state, { interval: 1000 }).toBe('uploaded');
    expect((await newest())?.['id']).toBe(id);
  });
});

describe.skipIf(!hasAnsible)('ansible (skipped without ansible-playbook)', () => {
  test.each([
    ['with pipelining, files by sftp', 'True', 'sftp'],
    ['without, files by scp', 'False', 'scp'],
  ])('runs a playbook %s', async (_, pipelining, transfer) => {
    const blob = Buffer.alloc(300_000, 'bytes of a file');
    writeFileSync(join(place, 'blob'), blob);
    writeFileSync(join(place, 't.j2'), 'hello {{ name }}\n');
    writeFileSync(join(place, 'play.yml'), PLAYBOOK);
    // ssh is its own, so that this is what people have; the path of a socket is short.
    const settings = {
      ANSIBLE_SSH_ARGS: `-F ${config} -o ControlMaster=auto -o ControlPersist=10s`,
      ANSIBLE_SSH_CONTROL_PATH_DIR: join(place, 'cp'),
      ANSIBLE_LOCAL_TEMP: join(place, 'local'),
      ANSIBLE_REMOTE_TEMP: join(place, 'remote'),
      ANSIBLE_PIPELINING: pipelining,
      ANSIBLE_SSH_TRANSFER_METHOD: transfer,
      ANSIBLE_TIMEOUT: '60',
    };
    const interpreter = 'ansible_python_interpreter=/usr/bin/python3';
    writeFileSync(join(place, 'inventory'), `[web]\nweb-1 ${interpreter}\n`);
    const args = ['-i', join(place, 'inventory'), '-e', `place=${place}`, join(place, 'play.yml')];
    const done = await run('ansible-playbook', args, {
      env: { ...process.env, ...settings },
    }).catch((error: { stdout?: string }) => error);
    expect(done.stdout).toMatch(/web-1 +: ok=\d+ .*unreachable=0 +failed=0/);
    expect(readFileSync(join(place, 'back')).equals(blob)).toBe(true);
    rmSync(join(place, 'back'));
    rmSync(join(place, 'there'), { recursive: true });
  });
});

describe.skipIf(!hasSshfs)('sshfs (skipped without sshfs or /dev/fuse)', () => {
  test('mounts a folder: files are written, renamed, read and removed; hard links are refused', async () => {
    const remote = join(place, 'mounted');
    const mount = join(place, 'mount');
    mkdirSync(remote);
    mkdirSync(mount);
    // In the foreground: in the background nobody would read what it and its ssh say.
    const sshfs = spawn('sshfs', ['-f', '-F', config, `web-1:${remote}`, mount], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    sshfs.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const gone = once(sshfs, 'close');
    const isMounted = () => readFileSync('/proc/self/mounts', 'utf8').includes(` ${mount} `);
    try {
      await expect.poll(() => isMounted() || sshfs.exitCode !== null).toBe(true);
      expect(isMounted()).toBe(true);
      const script = [
        'echo one >x; mkdir d; mv x d/y; cat d/y; echo two >>d/y; wc -l <d/y',
        'truncate -s 3 d/y; ln -s d/y l; cat l; echo',
        'if ln d/y hard 2>/dev/null; then echo linked; else echo refused; fi',
        'head -c 2000000 /dev/urandom >big; cksum <big; rm -r d l',
      ].join('\n');
      const { stdout } = await run('sh', ['-ec', script], { cwd: mount });
      const sum = await run('sh', ['-c', 'cksum <big'], { cwd: remote });
      expect(stdout).toBe(`one\n2\none\nrefused\n${sum.stdout}`);
      expect(existsSync(join(remote, 'd'))).toBe(false);
      await run('fusermount3', ['-u', mount]);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${words}\nsshfs, status ${sshfs.exitCode}, said: ${said}`, { cause: error });
    } finally {
      // Not mounted any more, or what failed above is the error to show.
      await run('fusermount3', ['-u', '-z', mount]).catch(() => undefined);
      await gone;
    }
  });
});

describe.skipIf(!hasServer || !has('curl'))('VS Code Remote (skipped without curl)', () => {
  test('runs its script from standard input, and reaches its server by -D', async () => {
    const web = createServer((_request, response) => response.end('from the server'));
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port: socks } = probe.address() as AddressInfo;
    probe.close();
    const options = ['-F', config, '-T', '-D', `127.0.0.1:${socks}`, '-o', 'ConnectTimeout=60'];
    const ssh = spawn('ssh', [...options, 'web-1', 'bash'], { stdio: 'pipe' });
    try {
      let said = '';
      ssh.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      ssh.stdin.write('uname -s\necho "listeningOn==$((6 * 7))=="\n');
      await expect.poll(() => said).toContain('listeningOn==42==');
      const get = (to: number) =>
        run('curl', ['-sS', '--socks5-hostname', `127.0.0.1:${socks}`, `http://localhost:${to}/`]);
      expect((await get(port)).stdout).toBe('from the server');
      // The rule `forbidden-port` of the bench.
      await expect(get(1)).rejects.toThrow();
      ssh.stdin.end('exit 5\n');
      expect((await once(ssh, 'exit'))[0]).toBe(5);
    } finally {
      ssh.kill();
      web.close();
    }
  });
});
