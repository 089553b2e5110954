import { Argument, Command } from 'commander';
import type { Io } from '../io.ts';
import type { Candidate } from './complete-words.ts';

export function completionCommand(io: Io): Command {
  return new Command('completion')
    .description(
      'print a script that completes hoop’s commands, options, targets and agents in your shell',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: string) => {
      const { COMPLETION_SCRIPTS } = await import('../../ui/completion-scripts.ts');
      const script = COMPLETION_SCRIPTS[shell];
      io.stdout.write(script ?? '');
    });
}

/** What the scripts call at each Tab: one candidate a line, or nothing when something is wrong. */
export function completeCommand(io: Io): Command {
  return new Command('complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (words: readonly string[], _flags: unknown, command: Command) => {
      const { completeWords } = await import('./complete-words.ts');
      const { plain } = await import('../../ui/text/printable.ts');
      const { knownNames } = await import('../../tunnel/known-names.ts');
      const program = command.parent ?? command;
      const candidates = await completeWords(program, words, {
        target: () => knownNames('targets', io.env, io.signal),
        agent: () => knownNames('agents', io.env, io.signal),
        eventType: async () => (await import('../../api/events.ts')).EVENT_NAMES,
      });
      io.stdout.write(candidates.map((one) => `${line(one, plain)}\n`).join(''));
    });
}

function line(candidate: Candidate, plain: (text: string) => string): string {
  switch (candidate.type) {
    case 'word':
      return `${plain(candidate.word)}\t${plain(candidate.description)}`;
    case 'files':
      return ':files';
    case 'commands':
      return ':commands';
  }
}

const EXAMPLES = `
Targets and agents come from the policy that this machine last verified; completion makes no network
requests.

Examples:
  source <(hoop completion bash)      # in ~/.bashrc
  source <(hoop completion zsh)       # in ~/.zshrc, after compinit
  hoop completion fish > ~/.config/fish/completions/hoop.fish`;
