import { Command } from 'commander';
import type { Io } from './io.ts';

interface WhoamiFlags {
  readonly json?: boolean;
}

export function whoamiCommand(io: Io): Command {
  return new Command('whoami')
    .description('Show who you are to the gateway, and where your tokens are kept.')
    .option('--json', 'print it as JSON')
    .action((flags: WhoamiFlags) => runWhoami(io, flags));
}

async function runWhoami(io: Io, flags: WhoamiFlags): Promise<void> {
  const { openGateway } = await import('../auth/open-gateway.ts');
  const { describeLogin, loginJson } = await import('../auth/describe-login.ts');
  await using open = await openGateway(io);
  const whoami = await open.client.whoami(io.signal);
  const { description } = open.tokens.store;
  io.stdout.write(
    flags.json === true
      ? loginJson(open.gateway, whoami, description)
      : describeLogin(open.gateway, whoami, description, new Date()),
  );
}
