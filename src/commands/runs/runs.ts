import { Command } from 'commander';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

export function runsCommand(io: Io): Command {
  return new Command('runs')
    .description('list and end active runs of `hoop run` and `hoop mcp`')
    .addHelpText('after', EXAMPLES)
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(killCommand(io));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('list your active runs; approvers see everyone’s')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./runs-list.ts')).listRuns));
}

function showCommand(io: Io): Command {
  return new Command('show')
    .description('show a run: who, agent, start, sessions, prompts, held requests')
    .argument('<run>', ID_HELP)
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./runs-list.ts')).showRunOf));
}

function killCommand(io: Io): Command {
  return new Command('kill')
    .alias('end')
    .description('end a run and its login: its program is stopped and can open no new session')
    .argument('<run>', ID_HELP)
    .option('--reason <text>', 'reason; shown to its sessions, and recorded')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./runs-list.ts')).killRun));
}

const ID_HELP = 'ID of the run, or the start of it';

const EXAMPLES = `
Examples:
  hoop runs list
  hoop runs show 0199b6c1
  hoop runs kill 0199b6c1 --reason "deletes rows in a loop"

To keep an agent or a person from starting another: \`hoop access block WHO --reason TEXT\`.`;
