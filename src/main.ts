/**
 * Builds the commander program. The only file that touches argv, signals and the exit code.
 *
 * Nothing heavy is imported here: every command loads its work when it runs, so that `--version`
 * and `--help` stay fast.
 */
import { Command, CommanderError } from 'commander';
import { accessCommand } from './commands/access.ts';
import { approvalsCommand } from './commands/approvals.ts';
import { completeCommand, completionCommand } from './commands/completion.ts';
import { configCommand } from './commands/config.ts';
import { connectCommand } from './commands/connect.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { gatewayCommand } from './commands/gateway.ts';
import type { Io } from './commands/io.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { manCommand } from './commands/man.ts';
import { mcpCommand } from './commands/mcp.ts';
import { policyCommand } from './commands/policy.ts';
import { promptCommand } from './commands/prompt.ts';
import { runCommand } from './commands/run.ts';
import { runsCommand } from './commands/runs.ts';
import { sessionsCommand } from './commands/sessions.ts';
import { separateRemoteCommand, sshCommand } from './commands/ssh.ts';
import { sshConfigCommand } from './commands/ssh-config.ts';
import { sshStdioCommand } from './commands/ssh-stdio.ts';
import { targetsCommand } from './commands/targets.ts';
import { whoamiCommand } from './commands/whoami.ts';
import { HoopError } from './errors.ts';
import { packageVersion } from './package-version.ts';
import { neutraliseLogCommands, obeysOutput } from './ui/log-commands.ts';
import { mayColor } from './ui/may-color.ts';
import { renderJson } from './ui/render-json.ts';
import { terminalWidth } from './ui/terminal-width.ts';
import { wrapHelp } from './ui/wrap-help.ts';
import { wrapWords } from './ui/wrap-words.ts';

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Signal = keyof typeof SIGNALS;
/** A terminal, its shell and a supervisor may each send the same signal; a person is slower. */
const ONE_REQUEST_MS = 500;
/** A failure of hoop's own under a command whose status belongs to its child, as in ssh(1). */
const OWN_FAILURE = 255;
/** What only a child is told of. SIGWINCH reaches it by itself; SIGUSR1 is the debugger's of Node.js. */
const CHILD_SIGNALS = ['SIGQUIT', 'SIGUSR2', 'SIGCONT'] as const;

