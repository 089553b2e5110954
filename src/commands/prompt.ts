import { Command, Option } from 'commander';
import { HOOKS } from '../run/agents/hook-names.ts';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';

export function promptCommand(io: Io): Command {
  return new Command('prompt')
    .description('inside `hoop run`: say what the next statements are for')
    .argument('[text]', 'the prompt; default: standard input')
    .addOption(
      new Option(
        '--hook <agent>',
        'read the JSON that this agent gives to its hooks, and answer it',
      ).choices([...HOOKS]),
    )
    .option(
      '--strict',
      'with --hook: exit with 2 when it cannot be recorded, which stops the agent',
    )
    .option('--source <name>', 'where it comes from, e.g. `slack`')
    .option('--parent <id>', 'the prompt that it belongs to')
    .option('--status', 'print the run and the prompt in force, and set none')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
    .action(lazyAction(io, async () => (await import('./prompt-run.ts')).runPrompt));
}

const EXAMPLES = `
It ends when the gateway has recorded the prompt in every open session: each statement that is sent
afterwards is recorded with it. It is shown to approvers and in \`hoop sessions why\`, as what the client
says.

Exit status: 0 recorded; 2 wrong usage, or not inside a run; 1 it could not be recorded.
With --hook, outside of a run: 0, nothing is printed. Inside: 0 recorded; 1 not recorded, the agent
goes on and shows the error; with --strict 2, the agent does not go on.

Examples:
  hoop prompt "Find out why order 4711 was charged twice"
  hoop prompt < task.md
  hoop prompt --status
  hoop prompt --hook claude-code   # in the agent's settings: docs/agents.md`;
