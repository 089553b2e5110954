import { Command } from 'commander';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';
import { collect } from './repeatable.ts';

export function mcpCommand(io: Io): Command {
  return new Command('mcp')
    .description('serve databases to an agent as Model Context Protocol tools, on stdio')
    .option('--target <name>', 'serve this database (repeatable)', collect)
    .option('--agent <name>', 'act as this agent of the policy; within a run: the run’s agent')
    .option(
      '--reason <text>',
      'reason; recorded, and required by some targets; within a run: the run’s reason',
    )
    .addHelpText('after', EXAMPLES)
    .action(lazyAction(io, async () => (await import('./mcp-run.ts')).runMcp));
}

const EXAMPLES = `
Tools: query, describe, explain, masks, approval. Denied and held statements are results with the rule,
the ID of the request and what to do. Each server is its own run, as with \`hoop run\`; within a run it
serves the targets of that run. In a project's .mcp.json:

  { "mcpServers": { "prod-db": {
      "command": "hoop", "args": ["mcp", "--target", "prod-db"] } } }`;
