/** Runs a command in this process, with streams that are read afterwards. */
import { PassThrough, Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import type { Io } from '../../src/commands/io.ts';
import { sessionsCommand } from '../../src/commands/sessions/sessions.ts';
import { exitCodeFor, renderError } from '../../src/ui/render-error.ts';

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
}

/** As main.ts does it: errors become text and a status. */
export async function runSessions(
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const out = new Collected(options.tty === true);
  const err = new Collected(false);
  const io: Io = {
    stdout: out,
    stderr: err,
    stdin: new PassThrough(),
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    signal: options.signal ?? new AbortController().signal,
    onSignal: () => () => undefined,
    onHangup: () => () => undefined,
    self: ['hoop'],
    setRaw: () => undefined,
    suspend: () => undefined,
    endBySignal: () => undefined,
    color: { stdout: false, stderr: false },
    quiet: false,
    note: (text) => void err.write(`hoop: ${text}\n`),
    setExitCode: () => undefined,
  };
  const program = new Command('hoop').exitOverride().configureOutput({
    writeOut: (text) => out.write(text),
    writeErr: (text) => err.write(text),
  });
  const sessions = sessionsCommand(io);
  for (const command of [sessions, ...sessions.commands]) {
    command.copyInheritedSettings(program);
  }
  program.addCommand(sessions);
  let status = 0;
  try {
    await program.parseAsync(['node', 'hoop', 'sessions', ...args]);
  } catch (error) {
    if (error instanceof CommanderError) {
      return { stdout: out.text, stderr: err.text, status: error.exitCode === 0 ? 0 : 2 };
    }
    err.write(renderError(error, { json: args.includes('--json'), color: false }));
    status = exitCodeFor(error);
  }
  return { stdout: out.text, stderr: err.text, status };
}

class Collected extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 80;

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
