/** What is known of a command text before any rule is asked. Plain, immutable data. */

/** Unknown: a variable, a substitution, a glob; `many`: none, one or several words. */
export type ShellWord = string | { readonly unknown: 'one' | 'many' };

/** A command that another one starts: `sudo`, `xargs`, `find -exec`. */
export interface StartedBy {
  /** Index in `commands`. */
  readonly command: number;
  /**
   * The word of it at which this one begins; `all`: how much of it matters is not known; undefined:
   * it is written in a text of its own (`sh -c`).
   */
  readonly at: number | 'all' | undefined;
}

export interface SimpleCommand {
  /** The program and its arguments. */
  readonly words: readonly ShellWord[];
  /** `NAME=value` before it that may change what the program does; undefined: value not known. */
  readonly assignments: readonly { readonly name: string; readonly value: string | undefined }[];
  readonly startedBy: StartedBy | undefined;
  /** Only reads a text of commands that are in the list themselves: needs no rule of its own. */
  readonly isReader: boolean;
  /** The words of the text that do what this command does: `find -delete`. */
  readonly standsFor?: string | undefined;
}

export interface ShellRedirection {
  /** undefined: not known. */
  readonly path: string | undefined;
  readonly operations: readonly ('read' | 'write')[];
  /** Indexes in `commands` of those that it is for: from, and up to. */
  readonly from: number;
  readonly to: number;
}

/** Something that may run anything. */
export interface UnknownPart {
  /** Part of a sentence: what it is, without a value of it. */
  readonly reason: string;
  readonly startedBy: StartedBy | undefined;
  /** It is what a shell reads from its input. */
  readonly isInput?: boolean;
}

export interface ShellFacts {
  /** The text is one simple command: no list, no pipe, not in the background. */
  readonly isSingle: boolean;
  readonly commands: readonly SimpleCommand[];
  readonly redirections: readonly ShellRedirection[];
  readonly unknown: readonly UnknownPart[];
}
