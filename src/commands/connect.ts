import { Command, InvalidArgumentError } from 'commander';
import type { Io } from './io.ts';

interface ConnectFlags {
  readonly port?: number;
  readonly socket?: boolean;
  readonly reason?: string;
  readonly url?: boolean;
  readonly json?: boolean;
}

export function connectCommand(io: Io): Command {
  return new Command('connect')
    .description('open a local port to a target, or run a command on it')
    .argument('<target>', 'a name from `hoop targets`')
    .argument('[command...]', 'after `--`: run this with PG* and DATABASE_URL set')
    .option('--port <number>', 'listen on this port of 127.0.0.1 (default: a free one)', parsePort)
    .option('--socket', 'listen on a unix socket that only you can reach, instead of a port')
    .option('--reason <text>', 'why; recorded, and asked for by some targets')
    .option('--url', 'print a DATABASE_URL (it holds the session’s password)')
    .option(
      '--json',
      'print NDJSON: listening, denied, closing, uploaded; with a command on stderr',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (target: string, command: string[], flags: ConnectFlags) => {
      const { runConnect } = await import('./connect-run.ts');
      await runConnect(io, { target, command, ...flags });
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  }
  return port;
}

const EXAMPLES = `
Examples:
  hoop connect prod-db
  hoop connect prod-db -- psql
  hoop connect prod-db --reason INC-4711 -- pg_dump --schema-only
  hoop connect prod-db --json

Ctrl-C ends the session; the recording is uploaded then. With a command, the session ends with
it, and its exit status is returned (255: a failure of hoop's own). stdout is the command's then:
--json goes to stderr, a line each, without the session's password.`;
