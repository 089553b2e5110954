/** Builtins of shells that take code, or change how the rest is read. */
import type { ShellWord } from './shell-types.ts';
import type { Started } from './started-command.ts';

/** Code in a word, in a file, in a subscript, or a new meaning of a name. */
const UNKNOWN = new Set([
  '.',
  'source',
  'trap',
  'alias',
  'bind',
  'complete',
  'compgen',
  'compopt',
  'mapfile',
  'readarray',
  'enable',
  'hash',
  'let',
  'declare',
  'typeset',
  'local',
  'readonly',
  'getopts',
  'fc',
  'shopt',
  'emulate',
  'setopt',
  'unsetopt',
  'autoload',
  'zmodload',
  'functions',
  'sched',
  'zle',
  'integer',
  'float',
  'vared',
  'print',
]);
/** Options of `set` that change how errors are met and what is shown. */
const SET = /^(?:[-+][eufxvnCo]+|pipefail|errexit|nounset|xtrace|verbose|noglob|noclobber)$/;

/** @returns undefined: it is none of them. */
export function shellBuiltin(name: string, words: readonly ShellWord[]): Started | undefined {
  const args = words.slice(1);
  const texts = args.filter((word) => typeof word === 'string');
  const isLiteral = texts.length === args.length;
  const takesCode = { unknown: `${name} in it may run anything`, isReader: true };
  if (UNKNOWN.has(name)) {
    return takesCode;
  }
  switch (name) {
    case 'eval':
      return isLiteral ? { text: texts.join(' '), isReader: true } : takesCode;
    case 'export': {
      const names = texts.map((text) => text.replace(/=.*$/s, ''));
      return isLiteral && names.every((one) => /^[A-Za-z_]\w*$/.test(one))
        ? { sets: names, isReader: true }
        : takesCode;
    }
    case 'unset':
    case 'read': {
      const names = texts.filter((text) => !/^-[rs]$/.test(text));
      return isLiteral && names.every((one) => /^[A-Za-z_]\w*$/.test(one))
        ? { sets: names, isReader: true }
        : takesCode;
    }
    case 'set':
      return isLiteral && texts.every((text) => SET.test(text)) ? { isReader: true } : takesCode;
    // The name of a variable may have a subscript, and that a substitution.
    case 'test':
    case '[':
      return isLiteral && texts.some((text) => /^-[vR]$/.test(text))
        ? takesCode
        : evaluates(args, takesCode);
    case 'printf':
      return args.some((word, index) => (typeof word !== 'string' ? index === 0 : /^-v/.test(word)))
        ? takesCode
        : undefined;
    case 'wait':
      return texts.some((text) => /^-\w*p/.test(text)) ? takesCode : undefined;
    case 'command':
      return texts[0] === '-v' ? { isReader: true } : undefined;
    default:
      return undefined;
  }
}

const BINARY = /^(?:==?|!=|-(?:eq|ne|lt|le|gt|ge|nt|ot|ef))$/;

/** An operator that is not written out may be -v, with what follows as its operand. */
function evaluates(args: readonly ShellWord[], takesCode: Started): Started | undefined {
  const operator = args[1];
  if (typeof operator === 'string' && BINARY.test(operator) && args.length <= 4) {
    return undefined;
  }
  const isKnown = args.every((word, index) => {
    const before = args[index - 1];
    return (
      (typeof word === 'string' && !/^-[vR]$/.test(word)) ||
      (typeof word !== 'string' &&
        word.unknown === 'one' &&
        typeof before === 'string' &&
        /^-[a-hknoprstuwxzGLNOS]$/.test(before))
    );
  });
  return isKnown ? undefined : takesCode;
}
