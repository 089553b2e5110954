import { Command } from 'commander';
import type { Io } from './io.ts';
import { collect } from './repeatable.ts';
import type { RunFlags } from './run-run.ts';

export function runCommand(io: Io): Command {
  return new Command('run')
    .description('run an agent or a script that reaches its targets through hoop, without secrets')
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
    .option('--reason <text>', 'why; recorded, and asked for by some targets')
    .option('--prompt <text>', 'what this is done for, in full; recorded with each statement')
    .option('--prompt-file <file>', 'the same, from a file')
    .option('--briefing-only', 'print what an agent has to know about its targets, and run nothing')
    .option('--profile <name>', 'of an agent: a name, or a YAML file (default: by the command)')
    .option('--no-profile', 'no hooks, hosts and settings for an agent')
    .option('--fence', 'no network but the targets, no logins and keys of yours (Linux)')
    .option('--fence-allow <host:port>', 'a host that the fence lets through (repeatable)', collect)
    .option('--fence-write <path>', 'may be written, besides the working directory', collect)
    .option('--fence-show <path>', 'is seen inside, although it is usually hidden', collect)
    .option('--fence-hide <path>', 'is not seen inside', collect)
    .option('--keep-changes', 'after a fence: keep what was changed of files that run later')
    .option('--restore-changes', 'put such files back; what the run left in them is kept aside')
    .option('--keep-env <name>', 'pass this variable on (NAME or NAME*; repeatable)', collect)
    .option('--env <name>', 'the same; a fence lets in only what is named or harmless', collect)
    .option(
      '--drop-env <name>',
      'do not pass this variable on (NAME or NAME*; repeatable)',
      collect,
    )
    .option('--print-env', 'print what would be set, removed and kept, and run nothing')
    .option('--json', 'print JSON; of a command: what hoop says, as lines of JSON on stderr')
    .option('--no-terminal', 'do not record what the command shows on the terminal')
    .option('--summary <file>', 'append what the run did to a file, as Markdown')
    .option('--no-summary', 'no summary, also where GitHub Actions shows one')
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
the first target, and HOOP_<TARGET>_URL of each; inherited secrets are taken away (--print-env shows
which). Servers are reached with ssh, scp, sftp, git, rsync and Ansible by the target's name. A session
is opened when it first connects. Its exit status is returned (255: a failure of
hoop's own, 2: a wrong call).`;
