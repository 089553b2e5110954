import { Command } from 'commander';
import type { Io } from '../io.ts';

interface WhoamiFlags {
  readonly explain?: boolean;
  readonly json?: boolean;
}

export function whoamiCommand(io: Io): Command {
  return new Command('whoami')
    .description('show who you are to the gateway, and where your tokens are stored')
    .option(
      '--explain',
      'show which identities hoop looked for, and what the policy says about them',
    )
    .option('--json', 'print it as JSON')
    .action((flags: WhoamiFlags) => (flags.explain ? explain(io, flags) : runWhoami(io, flags)));
}

async function runWhoami(io: Io, flags: WhoamiFlags): Promise<void> {
  const { openGateway } = await import('../../auth/open-gateway.ts');
  const { renderLogin, renderLoginJson } = await import('../../ui/render-login.ts');
  await using open = await openGateway(io);
  const whoami = await open.client.whoami(io.signal);
  const { description } = open.tokens.store;
  io.stdout.write(
    flags.json === true
      ? renderLoginJson(open.gateway, whoami, description)
      : renderLogin(open.gateway, whoami, description, new Date()),
  );
}

async function explain(io: Io, flags: WhoamiFlags): Promise<void> {
  const { explainIdentity } = await import('../../auth/explain-identity.ts');
  const { renderExplanation, renderExplanationJson } = await import(
    '../../ui/render-explanation.ts'
  );
  const explanation = await explainIdentity(io);
  io.stdout.write(
    flags.json === true ? renderExplanationJson(explanation) : renderExplanation(explanation),
  );
  if (explanation.error !== undefined) {
    throw explanation.error;
  }
}
