import { Argument, Command } from 'commander';
import { CLIENT_SETTING_NAMES, CLIENT_SETTINGS, LIST_SETTING_NAMES } from '../client-settings.ts';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';

interface ConfigFlags {
  readonly json?: boolean;
}

export function configCommand(io: Io): Command {
  const config = new Command('config').description('show and change what hoop remembers here');
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
    .description('all settings, their values, and where each comes from')
    .option('--json', 'print one JSON document')
    .action(async (flags: ConfigFlags) => {
      const { listConfig } = await import('./config-run.ts');
      listConfig(io, flags);
    });
  config
    .command('get')
    .description('the value that is in force; exit 1 when there is none')
    .addArgument(key())
    .option('--json', 'print one JSON document')
    .action(async (name: string, flags: ConfigFlags) => {
      const { getConfig } = await import('./config-run.ts');
      getConfig(io, name, flags);
    });
  config
    .command('set')
    .description('remember a value')
    .addArgument(key())
    .argument('<value|file>', 'what it is to be')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./config-run.ts')).setConfig));
  config
    .command('unset')
    .description('forget a value')
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

They stand in config.json (HOOP_HOME, else $XDG_CONFIG_HOME/hoop), and so do the lists
${LIST_SETTING_NAMES.join(', ')}, which are edited there. No secret is among them. Variables such as HOOP_GATEWAY win over what is stored.`;
