import { Command, InvalidArgumentError } from 'commander';
import type { ConnectFlags } from './connect-run.ts';
import type { Io } from './io.ts';

export function connectCommand(io: Io): Command {
  return new Command('connect')
    .description('open a local port to a target, or run a command on it')
    .argument('<target>', 'a name from `hoop targets`')
    .argument('[command...]', 'after `--`: run this with PG* and DATABASE_URL, or ssh, set up')
    .option('--port <number>', 'listen on this port of 127.0.0.1 (default: a free one)', parsePort)
    .option('--forever', 'keep port, user and password for the next start as well (databases)')
    .option('--socket', 'listen on a Unix socket that only you can reach, instead of a port')
    .option('--tls', 'accept only TLS, with a CA and a certificate for this session (verify-full)')
    .option(
      '--allow-uid <uid>',
      'let another user of this machine connect if they have the password (repeatable)',
      collectUid,
    )
    .option('--reason <text>', 'reason; recorded, and required by some targets')
    .option('--prompt <text>', 'what this is done for, in full; recorded with each statement')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('--url', 'print a DATABASE_URL (contains the session’s password)')
    .option('--summary <file>', 'append a Markdown summary of the session to a file')
    .option('--no-summary', 'no summary, not even under GitHub Actions')
    .option(
      '--json',
      'print NDJSON: listening, denied, held, ended, session, closing, uploaded, …; with a command, on stderr',
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
    throw new InvalidArgumentError('Give a number from 0 to 65535.');
  }
  return port;
}

function collectUid(text: string, before: readonly number[] = []): readonly number[] {
  if (!/^\d{1,10}$/.test(text)) {
    throw new InvalidArgumentError('A uid is a number; `id -u NAME` prints it.');
  }
  return [...before, Number(text)];
}

const EXAMPLES = `
Examples:
  hoop connect prod-db
  hoop connect prod-db -- psql
  hoop connect prod-db --reason INC-4711 -- pg_dump --schema-only
  hoop connect prod-db --json
  hoop connect prod-db --tls
  hoop connect prod-db --forever
  hoop connect web-1 -- rsync -a site/ web-1:/srv/site/

Port, user and password stay for as long as the command runs: a session that ends (idle, its time is up,
the gateway restarts) is followed by another when something connects. Ctrl-C ends the session, and both
sides then sign its recording. With a command, the session ends when
the command does, and hoop returns its exit status (255: hoop itself failed, 2: usage error). stdout
then belongs to the command: --json prints lines on stderr, without the session's password.`;
