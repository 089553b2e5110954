/** Options of programs that start another one, so that it is known where that one begins. */
import type { ShellWord } from './shell-types.ts';

export interface ProgramOptions {
  /** One letter each, without a value. */
  readonly flags: string;
  /** With a value, in the same word or in the next. */
  readonly values: string;
  /** Without the dashes; those in `longValues` take their value in the next word, or behind `=`. */
  readonly long?: readonly string[];
  readonly longValues?: readonly string[];
  /** Words of its own before the program. */
  readonly operands?: number;
  /** `NAME=value` may stand before the program. */
  readonly assigns?: boolean;
  /** It gives nothing to what it starts that it would not have, so it needs no rule of its own. */
  readonly isPlain?: boolean;
  /** A number is an option: `nice -5`. */
  readonly numbers?: boolean;
}

/** What is not in here (`sudo -s`, `env -S`) is not understood, and then nothing behind it is. */
export const OPTIONS: Readonly<Record<string, ProgramOptions>> = {
  sudo: {
    flags: 'AbEHnPSk',
    values: 'ugpCrtTDRh',
    long: ['non-interactive', 'preserve-env', 'set-home', 'background', 'stdin'],
    longValues: ['user', 'group', 'prompt', 'host', 'chdir'],
    assigns: true,
  },
  doas: { flags: 'n', values: 'u' },
  env: {
    isPlain: true,
    flags: 'i0v',
    values: 'uC',
    long: ['ignore-environment'],
    longValues: ['unset', 'chdir'],
    assigns: true,
  },
  nohup: { flags: '', values: '' },
  nice: { isPlain: true, flags: '', values: 'n', longValues: ['adjustment'], numbers: true },
  ionice: { isPlain: true, flags: 't', values: 'cn' },
  timeout: {
    isPlain: true,
    flags: 'vpf',
    values: 'ks',
    long: ['preserve-status', 'foreground', 'verbose'],
    longValues: ['kill-after', 'signal'],
    operands: 1,
  },
  time: { isPlain: true, flags: 'pv', values: 'f', long: ['portability', 'verbose'] },
  stdbuf: { isPlain: true, flags: '', values: 'ioe' },
  setsid: { flags: 'cfw', values: '' },
  command: { isPlain: true, flags: 'p', values: '' },
  builtin: { isPlain: true, flags: '', values: '' },
  exec: { isPlain: true, flags: 'cl', values: 'a' },
  xargs: {
    flags: '0rtpx',
    values: 'InPLsdEa',
    long: ['null', 'no-run-if-empty', 'verbose', 'exit'],
    longValues: ['max-args', 'max-procs', 'max-lines', 'delimiter', 'arg-file', 'max-chars'],
  },
  ssh: { flags: '46AaCfgKkNnqsTtVvXxYy', values: 'bcDeiJLlmpQRSWw' },
  watch: {
    flags: 'bcdegptwx',
    values: 'nq',
    long: ['color', 'differences', 'no-title', 'beep', 'errexit', 'chgexit', 'precise'],
    longValues: ['interval'],
  },
};

/** @returns the index of the first word that is none of its options; undefined: not understood. */
export function skipOptions(
  words: readonly ShellWord[],
  options: ProgramOptions,
): number | undefined {
  let at = 1;
  while (at < words.length) {
    const word = words[at];
    if (typeof word !== 'string') {
      return undefined;
    }
    if (word === '--') {
      return at + 1;
    }
    if (!/^-./.test(word)) {
      return at;
    }
    const taken = word.startsWith('--') ? longWords(word, options) : shortWords(word, options);
    if (taken === undefined || at + taken > words.length) {
      return undefined;
    }
    at += taken;
  }
  return at;
}

/** How many words it takes. */
function longWords(
  word: string,
  { long = [], longValues = [] }: ProgramOptions,
): number | undefined {
  const [name = '', value] = word.slice(2).split(/=(.*)/s);
  if (longValues.includes(name)) {
    return value === undefined ? 2 : 1;
  }
  return long.includes(name) ? 1 : undefined;
}

function shortWords(word: string, { flags, values, numbers }: ProgramOptions): number | undefined {
  if (numbers === true && /^-\d+$/.test(word)) {
    return 1;
  }
  for (let index = 1; index < word.length; index += 1) {
    const letter = word.charAt(index);
    if (values.includes(letter)) {
      return index === word.length - 1 ? 2 : 1;
    }
    if (!flags.includes(letter)) {
      return undefined;
    }
  }
  return 1;
}
