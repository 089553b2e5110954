/** `ssh -L` through a real sshd on loopback: the bare tunnel that everyone compares with. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { startDelayedLink } from './delayed-link.ts';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { HelperProcess } from './helper-process.ts';
import { knowsProcesses, steadyTree } from './process-figures.ts';
import type { Tunnel, TunnelOptions } from './tunnel.ts';

/**
 * @param isFar a delayed link is between ssh and sshd
 * @returns undefined where no sshd is installed.
 */
export async function startSshForward(
  options: TunnelOptions & { readonly isFar?: boolean },
): Promise<Tunnel | undefined> {
  const { targetPort, watchdog, isFar } = options;
  const program = findProgram('sshd');
  const ssh = findProgram('ssh');
  if (!program || !ssh) {
    return undefined;
  }
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-ssh-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
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
  const server = stack.use(
    await HelperProcess.start({
      program,
      args: ['-D', '-e', '-f', file('sshd_config')],
      port: sshPort,
      watchdog,
    }),
  );
  const far = isFar
    ? stack.use(await startDelayedLink({ targetPort: sshPort, watchdog }))
    : { port: sshPort };
  const known = [
    'StrictHostKeyChecking=no',
    `UserKnownHostsFile=${file('known')}`,
    'BatchMode=yes',
  ];
  const client = stack.use(
    await HelperProcess.start({
      program: ssh,
      args: [
        ...['-N', '-F', 'none', '-p', String(far.port), '-i', file('user')],
        ...known.flatMap((option) => ['-o', option]),
        ...['-L', `127.0.0.1:${port}:127.0.0.1:${targetPort}`, `${userInfo().username}@127.0.0.1`],
      ],
      port,
      watchdog,
    }),
  );
  // sshd has a process or two for each connection; those of the login and of the look at the port go.
  const serverEnd = knowsProcesses() ? await steadyTree(server.processId) : [server.processId];
  const owned = stack.move();
  return {
    port,
    clientEnd: [client.processId],
    serverEnd,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
