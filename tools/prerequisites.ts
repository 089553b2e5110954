/** Programs that the tests need from the system: installed where we may, else named exactly. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Prerequisite {
  /** A name on PATH, or a file. */
  readonly program: string;
  readonly debianPackage: string;
  readonly neededFor: string;
}

const PREREQUISITES: readonly Prerequisite[] = [
  { program: 'git', debianPackage: 'git', neededFor: 'the policy repository' },
  { program: 'ssh-keygen', debianPackage: 'openssh-client', neededFor: 'signed policy commits' },
  // Depends on openssh-sftp-server, which the tests of sftp start by themselves.
  { program: '/usr/sbin/sshd', debianPackage: 'openssh-server', neededFor: 'sessions on servers' },
  { program: 'psql', debianPackage: 'postgresql-client', neededFor: 'end-to-end sessions' },
  { program: 'groff', debianPackage: 'groff-base', neededFor: 'the manual page' },
  { program: 'tinyproxy', debianPackage: 'tinyproxy-bin', neededFor: 'the way through a proxy' },
  { program: '/usr/sbin/haproxy', debianPackage: 'haproxy', neededFor: 'a load balancer in front' },
  { program: 'zsh', debianPackage: 'zsh', neededFor: 'completion' },
  { program: 'fish', debianPackage: 'fish', neededFor: 'completion' },
  { program: 'script', debianPackage: 'bsdutils', neededFor: 'terminals that vanish' },
  { program: 'bwrap', debianPackage: 'bubblewrap', neededFor: 'the fence' },
  { program: 'python3', debianPackage: 'python3', neededFor: 'programs under hoop run' },
  {
    program: '/usr/lib/python3/dist-packages/psycopg2',
    debianPackage: 'python3-psycopg2',
    neededFor: 'Python programs under hoop run',
  },
  {
    program: '/usr/lib/python3/dist-packages/paramiko',
    debianPackage: 'python3-paramiko',
    neededFor: 'SSH clients other than OpenSSH',
  },
  {
    program: 'dbclient',
    debianPackage: 'dropbear-bin',
    neededFor: 'SSH clients other than OpenSSH',
  },
  { program: 'curl', debianPackage: 'curl', neededFor: 'SSH clients other than OpenSSH' },
  { program: 'ansible', debianPackage: 'ansible-core', neededFor: 'playbooks on a server' },
  { program: 'rsync', debianPackage: 'rsync', neededFor: 'copies to a server' },
  { program: 'sshfs', debianPackage: 'sshfs', neededFor: 'file systems of a server' },
  { program: 'fusermount3', debianPackage: 'fuse3', neededFor: 'file systems of a server' },
  { program: 'chromium', debianPackage: 'chromium', neededFor: 'the login page' },
  { program: 'dbus-run-session', debianPackage: 'dbus', neededFor: 'the OS keychain' },
  { program: 'gnome-keyring-daemon', debianPackage: 'gnome-keyring', neededFor: 'the OS keychain' },
];

/** @returns false when something is missing and could not be installed; it has said what. */
export function ensurePrerequisites(say: (text: string) => void): boolean {
  const missing = PREREQUISITES.filter((entry) => !isOnPath(entry.program));
  if (missing.length === 0) {
    return true;
  }
  const packages = [...new Set(missing.map((entry) => entry.debianPackage))];
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    say(`installing ${packages.join(', ')} …`);
    const quiet = {
      stdio: ['ignore', 'ignore', 'inherit'] as const,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    execFileSync('apt-get', ['update', '-qq'], { ...quiet, stdio: [...quiet.stdio] });
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
      ...quiet,
      stdio: [...quiet.stdio],
    });
  }
  const still = PREREQUISITES.filter((entry) => !isOnPath(entry.program));
  for (const entry of still) {
    say(`"${entry.program}" is missing; the tests of ${entry.neededFor} need it`);
  }
  if (still.length > 0) {
    const names = [...new Set(still.map((entry) => entry.debianPackage))].join(' ');
    say(`on Debian or Ubuntu: sudo apt-get install ${names}`);
  }
  return still.length === 0;
}

export function isOnPath(program: string): boolean {
  if (program.startsWith('/')) {
    return existsSync(program);
  }
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.some((directory) => existsSync(join(directory, program)));
}

/** Exit status and output of a program, for a step that reports by itself. */
export function runStep(
  command: string,
  args: readonly string[],
  env = process.env,
): { ok: boolean; output: string } {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, env });
  return { ok: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}
