/**
 * What could be typed next, read from the program itself: a new command or option needs nothing
 * here. What is meant is seen from the name of an argument: `<target>`, `<id>`, `<event-type>`,
 * `<file>`, `<dir>`.
 */
import type { Command, Option } from 'commander';

export type Candidate =
  | { readonly type: 'word'; readonly word: string; readonly description: string }
  /** What the shell knows better. */
  | { readonly type: 'files' | 'commands' };

export interface CompletionSources {
  /** What may stand for `<target>`. */
  readonly target: Names;
  readonly agent: Names;
  readonly eventType: Names;
}

type Names = () => Promise<readonly string[]>;

/**
 * @param words what is typed after `hoop`; the last one is not finished, and may be empty
 */
export async function completeWords(
  program: Command,
  words: readonly string[],
  sources: CompletionSources,
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? '';
  const place = walk(program, words.slice(0, -1));
  if (place.passedOn > 0) {
    return [{ type: place.passedOn === 1 ? 'commands' : 'files' }];
  }
  if (place.option) {
    return valueCandidates(place.option.argChoices, nameIn(place.option.flags), sources, typed);
  }
  if (typed.startsWith('-')) {
    return startingWith(typed, optionWords(place.command));
  }
  const subcommands = place.command
    .createHelp()
    .visibleCommands(place.command)
    .flatMap((command) =>
      [command.name(), ...command.aliases()].map((name) => word(name, command.description())),
    );
  const expected = place.command.registeredArguments[place.positionals];
  return [
    ...startingWith(typed, subcommands),
    ...(await valueCandidates(expected?.argChoices, expected?.name() ?? '', sources, typed)),
  ];
}

interface Place {
  readonly command: Command;
  readonly positionals: number;
  /** The option whose value comes next. */
  readonly option: Option | undefined;
  /** Words since `--`, that included; from there on it is another program's command line. */
  readonly passedOn: number;
}

function walk(program: Command, before: readonly string[]): Place {
  let command = program;
  let positionals = 0;
  let option: Option | undefined;
  for (const [index, current] of before.entries()) {
    if (option) {
      option = undefined;
    } else if (current === '--') {
      return { command, positionals, option, passedOn: before.length - index };
    } else if (current.startsWith('-')) {
      option = awaitsValue(command, current);
    } else {
      const next = command.commands.find(
        (child) => child.name() === current || child.aliases().includes(current),
      );
      command = next ?? command;
      positionals = next ? 0 : positionals + 1;
    }
  }
  return { command, positionals, option, passedOn: 0 };
}

function awaitsValue(command: Command, flag: string): Option | undefined {
  return command.options.find(
    (option) => option.required && (option.long === flag || option.short === flag),
  );
}

function optionWords(command: Command): Candidate[] {
  const help = command.createHelp();
  const global = help.visibleOptions(rootOf(command));
  const own = help.visibleOptions(command);
  const all = new Map([...global, ...own].map((option) => [option.long ?? option.short, option]));
  // Asked for by nobody in the middle of a command.
  if (command.parent) {
    all.delete('--version');
  }
  return [...all.values()].map(({ long, short, description }) =>
    word(long ?? short ?? '', description),
  );
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

async function valueCandidates(
  choices: readonly string[] | undefined,
  name: string,
  sources: CompletionSources,
  typed: string,
): Promise<Candidate[]> {
  if (choices) {
    return startingWith(
      typed,
      choices.map((choice) => word(choice, '')),
    );
  }
  const kinds = name.split('|');
  const words = [
    ...(kinds.includes('id') ? [word('last', 'the newest session')] : []),
    ...(kinds.includes('target') ? await sources.target() : []).map((one) => word(one, '')),
    ...(kinds.includes('agent') ? await sources.agent() : []).map((one) => word(one, '')),
    ...(kinds.includes('event-type') ? await sources.eventType() : []).map((one) => word(one, '')),
  ];
  const wantsFile = kinds.some((kind) => /^(file|dir|directory)$/.test(kind));
  return [...startingWith(typed, words), ...(wantsFile ? [{ type: 'files' as const }] : [])];
}

/** `--target <name>` → `target`: the flag says more than the placeholder there. */
function nameIn(flags: string): string {
  const [, flag, placeholder = ''] = /(?:--([a-z-]+) )?<([^>]+)>/.exec(flags) ?? [];
  return flag === 'target' || flag === 'agent' ? flag : placeholder;
}

function word(text: string, description: string): Candidate {
  return { type: 'word', word: text, description };
}

function startingWith(typed: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter((one) => one.type === 'word' && one.word.startsWith(typed));
}
