/**
 * The two files that let an unmodified libpq client connect without a password in its arguments:
 * a service file and a password file, both 0600 in the session's own 0700 directory.
 * https://www.postgresql.org/docs/current/libpq-pgservice.html and …/libpq-pgpass.html
 */
import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import type { Secret } from '../secret.ts';

/** sun_path on macOS, with the name of libpq's socket in it; Linux has four bytes more. */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = '/.s.PGSQL.5432';

export interface ConnectionFacts {
  /** The target's name, which is the service's name. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: Secret<string>;
}

export interface ConnectionFiles {
  readonly serviceFile: string;
  readonly passwordFile: string;
}

/** A new 0700 directory below `runtime`, short enough for a socket. The caller removes it. */
export function makeRuntimeDirectory(runtime: string): string {
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  requireOwn(runtime);
  const directory = mkdtempSync(join(runtime, 's-'));
  if (Buffer.byteLength(directory + SOCKET_NAME) <= MAX_SOCKET_PATH_BYTES) {
    return directory;
  }
  // A deep HOOP_HOME: the system's temporary directory is short, and mkdtemp makes it 0700.
  rmSync(directory, { recursive: true });
  return mkdtempSync(join(tmpdir(), 'hoop-'));
}

/**
 * Without XDG_RUNTIME_DIR it is a name in /tmp that anybody can foresee. Whoever owns or may write
 * the directory could put files of his own in place of ours, and clients would talk to him.
 */
function requireOwn(directory: string): void {
  const stats = lstatSync(directory);
  // Windows has neither; its directories are below the user's profile.
  const isOwn =
    process.getuid === undefined || (stats.uid === process.getuid() && (stats.mode & 0o022) === 0);
  if (!stats.isDirectory() || !isOwn) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${directory}" is not a directory of yours alone`, {
      detail: 'It is a link, belongs to somebody else, or others may write in it.',
      hint: 'Remove it, or set HOOP_HOME or XDG_RUNTIME_DIR to a directory of your own.',
    });
  }
}

export function writeConnectionFiles(directory: string, facts: ConnectionFacts): ConnectionFiles {
  const values = [facts.name, facts.host, facts.user, facts.database];
  if (values.some((value) => /[\p{Cc}]/u.test(value)) || facts.name.includes(']')) {
    throw new HoopError(
      'HOOP_LOCAL_PORT',
      'the name of the target cannot stand in a service file',
      {
        detail: 'It holds a control character or a bracket.',
      },
    );
  }
  const serviceFile = join(directory, 'pg_service.conf');
  const passwordFile = join(directory, 'pgpass');
  const isSocket = facts.host.startsWith('/');
  const lines = [
    `[${facts.name}]`,
    `host=${facts.host}`,
    `port=${facts.port}`,
    `user=${facts.user}`,
    `dbname=${facts.database}`,
    `passfile=${passwordFile}`,
    // On a socket libpq can check who listens (SO_PEERCRED): us and nobody else.
    ...(isSocket ? [`requirepeer=${userInfo().username}`] : []),
  ];
  const fields = [facts.host, String(facts.port), facts.database, facts.user];
  const entry = [...fields, facts.password.expose()].map(escapeField).join(':');
  writeFileSync(serviceFile, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  writeFileSync(passwordFile, `${entry}\n`, { mode: 0o600, flag: 'wx' });
  return { serviceFile, passwordFile };
}

/** For DATABASE_URL and `--url`. */
export function connectionUrl(facts: ConnectionFacts): string {
  const user = encodeURIComponent(facts.user);
  const login = `${user}:${encodeURIComponent(facts.password.expose())}`;
  const database = encodeURIComponent(facts.database);
  return facts.host.startsWith('/')
    ? `postgresql://${login}@/${database}?host=${encodeURIComponent(facts.host)}&port=${facts.port}`
    : `postgresql://${login}@${facts.host}:${facts.port}/${database}`;
}

function escapeField(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}
