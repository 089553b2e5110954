import { Command } from 'commander';
import type { Io } from './io.ts';

interface LogoutFlags {
  readonly all?: boolean;
  readonly json?: boolean;
}

export function logoutCommand(io: Io): Command {
  return new Command('logout')
    .description('end the login here and at the gateway')
    .option('--all', 'end all your logins at the gateway, on other machines too')
    .option('--json', 'print the result as JSON')
    .action((flags: LogoutFlags) => runLogout(io, flags));
}

async function runLogout(io: Io, flags: LogoutFlags): Promise<void> {
  const { logout } = await import('../auth/logout.ts');
  const { renderJson } = await import('../ui/render-json.ts');
  const { env, note, signal } = io;
  const result = await logout({ env, note, signal, all: flags.all === true });
  if (flags.json === true) {
    io.stdout.write(`${renderJson({ v: 1, ...result })}\n`);
  } else {
    io.note(
      result.wasLoggedIn
        ? `logged out of ${result.gateway}`
        : `there was no login to ${result.gateway}`,
    );
  }
}
