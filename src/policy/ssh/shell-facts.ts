/** From the text of a command to what it starts. */
import type { ShellFacts } from './shell-types.ts';

export function shellFacts(_text: string): ShellFacts {
  return {
    commands: [],
    redirections: [],
    unknown: [{ reason: 'commands are not read yet', startedBy: undefined }],
  };
}