export async function main(): Promise<void> {
  const settings = { quiet: false, color: true, json: false, raw: false };
  let passThrough: PassThrough | undefined;
  let isStatusChosen = false;
  const interrupted = new AbortController();
  let interruptedBy: Signal | undefined;
  let interruptedAtMs = 0;
  let childListener: ((signal: NodeJS.Signals) => void) | undefined;
  let hangupListener: (() => void) | undefined;
  let endingSignal: NodeJS.Signals | undefined;
  const passOn = (signal: NodeJS.Signals): void => childListener?.(signal);
  // As a program does that knows nothing of the signal: the shell that waits for us sees it stop.
  const stop = (processId: number): void => {
    process.off('SIGTSTP', stopWithChild);
    process.kill(processId, 'SIGTSTP');
    if (childListener !== undefined) {
      process.on('SIGTSTP', stopWithChild);
    }
  };
  const stopWithChild = (): void => {
    passOn('SIGTSTP');
    stop(process.pid);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const handler = (): void => {
      if (childListener) {
        childListener(signal);
        return;
      }
      if (signal === 'SIGHUP' && hangupListener) {
        hangupListener();
        return;
      }
      if (interruptedBy === signal) {
        // SIGHUP comes from the terminal and again from the shell: nobody is there to ask twice.
        if (signal === 'SIGHUP' || performance.now() - interruptedAtMs < ONE_REQUEST_MS) {
          return;
        }
        // A second signal of the same kind ends the process at once, as the system does it.
        process.off(signal, handler);
        process.kill(process.pid, signal);
        return;
      }
      interruptedBy = signal;
      interruptedAtMs = performance.now();
      interrupted.abort(new HoopError('HOOP_INTERRUPTED', `interrupted by ${signal}`));
    };
    process.on(signal, handler);
  }
  for (const stream of [process.stdout, process.stderr]) {
    // `hoop … | head`, a closed terminal: the reader has gone, which is no error of ours.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') {
        throw error;
      }
    });
    if (!stream.isTTY && obeysOutput(process.env)) {
      neutraliseLogCommands(stream);
    }
  }

  const io: Io = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    self: [process.execPath, ...process.argv.slice(1, 2)],
    signal: interrupted.signal,
    onSignal: (listener) => {
      childListener = listener;
      process.on('SIGTSTP', stopWithChild);
      for (const signal of CHILD_SIGNALS) {
        process.on(signal, passOn);
      }
      return () => {
        childListener = undefined;
        process.off('SIGTSTP', stopWithChild);
        for (const signal of CHILD_SIGNALS) {
          process.off(signal, passOn);
        }
      };
    },
    onHangup: (listener) => {
      hangupListener = listener;
      return () => {
        hangupListener = undefined;
      };
    },
    setRaw: (isRaw) => {
      settings.raw = isRaw;
    },
    suspend: () => stop(0),
    endBySignal: (signal) => {
      endingSignal = signal;
    },
    get color() {
      return {
        stdout: settings.color && mayColor(process.stdout, process.env),
        stderr: settings.color && mayColor(process.stderr, process.env),
      };
    },
    get quiet() {
      return settings.quiet;
    },
    note: (text) => {
      if (!settings.quiet) {
        const width = terminalWidth(process.stderr, process.env);
        const lines = wrapWords(text, width, { first: 'hoop: ', rest: 'hoop:   ' });
        const end = settings.raw && process.stderr.isTTY ? '\r\n' : '\n';
        process.stderr.write(lines.map((line) => `${line}${end}`).join(''));
      }
    },
    setExitCode: (code) => {
      isStatusChosen = true;
      process.exitCode = code;
    },
  };

  const program = buildProgram(io, wantsJson(process.argv));
  program.hook('preAction', (_program, command) => {
    const options = command.optsWithGlobals();
    settings.quiet = options['quiet'] === true;
    settings.color = options['color'] !== false;
    settings.json = options['json'] === true;
    passThrough = passThroughOf(command.name(), command.args.length, options);
  });
  const words = withoutHelpForNothing(process.argv.slice(2), program);
  try {
    const ssh = program.commands.find((command) => command.name() === 'ssh');
    await program.parseAsync(ssh === undefined ? words : separateRemoteCommand(words, ssh), {
      from: 'user',
    });
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has printed it; help and version end with 0, a wrong call with 2, of ssh with 255.
      const isSsh = words.find((word) => !word.startsWith('-')) === 'ssh';
      process.exitCode = error.exitCode === 0 ? 0 : isSsh ? OWN_FAILURE : 2;
      return;
    }
    const { renderError, exitCodeFor } = await import('./ui/render-error.ts');
    if (!(error instanceof HoopError && error.code === 'HOOP_INTERRUPTED')) {
      process.stderr.write(
        renderError(error, {
          json: settings.json,
          color: io.color.stderr,
          width: terminalWidth(process.stderr, process.env),
        }),
      );
    }
    const isWrongCall = error instanceof HoopError && error.code === 'HOOP_USAGE';
    // Once a command has run, its status was said: what comes then is no fault of the call.
    const isUsage = isWrongCall && passThrough === 'command' && !isStatusChosen;
    process.exitCode = passThrough === undefined || isUsage ? exitCodeFor(error) : OWN_FAILURE;
  }
  const isOwn = process.exitCode !== OWN_FAILURE && passThrough === undefined;
  if (interruptedBy && isOwn && !isStatusChosen) {
    process.exitCode = SIGNALS[interruptedBy];
  }
  if (endingSignal !== undefined && process.exitCode !== OWN_FAILURE) {
    process.removeAllListeners(endingSignal);
    process.kill(process.pid, endingSignal);
  }
}

