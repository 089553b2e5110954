import { Command } from 'commander';
import { HoopError } from '../errors.ts';
import type { Io } from './io.ts';

interface Flags {
  readonly socket?: string;
  readonly reason?: string;
}

export function sshStdioCommand(io: Io): Command {
  return new Command('ssh-stdio')
    .description('be the ProxyCommand of ssh: open a session, or join the one that is open')
    .argument('[target]', 'a name from `hoop targets`')
    .option('--reason <text>', 'why; recorded when a session is opened')
    .option('--socket <file>', 'nothing but connect to this unix socket')
    .addHelpText('after', NOTE)
    .action(async (target: string | undefined, flags: Flags) => {
      if ((target === undefined) === (flags.socket === undefined)) {
        throw new HoopError('HOOP_USAGE', 'give a target, or --socket FILE');
      }
      const { runSshStdio, joinSocket } = await import('./ssh-stdio-run.ts');
      await (flags.socket === undefined
        ? runSshStdio(io, { target: target ?? '', reason: flags.reason })
        : joinSocket(flags.socket));
    });
}

const NOTE = `
It stands in what "hoop ssh-config" prints; ssh runs it. Those that run at the same time for one
target share a session, which ends with the last of them.`;
