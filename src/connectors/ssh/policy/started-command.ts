/**
 * What a command starts in its turn: sudo, env, xargs, `find -exec`, `sh -c`, builtins that take
 * code. Programs that are not here may do the same (`python -c`, `make`, a script): nobody sees.
 */
import { baseName } from './match-command.ts';
import { OPTIONS, skipOptions } from './program-options.ts';
import { shellBuiltin } from './shell-builtins.ts';
import type { ShellWord } from './shell-types.ts';

export interface Started {
  readonly inner?: readonly InnerCommand[];
  /** A text of commands that it has a shell read. */
  readonly text?: string;
  /** It does nothing but what it starts. */
  readonly isReader?: boolean;
  /** It may run anything: why. */
  readonly unknown?: string;
  /** `unknown` is what a shell reads from its input. */
  readonly readsInput?: boolean;
  /** Variables. */
  readonly sets?: readonly string[];
  /** Files; undefined: which is not known. */
  readonly writes?: readonly (string | undefined)[];
}

interface InnerCommand {
  readonly words: readonly ShellWord[];
  readonly at: number | 'all';
  readonly assignments?: readonly { readonly name: string; readonly value: string | undefined }[];
  /** The words that do the same. */
  readonly standsFor?: string;
}

const MANY: ShellWord = { unknown: 'many' };
const READS_INPUT: Started = {
  unknown: 'a shell in it reads its commands from its input',
  readsInput: true,
};
const NOT_WRITTEN: Started = { unknown: 'what a program in it starts is not literal' };

const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'rbash']);
/** Read other languages than the one that is read here. */
const OTHER_SHELLS = new Set([
  'zsh',
  'ksh',
  'mksh',
  'ksh93',
  'csh',
  'tcsh',
  'fish',
  'pwsh',
  'nu',
  'rc',
  'es',
  'elvish',
]);
/** Start what they are told to, in ways that are not read here. */
const STARTERS = new Set([
  'at',
  'batch',
  'capsh',
  'chroot',
  'chrt',
  'dbus-run-session',
  'entr',
  'expect',
  'fakeroot',
  'firejail',
  'flock',
  'gdb',
  'ltrace',
  'noglob',
  'nocorrect',
  'nsenter',
  'parallel',
  'pkexec',
  'proot',
  'repeat',
  'run0',
  'script',
  'setarch',
  'setpriv',
  'socat',
  'start-stop-daemon',
  'strace',
  'systemd-run',
  'taskset',
  'unshare',
  'unbuffer',
  '-',
]);

export function startedCommand(words: readonly ShellWord[]): Started {
  const [program] = words;
  if (typeof program !== 'string') {
    return {};
  }
  const name = baseName(program);
  if (!program.includes('/')) {
    const builtin = shellBuiltin(name, words);
    if (builtin !== undefined) {
      return builtin;
    }
  }
  if (SHELLS.has(name) || OTHER_SHELLS.has(name)) {
    // What it does by itself is nothing.
    const started = shell(name, words);
    return started.unknown === undefined ? started : { ...started, isReader: true };
  }
  if (STARTERS.has(name)) {
    return words.length > 1 ? NOT_WRITTEN : {};
  }
  switch (name) {
    case 'find':
      return find(words);
    case 'xargs':
      return xargs(words);
    case 'ssh':
      return ssh(words);
    case 'su':
    case 'runuser':
      return switchUser(words);
    case 'watch':
      return watch(words);
    case 'busybox':
    case 'toybox':
      return words.length > 1 ? { inner: [{ words: words.slice(1), at: 1 }] } : {};
    default:
      return Object.hasOwn(OPTIONS, name) ? before(name, words) : {};
  }
}

/** `sudo -u deploy NAME=value cmd …`, `timeout 5 cmd …`. */
function before(name: string, words: readonly ShellWord[]): Started {
  const options = OPTIONS[name];
  let at = options && skipOptions(words, options);
  if (options === undefined || at === undefined) {
    return { ...NOT_WRITTEN, isReader: options?.isPlain === true };
  }
  for (let left = options.operands ?? 0; left > 0; left -= 1) {
    if (typeof words[at] !== 'string') {
      return words[at] === undefined ? {} : NOT_WRITTEN;
    }
    at += 1;
  }
  const assignments: { name: string; value: string }[] = [];
  while (options.assigns === true) {
    const word = words[at];
    const [, variable, value = ''] =
      typeof word === 'string' ? (/^([A-Za-z_]\w*)=([\s\S]*)$/.exec(word) ?? []) : [];
    if (variable === undefined) {
      break;
    }
    assignments.push({ name: variable, value });
    at += 1;
  }
  const inner = words.slice(at);
  if (inner.length === 0) {
    return {};
  }
  return { inner: [{ words: inner, at, assignments }], isReader: options.isPlain === true };
}

/** `sh -c TEXT`; a script is a program as any; without either it reads its input. */
function shell(name: string, words: readonly ShellWord[]): Started {
  let takesText = false;
  let at = 1;
  for (; at < words.length; at += 1) {
    const word = words[at];
    if (typeof word !== 'string') {
      return NOT_WRITTEN;
    }
    if (word === '--') {
      at += 1;
      break;
    }
    if (!/^[-+]./.test(word)) {
      break;
    }
    if (/^(?:--login|--norc|--noprofile|--posix|--version|--help)$/.test(word)) {
      continue;
    }
    if (!/^-[ceflmuvxo]+$/.test(word)) {
      return NOT_WRITTEN;
    }
    takesText ||= word.includes('c');
    at += word.includes('o') ? 1 : 0;
  }
  const text = words[at];
  if (!takesText) {
    return text === undefined ? READS_INPUT : {};
  }
  if (typeof text !== 'string' || OTHER_SHELLS.has(name)) {
    return NOT_WRITTEN;
  }
  return { text, isReader: true };
}