/** @param json whether wrong usage is told as JSON */
export function buildProgram(io: Io, json: boolean): Command {
  const program = new Command('hoop')
    .description('Work on production Postgres and servers without holding the credential.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('-q, --quiet', 'print errors only')
    .option('--no-color', 'no escape codes, even on a terminal')
    .showHelpAfterError(json ? false : 'hoop: hint: Run it with --help to see the options.')
    .exitOverride()
    // Beside `connect [options] <target> [command...]` there are 38 columns left.
    .configureHelp({ minWidthToWrap: 30 })
    .configureOutput({
      writeOut: (text) => io.stdout.write(wrapHelp(text, HELP_WIDTH)),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(usageError(text, json)),
    })
    .addHelpText('after', HELP_FOOTER);
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
      inheritSettings(command, program);
      program.addCommand(command);
    }
  }
  program.helpCommand('help [command]', 'help for a command');
  // What ssh, the completion scripts and the build call; nobody types them.
  program.addCommand(sshStdioCommand(io), { hidden: true });
  program.addCommand(completeCommand(io), { hidden: true });
  program.addCommand(manCommand(io), { hidden: true });
  return program;
}

/** commander's own words in our form. */
function usageError(text: string, json: boolean): string {
  const { message, hint } = usageWords(text.replace(/^error: /, '').trimEnd());
  if (!json) {
    return `hoop: error: ${message}\n${hint === undefined ? '' : `hoop: hint: ${hint}\n`}`;
  }
  const error = { code: 'HOOP_USAGE', message, hint: hint ?? 'See the options with --help.' };
  return `${renderJson({ v: 1, error })}\n`;
}

function usageWords(text: string): { readonly message: string; readonly hint?: string } {
  const choice = WRONG_CHOICE.exec(text);
  if (choice !== null) {
    const [, value = '', name = '', choices = ''] = choice;
    return { message: `"${value}" is no ${name}`, hint: `It may be ${choices}.` };
  }
  const [message = '', suggestion] = text.split('\n');
  return suggestion === undefined
    ? { message }
    : { message, hint: suggestion.replace(/^\((.*)\)$/, '$1') };
}

/** Of an argument that takes one of a few words; of options commander names the option first. */
const WRONG_CHOICE =
  /^command-argument value '(.*)' is invalid for argument '(.*)'\. Allowed choices are (.*)\.$/s;

/** Asked of the words themselves: what commander refuses, it has not parsed. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json');
}

/** What commander takes where there is no terminal; wider is harder to read. */
const HELP_WIDTH = 80;
const HELP_FOOTER = `
Exit status: 0 ok, 1 failure, 2 wrong usage, 3 not logged in, 4 denied by policy,
5 unreachable, 130 interrupted; \`run\`, \`ssh\` and \`connect NAME -- COMMAND\`
give the command's own, or 255 (2 for wrong usage, but of \`ssh\`).

New here?  hoop demo`;

/** Commands made apart from the program do not inherit exitOverride and output by themselves. */
function inheritSettings(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) {
    inheritSettings(child, command);
  }
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

/**
 * Whose status it is. ssh(1) ends with 255 for a wrong call too: what calls it takes every other
 * status for that of the command on the server.
 */
type PassThrough = 'command' | 'ssh';

/** @returns undefined: the status is hoop's own */
function passThroughOf(
  name: string,
  words: number,
  options: Readonly<Record<string, unknown>>,
): PassThrough | undefined {
  if (name === 'ssh' || name === 'ssh-stdio') {
    return 'ssh';
  }
  const isAsked = options['printEnv'] === true || options['briefingOnly'] === true;
  const isRun = name === 'run' && words > 0 && !isAsked;
  return isRun || (name === 'connect' && words > 1) ? 'command' : undefined;
}
