import { Argument, Command } from 'commander';
import {
  CLIENT_SETTING_NAMES,
  CLIENT_SETTINGS,
  LIST_SETTING_NAMES,
} from '../../client-settings.ts';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

interface ConfigFlags {
  readonly json?: boolean;
}

export function configCommand(io: Io): Command {
  const config = new Command('config').description('show and change the settings on this machine');
  const key = (): Argument => {
    const argument = new Argument('<key>', 'which setting').choices([...CLIENT_SETTING_NAMES]);
    const choose = argument.parseArg;
    // That a list is no choice here does not mean that there is no such setting: the work says more.
    return argument.argParser((name, previous) =>
      LIST_SETTING_NAMES.includes(name) ? name : choose?.(name, previous),
    );
  };
  config
    .command('list')
    .description('list all settings, their values, and where each comes from')
    .option('--json', 'print one JSON document')
    .action(async (flags: ConfigFlags) => {
      const { listConfig } = await import('./config-run.ts');
      listConfig(io, flags);
    });
  config
    .command('get')
    .description('print the effective value; exit 1 if there is none')
    .addArgument(key())
    .option('--json', 'print one JSON document')
    .action(async (name: string, flags: ConfigFlags) => {
      const { getConfig } = await import('./config-run.ts');
      getConfig(io, name, flags);
    });
  config
    .command('set')
    .description('set a value')
    .addArgument(key())
    .argument('<value|file>', 'the new value')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./config-run.ts')).setConfig));
  config
    .command('unset')
    .description('remove a value')
    .addArgument(key())
    .option('--json', 'print one JSON document')
    .action(async (name: string, flags: ConfigFlags) => {
      const { setConfig } = await import('./config-run.ts');
      await setConfig(io, name, undefined, flags);
    });
  config.addHelpText('after', EXAMPLES);
  return config;
}

const EXAMPLES = `
Examples:
  hoop config list
  hoop config get gateway
  hoop config set gateway https://hoop.example.com
  hoop config set ca ./company-ca.pem
  hoop config unset ca

Settings:
${CLIENT_SETTING_NAMES.map((name) => `  ${name.padEnd(10)}  ${CLIENT_SETTINGS[name].description}`).join('\n')}

They are in config.json (in HOOP_HOME, or $XDG_CONFIG_HOME/hoop), as are the lists
${LIST_SETTING_NAMES.join(', ')}, which you edit there. The file never holds a secret. Variables such as HOOP_GATEWAY override it.`;
