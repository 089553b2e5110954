import { Command } from 'commander';
import type { Io } from './io.ts';

export function gatewayCommand(io: Io): Command {
  const gateway = new Command('gateway').description('run a gateway next to the targets');
  gateway
    .command('start')
    .description('serve until a signal arrives; then end all sessions and stop')
    .requiredOption('--config <file>', 'gateway configuration (YAML)')
    .option('--json', 'print events as JSON lines, log as JSON even on a terminal')
    .option('--verbose', 'log at level debug')
    .action(async (options: { config: string; json?: boolean; verbose?: boolean }, command) => {
      const { runGateway } = await import('../gateway/run-gateway.ts');
      await runGateway(io, {
        configFile: options.config,
        json: options.json === true,
        verbose: options.verbose === true,
        version: versionOf(command),
      });
    });
  gateway
    .command('check')
    .description('check the configuration and whether policy and targets can be reached')
    .requiredOption('--config <file>', 'gateway configuration (YAML)')
    .option('--json', 'print the result as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { checkGateway } = await import('../gateway/check-gateway.ts');
      await checkGateway(io, { configFile: options.config, json: options.json === true });
    });
  return gateway;
}

function versionOf(command: Command): string {
  let root = command;
  while (root.parent !== null) {
    root = root.parent;
  }
  return root.version() ?? 'unknown';
}
