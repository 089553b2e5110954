/** One call of the program: the settings that it was made with, and whose its exit status is. */
import type { Command, CommanderError } from 'commander';
import { HoopError } from '../errors.ts';
import { terminalWidth } from '../ui/text/terminal-width.ts';
import { explainInFence } from './explain-in-fence.ts';

/** A failure of hoop's own under a command whose status belongs to its child, as in ssh(1). */
const OWN_FAILURE = 255;

/**
 * Whose status it is. ssh(1) ends with 255 for a wrong call too: what calls it takes every other
 * status for that of the command on the server.
 */
type PassThrough = 'command' | 'ssh';

export class Call {
  quiet = false;
  color = true;
  #isJson = false;
  #passThrough: PassThrough | undefined;
  #isStatusChosen = false;
  #isOutputLost = false;

  /** commander has read the words. */
  begins(command: Command): void {
    const options = command.optsWithGlobals();
    this.quiet = options['quiet'] === true;
    this.color = options['color'] !== false;
    this.#isJson = options['json'] === true;
    this.#passThrough = passThroughOf(command.name(), command.args.length, options);
  }

  chooseStatus(code: number): void {
    this.#isStatusChosen = true;
    process.exitCode = code;
  }

  /** Of a wrong call, of which commander has told, and of help. @param words of the call */
  refused(error: CommanderError, words: readonly string[]): void {
    // Help and version end with 0, a wrong call with 2, of ssh with 255.
    const isSsh = words.find((word) => !word.startsWith('-')) === 'ssh';
    process.exitCode = error.exitCode === 0 ? 0 : isSsh ? OWN_FAILURE : 2;
  }

  /** Tells the error on stderr. @param color whether it may have colours there */
  async failed(error: unknown, color: boolean): Promise<void> {
    const { renderError, exitCodeFor } = await import('../ui/render-error.ts');
    if (!(error instanceof HoopError && error.code === 'HOOP_INTERRUPTED')) {
      const width = terminalWidth(process.stderr, process.env);
      process.stderr.write(
        renderError(explainInFence(error, process.env), { json: this.#isJson, color, width }),
      );
    }
    const isWrongCall = error instanceof HoopError && error.code === 'HOOP_USAGE';
    // Once a command has run, its status was said: what comes then is no fault of the call.
    const isUsage = isWrongCall && this.#passThrough === 'command' && !this.#isStatusChosen;
    process.exitCode =
      this.#passThrough === undefined || isUsage ? exitCodeFor(error) : OWN_FAILURE;
  }

  /** Once, when it happens: the call goes on, and its status says that its output is not all there. */
  outputFailed(cause: NodeJS.ErrnoException, color: boolean): void {
    if (this.#isOutputLost) {
      return;
    }
    this.#isOutputLost = true;
    const isFull = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
    const why = isFull ? 'the disk is full' : (cause.code ?? 'stdout does not accept it');
    const error = new HoopError(
      isFull ? 'HOOP_DISK_FULL' : 'HOOP_LOCAL_STATE',
      `the output cannot be written: ${why}`,
      { hint: 'Write it somewhere else.', cause },
    );
    void this.failed(error, this.color && color);
  }

  /** @param status of a call that a signal has interrupted */
  interrupted(status: number): void {
    const isOwn = process.exitCode !== OWN_FAILURE && this.#passThrough === undefined;
    if (isOwn && !this.#isStatusChosen) {
      process.exitCode = status;
    }
  }

  /** Nothing of hoop's own has failed under a command whose status belongs to its child. */
  get isDone(): boolean {
    return process.exitCode !== OWN_FAILURE;
  }
}

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
