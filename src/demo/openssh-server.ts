/**
 * A real OpenSSH server on loopback, for the demo and for the tests: the sshd that is installed,
 * with a configuration, host keys and a user key of its own in a temporary directory. As root it
 * serves root; anybody else gets a server that can only log in to their own account.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { HoopError } from '../errors.ts';
import { freeLoopbackPort } from './loopback-server.ts';
import type { Watchdog } from './watchdog.ts';

const run = promisify(execFile);

/** Not in everybody's PATH; sshd wants to be called by its whole path. */
const USUAL_PLACES = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/opt/homebrew/sbin'];
/** Compiled into the packages of Debian and others; made by the service that we do not use. */
const PRIVILEGE_SEPARATION_DIRECTORY = '/run/sshd';
const STOP_TIMEOUT_MS = 5000;
const START_ATTEMPTS = 3;

export interface OpensshServerOptions {
  /** Kinds of host keys that it has. Default: ed25519. */
  readonly hostKeyTypes?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  /** More lines of sshd_config; the first mention of a setting counts, and these come first. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Keeps its keys here and leaves them there; default: a temporary directory, removed at the end. */
  readonly directory?: string;
  /** Default: one that is free. */
  readonly port?: number;
  /** Stops it when this process is killed. */
  readonly watchdog?: Watchdog;
}

export interface OpensshServer extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Who one can log in as. */
  readonly user: string;
  /** Public host keys, as in known_hosts without the name: `ssh-ed25519 AAAA…`. */
  readonly hostKeys: readonly string[];
  /** Private key of the user, 0600, in OpenSSH's format. */
  readonly privateKeyFile: string;
  readonly processId: number;
  /** Its log so far. */
  log(): string;
  /** Ends all connections that there are, as a crash of the machine would; new ones are served. */
  dropConnections(): Promise<void>;
}

/** @returns undefined: OpenSSH's server is not installed. */
export function findSshd(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...USUAL_PLACES];
  return folders.map((folder) => join(folder, 'sshd')).find(isProgram);
}

/** @throws HOOP_MISSING_PROGRAM when sshd is not installed or does not start. */
export async function startOpensshServer(
  options: OpensshServerOptions = {},
): Promise<OpensshServer> {
  const program = findSshd();
  if (program === undefined) {
    throw new HoopError('HOOP_MISSING_PROGRAM', 'the OpenSSH server is not installed', {
      hint: 'Install it, e.g. `apt-get install openssh-server`; it need not be started as a service.',
    });
  }
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'hoop-sshd-'));
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const types = options.hostKeyTypes ?? ['ed25519'];
    for (const type of types) {
      await makeKey(join(directory, `host_${type}`), type);
    }
    const privateKeyFile = join(directory, 'user_ed25519');
    await makeKey(privateKeyFile, 'ed25519');
    const publicKey = readFileSync(`${privateKeyFile}.pub`, 'utf8');
    writeFileSync(join(directory, 'authorized_keys'), publicKey, { mode: 0o600 });
    writeFileSync(join(directory, 'sshd_config'), configuration(directory, types, options));
    if (process.getuid?.() === 0 && !existsSync(PRIVILEGE_SEPARATION_DIRECTORY)) {
      mkdirSync(PRIVILEGE_SEPARATION_DIRECTORY, { mode: 0o755 });
    }
    const server = await launch(program, directory, options);
    return {
      host: '127.0.0.1',
      port: server.port,
      user: userInfo().username,
      hostKeys: types.map((type) => publicPart(join(directory, `host_${type}.pub`))),
      privateKeyFile,
      processId: server.processId,
      log: server.log,
      dropConnections: () => dropConnections(server.processId),
      async [Symbol.asyncDispose]() {
        await dropConnections(server.processId);
        await stop(server.child);
        removeTemporary(directory, options);
      },
    };
  } catch (error) {
    removeTemporary(directory, options);
    throw error;
  }
}

function removeTemporary(directory: string, options: OpensshServerOptions): void {
  if (options.directory === undefined) {
    rmSync(directory, { recursive: true, force: true });
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: the same here.
    return false;
  }
}

async function makeKey(file: string, type: string): Promise<void> {
  if (!existsSync(file)) {
    await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'hoop', '-f', file]);
  }
}

/** Without the comment. */
function publicPart(file: string): string {
  return readFileSync(file, 'utf8').split(' ').slice(0, 2).join(' ');
}

function configuration(
  directory: string,
  types: readonly string[],
  { settings = {} }: OpensshServerOptions,
): string {
  const lines = [
    ...Object.entries(settings).map(([name, value]) => `${name} ${value}`),
    'ListenAddress 127.0.0.1',
    ...types.map((type) => `HostKey "${join(directory, `host_${type}`)}"`),
    `AuthorizedKeysFile "${join(directory, 'authorized_keys')}"`,
    `PidFile none`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PubkeyAuthentication yes',
    'PermitRootLogin prohibit-password',
    // The temporary directory is everybody's; what is in ours is not.
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'MaxStartups 200',
    'AcceptEnv LANG LC_*',
    'Subsystem sftp internal-sftp',
  ];
  return `${lines.join('\n')}\n`;
}

interface RunningServer {
  readonly child: ChildProcess;
  readonly processId: number;
  readonly port: number;
  readonly log: () => string;
}

async function launch(
  program: string,
  directory: string,
  options: OpensshServerOptions,
): Promise<RunningServer> {
  for (let attempt = 1; ; attempt += 1) {
    // sshd does not take port 0; another process may take the port in between: try again.
    const port = options.port ?? (await freeLoopbackPort());
    const config = join(directory, 'sshd_config');
    const child = spawn(program, ['-D', '-e', '-f', config, '-p', String(port)], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      // Its own process group: Ctrl-C in the terminal must not stop it before its users are done.
      detached: true,
    });
    options.watchdog?.watch(child, 'SIGTERM');
    let log = '';
    const isListening = await new Promise<boolean>((resolve) => {
      child.once('error', () => resolve(false));
      child.once('exit', () => resolve(false));
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-65_536);
        if (log.includes('Server listening on')) {
          resolve(true);
        }
      });
    });
    if (isListening && child.pid !== undefined) {
      return { child, processId: child.pid, port, log: () => log };
    }
    await stop(child);
    if (attempt === START_ATTEMPTS) {
      throw new HoopError('HOOP_MISSING_PROGRAM', 'the OpenSSH server did not start', {
        detail: log.slice(-2000),
      });
    }
  }
}

/** Each connection is a process below the server, which the end of the server does not end. */
async function dropConnections(server: number): Promise<void> {
  for (const child of await childrenOf(server)) {
    // Privileges separated, a second process below it holds the socket, too.
    for (const id of [child, ...(await childrenOf(child))]) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {
        // It has ended in the meantime.
      }
    }
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const list = `/proc/${parent}/task/${parent}/children`;
  try {
    const text = existsSync(list)
      ? readFileSync(list, 'utf8')
      : (await run('pgrep', ['-P', String(parent)])).stdout;
    return text.split(/\s+/).filter(Boolean).map(Number);
  } catch {
    // None: pgrep fails then; or the parent has ended in between.
    return [];
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}
