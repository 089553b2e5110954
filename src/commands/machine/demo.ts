import { Command } from 'commander';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

export function demoCommand(io: Io): Command {
  return new Command('demo')
    .description(
      'run everything on this machine: identity provider, PostgreSQL, policy, gateway and a guided tour',
    )
    .option('--check', 'run the tour unattended; exit 0 if every step succeeds, otherwise 1')
    .option('--json', 'print one NDJSON line when everything is up, and run until SIGTERM')
    .option(
      '--policy <dir>',
      'use another policy directory (hoop.yaml, targets/, policies/); with --json',
    )
    .option('--postgres <url>', 'use another PostgreSQL server, as a superuser')
    .option('--data <dir>', 'keep all state in this directory')
    .addHelpText('after', EXAMPLES)
    .action(lazyAction(io, async () => (await import('../../demo/run-demo.ts')).runDemo));
}

const EXAMPLES = `
Examples:
  hoop demo                        a guided tour, then keeps running
  hoop demo --check                the tour as a self-test
  hoop demo --json --data ./demo   for other programs to drive; keeps its state`;
