import { Command } from 'commander';
import type { Io } from '../io.ts';
import { collect } from '../repeatable.ts';
import type { RunFlags } from './run-run.ts';

export function runCommand(io: Io): Command {
  return new Command('run')
    .description('run an agent or a script with connections to its targets but no secrets')
    .argument('[command...]', 'after `--`')
    .option(
      '--target <name>',
      'reach this target (repeatable; default: all that you may reach)',
      collect,
    )
    .option(
      '--agent <name>',
      'run as this agent of the policy (default: recognised by the command)',
    )
    .option('--reason <text>', 'reason; recorded, and required by some targets')
    .option('--prompt <text>', 'what this is done for, in full; recorded with each statement')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('--briefing-only', 'print what an agent has to know about its targets, and run nothing')
    .option('--profile <name>', 'agent profile: a name, or a YAML file (default: by the command)')
    .option('--no-profile', 'do not set up hooks, hosts and settings for an agent')
    .option('--fence', 'no network except the targets, none of your logins and keys (Linux)')
    .option('--fence-allow <host:port>', 'allow connections to this host (repeatable)', collect)
    .option(
      '--fence-write <path>',
      'make this path writable, besides the working directory',
      collect,
    )
    .option('--fence-show <path>', 'show this path inside, although it is usually hidden', collect)
    .option('--fence-hide <path>', 'hide this path inside', collect)
    .option(
      '--keep-changes',
      'after a fenced run: keep changed files that other programs load later',
    )
    .option('--restore-changes', 'restore such files; the run’s versions are set aside')
    .option('--keep-env <name>', 'pass this variable on (NAME or NAME*; repeatable)', collect)
    .option('--env <name>', 'the same; a fence lets in only named or harmless ones', collect)
    .option(
      '--drop-env <name>',
      'do not pass this variable on (NAME or NAME*; repeatable)',
      collect,
    )
    .option('--print-env', 'print what would be set, removed and kept, and run nothing')
    .option('--json', 'print JSON; with a command: hoop’s own messages, as JSON lines on stderr')
    .option('--no-terminal', 'do not record what the command shows on the terminal')
    .option('--summary <file>', 'append a Markdown summary of the run to a file')
    .option('--no-summary', 'no summary, not even under GitHub Actions')
    .addHelpText('after', EXAMPLES)
    .action(async (command: string[], flags: RunFlags) => {
      const { runRun } = await import('./run-run.ts');
      await runRun(io, { command, ...flags });
    });
}

const EXAMPLES = `
Examples:
  hoop run -- claude
  hoop run --target prod-db --reason INC-4711 -- ./report.py
  hoop run --agent devin -- devin
  hoop run --fence -- claude

The command finds PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSFILE, PGSERVICEFILE and DATABASE_URL of
the first target, and HOOP_<TARGET>_URL of each; inherited secrets are removed (--print-env shows
which). It reaches servers with ssh, scp, sftp, git, rsync and Ansible under the target's name. hoop
opens a session on the first connection and returns the command's exit status (255: hoop itself
failed, 2: usage error).`;
