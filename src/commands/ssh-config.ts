import { Command } from 'commander';
import type { Io } from './io.ts';

interface Flags {
  readonly write?: boolean;
  readonly json?: boolean;
}

export function sshConfigCommand(io: Io): Command {
  return new Command('ssh-config')
    .description('what ~/.ssh/config needs, so that plain ssh, scp, git, … reach servers')
    .argument('[target...]', 'names from `hoop targets` (default: all servers that you may reach)')
    .option('--write', 'write it to ~/.ssh/config.d/hoop, and say what is left to do')
    .option('--json', 'print what was made as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (targets: string[], flags: Flags) => {
      const { runSshConfig } = await import('./ssh-config-run.ts');
      await runSshConfig(io, { targets, ...flags });
    });
}

const EXAMPLES = `
Examples:
  hoop ssh-config --write
  hoop ssh-config web-1 >> ~/.ssh/config
  ssh web-1 uptime            # opens a session by itself

A session is opened when ssh connects, joined by what connects meanwhile, and ends with the last.`;
