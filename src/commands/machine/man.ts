import { Command } from 'commander';
import { packageVersion } from '../../package-version.ts';
import type { Io } from '../io.ts';

/** What the build calls to make hoop.1; nobody types it. */
export function manCommand(io: Io): Command {
  return new Command('man').action(async (_flags: unknown, command: Command) => {
    const { renderManPage } = await import('../../ui/man-page.ts');
    io.stdout.write(renderManPage(command.parent ?? command, packageVersion()));
  });
}
