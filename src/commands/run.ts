import { Command } from 'commander';
import type { Io } from './io.ts';

interface RunFlags {
  readonly target?: readonly string[];
  readonly agent?: string;
  readonly reason?: string;
}

export function runCommand(io: Io): Command {
  return new Command('run')
    .description('run an agent or a script that reaches its targets through hoop, without secrets')
    .argument('<command...>', 'after `--`')
    .option(
      '--target <name>',
      'reach this target (repeatable; default: all that you may reach)',
      (name: string, before: readonly string[] = []) => [...before, name],
    )
    .option(
      '--agent <name>',
      'run as this agent of the policy (default: recognised by the command)',
    )
    .option('--reason <text>', 'why; recorded, and asked for by some targets')
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

The command finds PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSFILE, PGSERVICEFILE and DATABASE_URL of
the first target, and HOOP_<TARGET>_URL of each. A session is opened when it first connects. Its exit
status is returned (255: a failure of hoop's own).`;
