import { Command, InvalidArgumentError } from 'commander';
import type { ConnectFlags } from './connect-run.ts';
import type { Io } from './io.ts';

export function connectCommand(io: Io): Command {
  return new Command('connect')
    .description('open a local port to a target, or run a command on it')
    .argument('<target>', 'a name from `hoop targets`')
    .argument('[command...]', 'after `--`: run this with PG* and DATABASE_URL, or ssh, set up')
    .option('--port <number>', 'listen on this port of 127.0.0.1 (default: a free one)', parsePort)
    .option('--socket', 'listen on a unix socket that only you can reach, instead of a port')
    .option('--tls', 'take TLS only, with a certificate and a CA of this session (verify-full)')
    .option(
      '--allow-uid <uid>',
      'let another user of this machine connect, who has the password (repeatable)',
      collectUid,
    )
    .option('--reason <text>', 'why; recorded, and asked for by some targets')
    .option('--prompt <text>', 'what this is done for, in full; recorded with each statement')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('--url', 'print a DATABASE_URL (it holds the session’s password)')
    .option('--summary <file>', 'append what the session did to a file, as Markdown')
    .option('--no-summary', 'no summary, also where GitHub Actions shows one')
    .option(
      '--json',
      'print NDJSON: listening, denied, held, decided, closing, uploaded, …; with a command on stderr',
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

function collectUid(text: string, before: readonly number[] = []): readonly number[] {
  if (!/^\d{1,10}$/.test(text)) {
    throw new InvalidArgumentError('A uid is a number; `id -u NAME` gives it.');
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
  hoop connect web-1 -- rsync -a site/ web-1:/srv/site/

Ctrl-C ends the session; both sides sign its recording then. With a command, the session ends with
it, and its exit status is returned (255: a failure of hoop's own, 2: a wrong call). stdout is the
command's then: --json goes to stderr, a line each, without the session's password.`;
