import { Command } from 'commander';
import { HoopError } from '../../errors.ts';
import type { Io } from '../io.ts';

interface Flags {
  readonly socket?: string;
  readonly reason?: string;
}

export function sshStdioCommand(io: Io): Command {
  return new Command('ssh-stdio')
    .description('ProxyCommand for ssh: open a session, or join an open one')
    .argument('[target]', 'a name from `hoop targets`')
    .option('--reason <text>', 'reason; recorded when a session is opened')
    .option('--socket <file>', 'only connect to this Unix socket')
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
"hoop ssh-config" prints it; ssh runs it. Simultaneous connections to one target share a session, which
ends with the last of them.`;
