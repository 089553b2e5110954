/** The commander program: its commands by group, its help, and its words for a wrong call. */
import { Command } from 'commander';
import { accessCommand } from '../commands/access/access.ts';
import { approvalsCommand } from '../commands/approvals/approvals.ts';
import { connectCommand } from '../commands/connect.ts';
import { gatewayCommand } from '../commands/gateway.ts';
import type { Io } from '../commands/io.ts';
import { completeCommand, completionCommand } from '../commands/machine/completion.ts';
import { configCommand } from '../commands/machine/config.ts';
import { demoCommand } from '../commands/machine/demo.ts';
import { doctorCommand } from '../commands/machine/doctor.ts';
import { loginCommand } from '../commands/machine/login.ts';
import { logoutCommand } from '../commands/machine/logout.ts';
import { manCommand } from '../commands/machine/man.ts';
import { whoamiCommand } from '../commands/machine/whoami.ts';
import { mcpCommand } from '../commands/mcp.ts';
import { policyCommand } from '../commands/policy.ts';
import { promptCommand } from '../commands/runs/prompt.ts';
import { runCommand } from '../commands/runs/run.ts';
import { runsCommand } from '../commands/runs/runs.ts';
import { sessionsCommand } from '../commands/sessions/sessions.ts';
import { separateRemoteCommand, sshCommand } from '../commands/ssh/ssh.ts';
import { sshConfigCommand } from '../commands/ssh/ssh-config.ts';
import { sshStdioCommand } from '../commands/ssh/ssh-stdio.ts';
import { targetsCommand } from '../commands/targets.ts';
import { packageVersion } from '../package-version.ts';
import { renderJson } from '../ui/render-json.ts';
import { wrapHelp } from '../ui/text/wrap-help.ts';