/** A plus ends it only behind `{}`; elsewhere it is an argument, as what follows it. */
function isEnd(word: ShellWord, before: ShellWord | undefined): boolean {
  return word === ';' || (word === '+' && before === '{}');
}

const EXEC = new Set(['-exec', '-execdir', '-ok', '-okdir']);
const WRITES = new Set(['-fprint', '-fprint0', '-fls', '-fprintf']);
/** Tests that take one word, whatever it is. */
const TAKES_ONE =
  /^-(?:i?(?:name|path|wholename|regex|lname)|[acm]?newer|[acm](?:min|time)|user|group|uid|gid|size|type|xtype|perm|maxdepth|mindepth|links|inum|samefile|newer..|fstype|used|printf|regextype)$/;

function find(words: readonly ShellWord[]): Started {
  const inner: InnerCommand[] = [];
  const writes: (string | undefined)[] = [];
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at];
    if (typeof word !== 'string') {
      return { ...NOT_WRITTEN, inner };
    }
    if (TAKES_ONE.test(word)) {
      const value = words[at + 1];
      if (value !== undefined && typeof value !== 'string' && value.unknown === 'many') {
        return { ...NOT_WRITTEN, inner };
      }
      at += 1;
    } else if (EXEC.has(word)) {
      const end = words.findIndex((one, index) => index > at && isEnd(one, words[index - 1]));
      const stop = end < 0 ? words.length : end;
      if (words.slice(at + 1, stop).some((one) => typeof one !== 'string')) {
        // It may be a semicolon, and what follows it another -exec.
        return { ...NOT_WRITTEN, inner };
      }
      inner.push({ words: words.slice(at + 1, stop).map(filledIn), at: at + 1 });
      at = stop;
    } else if (word === '-delete') {
      inner.push({ words: ['rm', MANY], at, standsFor: 'find -delete' });
    } else if (WRITES.has(word)) {
      const file = words[at + 1];
      writes.push(typeof file === 'string' ? file : undefined);
      at += word === '-fprintf' ? 2 : 1;
    } else if (word.startsWith('-files0-from')) {
      return { ...NOT_WRITTEN, inner };
    }
  }
  return { inner: inner.filter(({ words: own }) => own.length > 0), writes };
}

/** `{}` is the path that was found. */
function filledIn(word: ShellWord): ShellWord {
  return typeof word === 'string' && word.includes('{}') ? { unknown: 'one' } : word;
}

function xargs(words: readonly ShellWord[]): Started {
  const options = OPTIONS['xargs'];
  const at = options && skipOptions(words, options);
  if (at === undefined) {
    return NOT_WRITTEN;
  }
  const [program, ...args] = words.slice(at);
  if (program === undefined) {
    return {};
  }
  // With -I any word may be replaced, and the program where it has the text in it.
  const replaced = words
    .slice(1, at)
    .findIndex((word) => typeof word === 'string' && /^-[0rtpx]*I/.test(word));
  if (replaced < 0) {
    return { inner: [{ words: [program, ...args, MANY], at }] };
  }
  const option = words[replaced + 1];
  const given = typeof option === 'string' ? option.replace(/^-[0rtpx]*I/, '') : '';
  const text = given === '' ? words[replaced + 2] : given;
  const isSafe =
    typeof text === 'string' &&
    text !== '' &&
    typeof program === 'string' &&
    !program.includes(text);
  return isSafe ? { inner: [{ words: [program, ...args.map(() => MANY)], at }] } : NOT_WRITTEN;
}

/** What stands behind the host is put together and read by a shell there, which may be here. */
function ssh(words: readonly ShellWord[]): Started {
  const options = OPTIONS['ssh'];
  const at = options && skipOptions(words, options);
  if (at === undefined || (words[at] !== undefined && typeof words[at] !== 'string')) {
    return NOT_WRITTEN;
  }
  // Options may stand behind the host, too.
  const rest = words.slice(at + 1);
  return rest.length === 0 ? READS_INPUT : joined(rest, true);
}

function joined(words: readonly ShellWord[], mayHaveOptions: boolean): Started {
  const texts = words.filter((word) => typeof word === 'string');
  if (texts.length < words.length || (mayHaveOptions && texts[0]?.startsWith('-'))) {
    return NOT_WRITTEN;
  }
  return texts.length === 0 ? {} : { text: texts.join(' ') };
}

function watch(words: readonly ShellWord[]): Started {
  const options = OPTIONS['watch'];
  const at = options && skipOptions(words, options);
  return at === undefined ? NOT_WRITTEN : joined(words.slice(at), false);
}

/** `su deploy -c TEXT`; without a text a shell that reads its input. */
function switchUser(words: readonly ShellWord[]): Started {
  const at = words.findIndex((word) => word === '-c' || word === '--command');
  const text = at < 0 ? undefined : words[at + 1];
  const others = words.slice(1).filter((_, index) => index + 1 !== at && index !== at);
  const isPlain = others.every(
    (word) =>
      typeof word === 'string' &&
      (/^[A-Za-z_][\w-]*$/.test(word) || /^(?:-|-l|--login)$/.test(word)),
  );
  return typeof text === 'string' && isPlain ? { text } : NOT_WRITTEN;
}
