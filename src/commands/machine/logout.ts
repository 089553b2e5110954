import { Command } from 'commander';
import type { Io } from '../io.ts';

interface LogoutFlags {
  readonly all?: boolean;
  readonly provider?: boolean;
  readonly browser: boolean;
  readonly json?: boolean;
}

export function logoutCommand(io: Io): Command {
  return new Command('logout')
    .description('end the login here and at the gateway')
    .option('--all', 'end all your logins at the gateway, including other machines')
    .option('--provider', 'also end your session at the identity provider, in the browser')
    .option('--no-browser', 'with --provider: only print the address to open')
    .option('--json', 'print the result as JSON')
    .action((flags: LogoutFlags) => runLogout(io, flags));
}

async function runLogout(io: Io, flags: LogoutFlags): Promise<void> {
  const { logout } = await import('../../auth/logout.ts');
  const { renderJson } = await import('../../ui/render-json.ts');
  const { openBrowser } = await import('../../auth/open-browser.ts');
  const { env, note, signal } = io;
  const open = async (url: string): Promise<void> => {
    // Not a note: without it nobody can log out there, even under --quiet.
    io.stderr.write(`hoop: log out at ${url}\n`);
    if (flags.browser && !(await openBrowser(url, env))) {
      note('no browser could be opened; open the address above yourself');
    }
  };
  const atProvider = flags.provider === true ? open : undefined;
  const result = await logout({ env, note, signal, all: flags.all === true, atProvider });
  if (flags.json === true) {
    io.stdout.write(`${renderJson({ v: 1, ...result })}\n`);
  } else {
    io.note(
      result.wasLoggedIn
        ? `logged out of ${result.gateway}`
        : `there was no login to ${result.gateway}`,
    );
    if (result.staysAt !== undefined && flags.provider !== true) {
      io.note(
        `your browser session at ${result.staysAt} stays open; \`hoop logout --provider\` ends it too`,
      );
    }
  }
}
