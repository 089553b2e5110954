import { Command } from 'commander';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';
import { collect } from './repeatable.ts';

export function mcpCommand(io: Io): Command {
  return new Command('mcp')
    .description('serve databases to an agent as tools of the Model Context Protocol, on stdio')
    .option('--target <name>', 'serve this database (repeatable)', collect)
    .option('--agent <name>', 'act as this agent of the policy; within a run: that of the run')
    .option(
      '--reason <text>',
      'why; recorded, and asked for by some targets; within a run: that of the run',
    )
    .addHelpText('after', EXAMPLES)
    .action(lazyAction(io, async () => (await import('./mcp-run.ts')).runMcp));
}

const EXAMPLES = `
Tools: query, describe, explain, masks, approval. What is denied or held is a result with the rule, the
id of the request and what to do. Each start is a run of its own, as with \`hoop run\`; within a run it
serves what that run reaches. In .mcp.json of a project:

  { "mcpServers": { "prod-db": {
      "command": "hoop", "args": ["mcp", "--target", "prod-db"] } } }`;
