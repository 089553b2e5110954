import { Command } from 'commander';
import type { Io } from './io.ts';

interface LoginFlags {
  readonly gateway?: string;
  readonly ca?: string;
  readonly issuer?: string;
  readonly browser: boolean;
  readonly trust?: boolean;
  readonly json?: boolean;
}

export function loginCommand(io: Io): Command {
  return new Command('login')
    .description('log in to a gateway through your identity provider')
    .option('-g, --gateway <url>', 'the gateway; remembered for the next time')
    .option('--ca <file>', 'PEM file of the CA that signs the gateway’s certificate')
    .option('--issuer <url>', 'which identity provider, when the gateway has several')
    .option('--no-browser', 'only print the address to open')
    .option('--trust', 'accept changed keys of the gateway (compare the fingerprint first)')
    .option('--json', 'print who is logged in as JSON')
    .action((flags: LoginFlags) => runLogin(io, flags));
}

async function runLogin(io: Io, flags: LoginFlags): Promise<void> {
  const { locateHome, readConfig } = await import('../home.ts');
  const { login } = await import('../auth/login.ts');
  const { openBrowser } = await import('../auth/open-browser.ts');
  const { HoopError } = await import('../errors.ts');
  const { normalizeGatewayUrl } = await import('../tunnel/gateway-url.ts');
  const { renderLogin, renderLoginJson } = await import('../ui/render-login.ts');
  const home = locateHome(io.env);
  const config = readConfig(home, io.env);
  // What was typed just now is wrong usage; what is stored is a wrong configuration.
  const typed =
    flags.gateway === undefined ? undefined : normalizeGatewayUrl(flags.gateway, 'HOOP_USAGE');
  const gateway = typed ?? config.gateway;
  if (gateway === undefined) {
    throw new HoopError('HOOP_USAGE', 'which gateway to log in to is not known', {
      hint: 'Name it once with `hoop login --gateway URL`, or try `hoop demo`.',
    });
  }
  const result = await login({
    home,
    config,
    gateway,
    // The CA that is stored belongs to the gateway that is stored.
    ca: flags.ca ?? (flags.gateway === undefined || io.env['HOOP_CA'] ? config.ca : undefined),
    issuer: flags.issuer,
    trust: flags.trust,
    openBrowser: flags.browser ? (url) => openBrowser(url, io.env) : undefined,
    // Not a note: without it nobody can log in, even under --quiet.
    showUrl: (url) => io.stderr.write(`hoop: log in at ${url}\n`),
    note: io.note,
    signal: io.signal,
  });
  io.stdout.write(
    flags.json === true
      ? renderLoginJson(result.gateway, result.whoami, result.tokenStore)
      : renderLogin(result.gateway, result.whoami, result.tokenStore, new Date()),
  );
}
