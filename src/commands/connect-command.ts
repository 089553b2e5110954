/** Runs a command on a session: environment, terminal, signals, exit status. */
import { constants } from 'node:os';
import { execa } from 'execa';
import { HoopError } from '../errors.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import { connectionUrl } from '../tunnel/connection-files.ts';
import type { Io } from './io.ts';

/** What libpq and drivers would read besides what we set; anything left here leads elsewhere. */
const INHERITED = /^PG[A-Z]+$|^DATABASE_URL$/;
/** Settings of the person that have nothing to do with where the connection goes. */
const HARMLESS = new Set(['PGAPPNAME', 'PGTZ', 'PGDATESTYLE', 'PGGEQO', 'PGCLIENTENCODING']);
const NOT_EXECUTABLE = 126;

/** @returns the exit status, 128 + signal number when a signal ended it. */
export async function runCommand(
  io: Io,
  command: readonly string[],
  session: ClientSession,
): Promise<number> {
  const [program = '', ...args] = command;
  const child = execa(program, args, {
    stdio: 'inherit',
    cwd: io.cwd,
    env: commandEnvironment(io.env, session),
    extendEnv: false,
    reject: false,
    // A command that closes with its terminal decides itself what it does about signals.
    cleanup: false,
  });
  const release = io.onSignal((signal) => {
    // Ctrl-C reaches every process of the terminal by itself; psql makes a cancel of it.
    if (signal !== 'SIGINT' || !io.stdin.isTTY) {
      child.kill(signal);
    }
  });
  try {
    const result = await child;
    if (result.code === 'ENOENT' || result.code === 'EACCES') {
      throw new HoopError('HOOP_MISSING_PROGRAM', `cannot run "${program}"`, {
        detail:
          result.code === 'ENOENT'
            ? 'There is no such program on PATH.'
            : 'It is not executable, or a directory on PATH may not be read.',
      });
    }
    if (result.exitCode !== undefined) {
      return result.exitCode;
    }
    const number = result.signal ? constants.signals[result.signal] : undefined;
    return number === undefined ? NOT_EXECUTABLE : 128 + number;
  } finally {
    release();
  }
}

function commandEnvironment(env: NodeJS.ProcessEnv, session: ClientSession): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => HARMLESS.has(name) || !INHERITED.test(name));
  const { facts, files } = session;
  return {
    ...Object.fromEntries(kept),
    PGHOST: facts.host,
    PGPORT: String(facts.port),
    PGUSER: facts.user,
    PGDATABASE: facts.database,
    PGPASSFILE: files.passwordFile,
    PGSERVICEFILE: files.serviceFile,
    ...(facts.caFile === undefined
      ? {}
      : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: facts.caFile }),
    DATABASE_URL: connectionUrl(facts),
    HOOP_SESSION: session.id,
  };
}
