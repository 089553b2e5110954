import { Command } from 'commander';
import type { Io } from '../io.ts';

interface Flags {
  readonly write?: boolean;
  readonly json?: boolean;
}

export function sshConfigCommand(io: Io): Command {
  return new Command('ssh-config')
    .description('configure plain ssh, scp, git, … to reach servers (~/.ssh/config)')
    .argument('[target...]', 'names from `hoop targets` (default: all servers that you may reach)')
    .option('--write', 'write to ~/.ssh/config.d/hoop, and say what is left to do (default: print)')
    .option('--json', 'print the result as JSON')
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

ssh opens a session when it connects; simultaneous connections share it, and it ends with the last.`;
