/**
 * The screen belongs to the program. While one runs that has the terminal, hoop writes nothing into
 * it: what is to be said is said at the end, and a statement that waits for a person is a bell, the
 * title of the window and, where the terminal is known for it, a notification of the desktop.
 */
import { plain } from '../ui/text/printable.ts';
import { plural } from '../ui/text/times.ts';
import type { Io } from './io.ts';

/** What a program in a loop can make hoop keep. */
const MAX_KEPT = 200;
const MAX_TITLE_CHARACTERS = 120;
const BEL = '\x07';
/** XTWINOPS: the terminal keeps the title that was there, and puts it back. */
const SAVE_TITLE = '\x1b[22;2t';
const RESTORE_TITLE = '\x1b[23;2t';

export class QuietScreen {
  /** As the one that it was made of, but for its notes. */
  readonly io: Io;
  readonly #outer: Io;
  /** Bytes for the terminal itself, between what the program shows. */
  readonly #interject: ((text: string) => void) | undefined;
  #kept: string[] | undefined;
  #missed = 0;
  #waiting = 0;

  constructor(io: Io, interject: ((text: string) => void) | undefined) {
    this.#outer = io;
    this.#interject = interject;
    this.io = Object.assign(Object.create(io) as Io, { note: (text: string) => this.#note(text) });
  }

  /** The program begins: from here on nothing is written, if it has the terminal. */
  hold(): void {
    const { stdin, stdout, stderr } = this.#outer;
    if (stdin.isTTY && stdout.isTTY && stderr.isTTY) {
      this.#kept = [];
    }
  }

  /** The program has ended. Idempotent. */
  release(): void {
    const kept = this.#kept ?? [];
    if (this.#kept !== undefined && this.#interject !== undefined && this.#waiting > 0) {
      // A program that ends while a statement waits leaves nobody to hear that it is decided.
      this.#outer.stdout.write(RESTORE_TITLE);
    }
    this.#kept = undefined;
    for (const text of kept) {
      this.#outer.note(text);
    }
    if (this.#missed > 0) {
      this.#outer.note(`and ${plural(this.#missed, 'note')} more`);
      this.#missed = 0;
    }
  }

  /** A statement waits for a person. @param what one line, for the title of the window */
  waits(what: string): void {
    this.#waiting += 1;
    this.#note(what);
    if (this.#kept === undefined) {
      return;
    }
    const { env } = this.#outer;
    const text = plain(what)
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, MAX_TITLE_CHARACTERS);
    const save = this.#waiting === 1 ? SAVE_TITLE : '';
    if (this.#interject === undefined) {
      this.#outer.stderr.write(BEL);
      return;
    }
    this.#interject(`${BEL}${save}\x1b]2;hoop: ${text}${BEL}${notification(env, text)}`);
  }

  /** One that waited is decided, or is gone. */
  decided(): void {
    if (this.#waiting > 0) {
      this.#waiting -= 1;
      if (this.#kept !== undefined && this.#waiting === 0) {
        this.#interject?.(RESTORE_TITLE);
      }
    }
  }

  #note(text: string): void {
    if (this.#kept === undefined) {
      this.#outer.note(text);
    } else if (this.#kept.length < MAX_KEPT) {
      this.#kept.push(text);
    } else {
      this.#missed += 1;
    }
  }
}

/** OSC 9 of iTerm2, OSC 777 of rxvt: other terminals show them as text, or do something else. */
function notification(env: NodeJS.ProcessEnv, text: string): string {
  const { TERM_PROGRAM: program = '', TERM: term = '' } = env;
  if (env['TMUX'] || env['STY']) {
    return '';
  }
  if (['iTerm.app', 'WezTerm', 'ghostty'].includes(program) || term === 'xterm-kitty') {
    return `\x1b]9;hoop: ${text}${BEL}`;
  }
  return /^(foot|rxvt)/.test(term) ? `\x1b]777;notify;hoop;${text}${BEL}` : '';
}
