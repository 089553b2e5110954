/**
 * What was found in the text of a command so far, within limits. Nothing is left out without a word:
 * what does not fit is an unknown part, and one that no rule can write out.
 */
import type {
  ShellFacts,
  ShellRedirection,
  SimpleCommand,
  StartedBy,
  UnknownPart,
} from './shell-types.ts';

const MAX_COMMANDS = 500;
/** Of all of them, those that another one starts counted anew: `env env env … a a a`. */
const MAX_ALL_WORDS = 16_384;
/** Levels of substitutions, lists and blocks. */
const MAX_DEPTH = 64;

export class CollectedFacts {
  readonly #commands: SimpleCommand[] = [];
  readonly #redirections: ShellRedirection[] = [];
  readonly #unknown: UnknownPart[] = [];
  #words = 0;
  #depth = 0;
  isSingle = false;

  get all(): ShellFacts {
    return {
      isSingle: this.isSingle,
      commands: this.#commands,
      redirections: this.#redirections,
      unknown: this.#unknown,
    };
  }

  unknown(reason: string, startedBy?: StartedBy, isInput = false): void {
    if (this.#unknown.length < MAX_COMMANDS) {
      this.#unknown.push({ reason, startedBy, ...(isInput ? { isInput } : {}) });
    } else if (this.#unknown.length === MAX_COMMANDS) {
      // Started by nobody: each of those before it may stand in a rule, and what is left out here,
      // which may be the notice that there are more commands, must not pass with them.
      this.#unknown.push({
        reason: 'it has too many parts that are not certain',
        startedBy: undefined,
      });
    }
  }

  redirection(redirection: ShellRedirection): void {
    if (this.#redirections.length === MAX_COMMANDS) {
      this.unknown('it has too many redirections');
    } else if (this.#redirections.length < MAX_COMMANDS) {
      this.#redirections.push(redirection);
    }
  }

  /** @returns its index; undefined: it is left out, and that is told */
  command(command: SimpleCommand): number | undefined {
    if (this.#commands.length >= MAX_COMMANDS) {
      this.unknown('it has too many commands');
      return undefined;
    }
    this.#words += command.words.length;
    if (this.#words > MAX_ALL_WORDS) {
      this.unknown('it has too many words');
      return undefined;
    }
    return this.#commands.push(command) - 1;
  }

  /** Commands so far. */
  get count(): number {
    return this.#commands.length;
  }

  /** One level deeper: a substitution, a list, a block, a command that another one starts. */
  within(action: () => void): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) {
      this.unknown('it is nested too deeply');
    } else {
      action();
    }
    this.#depth -= 1;
  }
}
