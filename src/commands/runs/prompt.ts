import { Command, Option } from 'commander';
import { HOOKS } from '../../run/agents/hook-names.ts';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

export function promptCommand(io: Io): Command {
  return new Command('prompt')
    .description('inside `hoop run`: record what the next statements are for')
    .argument('[text]', 'the prompt; default: standard input')
    .addOption(
      new Option('--hook <agent>', 'read this agent’s hook input (JSON) and answer it').choices([
        ...HOOKS,
      ]),
    )
    .option(
      '--strict',
      'with --hook: exit with 2 if the prompt cannot be recorded, which stops the agent',
    )
    .option('--source <name>', 'where the prompt comes from, e.g. `slack`')
    .option('--parent <id>', 'ID of the prompt that this one belongs to')
    .option('--status', 'print the run and the prompt in force; set nothing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
    .action(lazyAction(io, async () => (await import('./prompt-run.ts')).runPrompt));
}

const EXAMPLES = `
It returns once the gateway has recorded the prompt in every open session: each statement sent
afterwards is recorded with it. Approvers see it as the client's claim, and \`hoop sessions why ID\` shows it.

Exit status: 0 recorded; 1 could not be recorded; 2 usage error, or not inside a run. With --hook
outside a run: 0, and nothing is printed. With --hook inside a run: 0 recorded; 1 not recorded, and the
agent shows the error and continues; with --strict 2, and the agent stops.

Examples:
  hoop prompt "Find out why order 4711 was charged twice"
  hoop prompt < task.md
  hoop prompt --status
  hoop prompt --hook claude-code   # in the agent's settings: docs/agents.md`;
