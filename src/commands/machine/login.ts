import { Command } from 'commander';
import type { Io } from '../io.ts';

interface LoginFlags {
  readonly gateway?: string;
  readonly ca?: string;
  readonly issuer?: string;
  readonly browser: boolean;
  readonly device?: boolean;
  readonly fingerprint?: string;
  readonly trust?: boolean;
  readonly json?: boolean;
}

export function loginCommand(io: Io): Command {
  return new Command('login')
    .description('log in to a gateway through your identity provider')
    .option('-g, --gateway <url>', 'address of the gateway; remembered for next time')
    .option('--ca <file>', 'PEM file of the CA that signs the gateway’s certificate')
    .option('--issuer <url>', 'which identity provider, if the gateway has several')
    .option('--no-browser', 'only print the address to open')
    .option('--device', 'log in with a code that you enter in a browser elsewhere')
    .option('--fingerprint <sha256>', 'root key that the gateway must have, e.g. SHA256:…')
    .option('--trust', 'accept changed keys of the gateway (compare the fingerprint first)')
    .option('--json', 'print who is logged in as JSON')
    .addHelpText('after', EXAMPLES)
    .action((flags: LoginFlags) => runLogin(io, flags));
}

async function runLogin(io: Io, flags: LoginFlags): Promise<void> {
  const { locateHome, readConfig } = await import('../../home.ts');
  const { login } = await import('../../auth/login.ts');
  const { requireNoRun } = await import('../../auth/open-gateway.ts');
  const { openBrowser } = await import('../../auth/open-browser.ts');
  const { HoopError } = await import('../../errors.ts');
  const { normalizeGatewayUrl } = await import('../../client/gateway-url.ts');
  const { renderDeviceCode, renderLogin, renderLoginJson } = await import(
    '../../ui/render-login.ts'
  );
  const { isCi } = await import('../../ui/text/may-color.ts');
  const home = locateHome(io.env);
  // Before everything that could be corrected: inside a run none of it would help.
  requireNoRun(home, 'login');
  const config = readConfig(home, io.env);
  // What was typed just now is wrong usage; what is stored is a wrong configuration.
  const typed =
    flags.gateway === undefined ? undefined : normalizeGatewayUrl(flags.gateway, 'HOOP_USAGE');
  const gateway = typed ?? config.gateway;
  if (gateway === undefined) {
    throw new HoopError('HOOP_USAGE', 'no gateway to log in to', {
      hint: 'Name it once with `hoop login --gateway URL`, or try `hoop demo`.',
    });
  }
  if (flags.device === true && !flags.browser) {
    throw new HoopError('HOOP_USAGE', '--device and --no-browser exclude each other', {
      detail: 'A login with --device opens no browser on this machine.',
    });
  }
  // Whoever names the way can follow it; a job that opens a browser waits for nobody.
  if (isCi(io.env) && flags.browser && flags.device !== true && io.stderr.isTTY !== true) {
    throw new HoopError('HOOP_LOGIN_FAILED', 'nobody is here to log in', {
      detail: 'The variable CI is set, and there is no terminal.',
      hint: 'A job needs no login: it has its own identity, see docs/ci.md.',
    });
  }
  // The CA that is stored belongs to the gateway that is stored, also where that is named again, as
  // the hint of a login that has ended does.
  const isStored = typed === undefined || typed === readConfig(home, {}).gateway;
  const result = await login({
    home,
    config,
    gateway,
    ca: flags.ca ?? (isStored || io.env['HOOP_CA'] ? config.ca : undefined),
    issuer: flags.issuer,
    fingerprint: flags.fingerprint,
    env: io.env,
    trust: flags.trust,
    openBrowser: flags.browser ? (url) => openBrowser(url, io.env) : undefined,
    // Not a note: without it nobody can log in, even under --quiet.
    showUrl: (url) => io.stderr.write(`hoop: log in at ${url}\n`),
    showDeviceCode: flags.device
      ? (code) => io.stderr.write(renderDeviceCode(gateway, code))
      : undefined,
    note: io.note,
    signal: io.signal,
  });
  io.stdout.write(
    flags.json === true
      ? renderLoginJson(result.gateway, result.whoami, result.tokenStore)
      : renderLogin(result.gateway, result.whoami, result.tokenStore, new Date()),
  );
}

const EXAMPLES = `
Examples:
  hoop login --gateway https://hoop.example.com
  hoop login --no-browser   # open the address yourself, on this machine
  hoop login --device       # enter a code elsewhere, if the policy allows it

A login with --device has no role (auditor, approver) and cannot decide on requests.
CI jobs need no login: see docs/ci.md.`;