/** @param json whether wrong usage is told as JSON */
export function buildProgram(io: Io, json: boolean): Command {
  const program = new Command('hoop')
    .description('Work on production Postgres and servers without holding the credential.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('-q, --quiet', 'print errors only')
    .option('--no-color', 'no escape codes, even on a terminal')
    .exitOverride()
    // Beside `connect [options] <target> [command...]` there are 38 columns left.
    .configureHelp({ minWidthToWrap: 30 })
    .configureOutput({
      writeOut: (text) => io.stdout.write(wrapHelp(text, HELP_WIDTH)),
      // Help after a group of commands alone, too.
      writeErr: (text) => io.stderr.write(wrapHelp(text, HELP_WIDTH)),
    })
    .addHelpText('after', HELP_FOOTER);
  const report: Report = (command, words) => {
    const hint = helpHint(words, command.commands.length > 0);
    command.showHelpAfterError(json ? false : `hoop: hint: ${hint}`).configureOutput({
      outputError: (text) => io.stderr.write(usageError(text, { program, hint, json })),
    });
  };
  const groups: Readonly<Record<string, readonly Command[]>> = {
    'Log in:': [loginCommand(io), logoutCommand(io), whoamiCommand(io)],
    'Work:': [
      targetsCommand(io),
      connectCommand(io),
      sshCommand(io),
      sshConfigCommand(io),
      runCommand(io),
      mcpCommand(io),
      runsCommand(io),
      promptCommand(io),
      accessCommand(io),
      approvalsCommand(io),
    ],
    'Look back:': [sessionsCommand(io)],
    'Run it:': [policyCommand(io), gatewayCommand(io)],
    'More:': [demoCommand(io), doctorCommand(io), configCommand(io), completionCommand(io)],
  };
  for (const [heading, commands] of Object.entries(groups)) {
    program.commandsGroup(heading);
    for (const command of commands) {
      inheritSettings(command, program, report, 'hoop');
      program.addCommand(command);
    }
  }
  report(program, 'hoop');
  program.helpCommand('help [command]', 'help for a command');
  // What ssh, the completion scripts and the build call; nobody types them.
  program.addCommand(sshStdioCommand(io), { hidden: true });
  program.addCommand(completeCommand(io), { hidden: true });
  program.addCommand(manCommand(io), { hidden: true });
  return program;
}

/** Has a command report wrong usage in our words. @param words that a person types for it */
type Report = (command: Command, words: string) => void;

function helpHint(words: string, isGroup: boolean): string {
  return `\`${words} --help\` lists the ${isGroup ? 'commands' : 'options'}.`;
}

/** commander's own words in our form. @param told the hint where there is no better one */
function usageError(
  text: string,
  told: { readonly program: Command; readonly hint: string; readonly json: boolean },
): string {
  const { program, json } = told;
  const { message, hint } = usageWords(text.replace(/^error: /, '').trimEnd(), program);
  if (!json) {
    return `hoop: error: ${message}\n${hint === undefined ? '' : `hoop: hint: ${hint}\n`}`;
  }
  const error = { code: 'HOOP_USAGE', message, hint: hint ?? told.hint };
  return `${renderJson({ v: 1, error })}\n`;
}

function usageWords(
  text: string,
  program: Command,
): { readonly message: string; readonly hint?: string } {
  const choice = WRONG_CHOICE.exec(text);
  if (choice !== null) {
    const [, value = '', name = '', choices = ''] = choice;
    return { message: `"${value}" is not a valid ${name}`, hint: `Choices are ${choices}.` };
  }
  const [message = '', suggestion] = text.split('\n');
  const hint = suggestion?.replace(/^\((.*)\)$/, '$1') ?? elsewhere(message, program);
  return hint === undefined ? { message } : { message, hint };
}

/** A command that belongs to another group. */
function elsewhere(message: string, program: Command): string | undefined {
  const [, typed = ''] = UNKNOWN_COMMAND.exec(message) ?? [];
  const paths = program.commands
    .filter(({ commands }) => commands.some((command) => command.name() === typed))
    .map((group) => `\`hoop ${group.name()} ${typed}\``);
  return paths.length === 0
    ? undefined
    : `Did you mean ${paths.join(', ').replace(/, ([^,]*)$/, ' or $1')}?`;
}

const UNKNOWN_COMMAND = /^unknown command '(.*)'$/;

/** Of an argument that takes one of a few words; of options commander names the option first. */
const WRONG_CHOICE =
  /^command-argument value '(.*)' is invalid for argument '(.*)'\. Allowed choices are (.*)\.$/s;

/** Asked of the words themselves: what commander refuses, it has not parsed. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json');
}

/** What commander takes where there is no terminal; wider is harder to read. */
const HELP_WIDTH = 80;
const HELP_FOOTER = `
Exit status: 0 success, 1 failure, 2 usage error, 3 not logged in, 4 denied by
policy, 5 unreachable, 130 interrupted; \`run\`, \`ssh\` and
\`connect NAME -- COMMAND\` return the command's own status, or 255 if hoop itself
fails (2 for a usage error, except with \`ssh\`).

New here?  hoop demo`;

/** Commands made apart from the program do not inherit exitOverride and output by themselves. */
function inheritSettings(command: Command, parent: Command, report: Report, path: string): void {
  const words = `${path} ${command.name()}`;
  command.copyInheritedSettings(parent);
  report(command, words);
  for (const child of command.commands) {
    inheritSettings(child, command, report, words);
  }
}

/** The words of a call as commander is to read them. @param words without program and script */
export function wordsFor(program: Command, words: readonly string[]): readonly string[] {
  const asked = withoutHelpForNothing(words, program);
  const ssh = program.commands.find((command) => command.name() === 'ssh');
  return ssh === undefined ? asked : separateRemoteCommand(asked, ssh);
}

/** `help` for what is no command would show all that hoop has, and not that there is no such command. */
function withoutHelpForNothing(words: readonly string[], program: Command): readonly string[] {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const asked = words[at + 1];
  const isNothing =
    words[at] === 'help' &&
    asked !== undefined &&
    asked !== 'help' &&
    !asked.startsWith('-') &&
    !program.commands.some((command) => command.name() === asked);
  return isNothing ? words.toSpliced(at, 1) : words;
}
