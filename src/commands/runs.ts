import { Command } from 'commander';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';

export function runsCommand(io: Io): Command {
  return new Command('runs')
    .description('see the active runs of `hoop run` and `hoop mcp`, and end one')
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
    .description('show one: who, agent, since when, sessions, prompts, what is held')
    .argument('<run>', ID_HELP)
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./runs-list.ts')).showRunOf));
}

function killCommand(io: Io): Command {
  return new Command('kill')
    .alias('end')
    .description('end a run with its login: its program is ended, and opens nothing again')
    .argument('<run>', ID_HELP)
    .option('--reason <text>', 'why; its sessions are told, and it is recorded')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./runs-list.ts')).killRun));
}

const ID_HELP = 'id of the run, or the start of it';

const EXAMPLES = `
Examples:
  hoop runs list
  hoop runs show 0199b6c1
  hoop runs kill 0199b6c1 --reason "deletes rows in a loop"

To keep an agent or a person from starting another: \`hoop access block WHO --reason TEXT\`.`;
