/** `ssh -L` through a real sshd on loopback: the bare tunnel that everyone compares with. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

const SSHD = '/usr/sbin/sshd';
const START_TIMEOUT_MS = 10_000;

export interface SshForward extends AsyncDisposable {
  /** Local port that leads to the target. */
  readonly port: number;
}

/** @returns undefined where no sshd is installed. */
export async function startSshForward(targetPort: number): Promise<SshForward | undefined> {
  if (!existsSync(SSHD)) {
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-ssh-'));
  const file = (name: string): string => join(directory, name);
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  }
  const sshPort = await freePort();
  const port = await freePort();
  const lines = [
    `Port ${sshPort}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('user.pub')}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
  ];
  writeFileSync(file('sshd_config'), `${lines.join('\n')}\n`);
  if (process.getuid?.() === 0) {
    // Debian's sshd wants its privilege separation directory, which its service makes.
    mkdirSync('/run/sshd', { recursive: true });
  }
  const server = spawn(SSHD, ['-D', '-e', '-f', file('sshd_config')], { stdio: 'ignore' });
  await answers(sshPort);
  const options = [
    'StrictHostKeyChecking=no',
    `UserKnownHostsFile=${file('known')}`,
    'BatchMode=yes',
  ];
  const client = spawn(
    'ssh',
    [
      ...['-N', '-F', 'none', '-p', String(sshPort), '-i', file('user')],
      ...options.flatMap((option) => ['-o', option]),
      ...['-L', `127.0.0.1:${port}:127.0.0.1:${targetPort}`, `${userInfo().username}@127.0.0.1`],
    ],
    { stdio: 'ignore' },
  );
  await answers(port);
  return {
    port,
    async [Symbol.asyncDispose]() {
      await stop(client);
      await stop(server);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function answers(port: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) {
      return;
    }
    if (performance.now() > deadline) {
      throw new Error(`nothing answers on port ${port}`);
    }
    await sleep(50);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}
