/**
 * A second reader of words, for those in which nothing is to be worked out. What the parser takes
 * for literal has to be the same text here, or it is not known.
 */

/** Quoting that means what it says to bash, and to dash and busybox, too. */
const ANSI_C = /^\$'((?:[^\\'\u0080-\uffff]|\\(?:[abefnrtv\\"?]|x[0-7][0-9a-f]))*)'/i;
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Expanded, an operator, a reserved character, or something that one cannot see. */
const SPECIAL = /[$`*?[\](){}<>|&; \t\n]|[\p{Z}\p{C}]/u;

/** @returns undefined: it is not literal, or not to every shell. */
export function plainText(text: string): string | undefined {
  // Braces that stand for nothing but themselves: those of `find -exec`.
  if (text === '[' || text === ']' || text === '{}') {
    return text;
  }
  // zsh looks up `=ls`; bash expands a tilde behind = and : of what looks like an assignment.
  if (/^(?:[#~]|=(?!=?$))/.test(text) || /[=:]~/.test(text)) {
    return undefined;
  }
  let plain = '';
  let rest = text;
  while (rest !== '') {
    const [run = ''] = /^[A-Za-z0-9_@%+,./:=^!-]*/.exec(rest) ?? [];
    plain += run;
    rest = rest.slice(run.length);
    if (rest === '') {
      break;
    }
    const quoted =
      /^'([^']*)'/.exec(rest) ?? /^"((?:[^"\\$`]|\\[\s\S])*)"/.exec(rest) ?? ANSI_C.exec(rest);
    const [whole, inside = ''] = quoted ?? [];
    if (whole === undefined) {
      const [part, character = ''] = /^\\?([\s\S])/u.exec(rest) ?? [];
      const isEscaped = part !== undefined && part !== character && part.startsWith('\\');
      if (
        part === undefined ||
        character === '\n' ||
        (!isEscaped && (SPECIAL.test(character) || part === '\\'))
      ) {
        return undefined;
      }
      if (!isEscaped && (character === "'" || character === '"')) {
        return undefined;
      }
      plain += character;
      rest = rest.slice(part.length);
    } else {
      plain += whole.startsWith("'")
        ? inside
        : whole.startsWith('"')
          ? inside.replaceAll(/\\([$`"\\\n])/g, (_, one: string) => (one === '\n' ? '' : one))
          : inside.replaceAll(/\\(x[0-9a-f]{2}|.)/gi, (_, one: string) => decoded(one));
      rest = rest.slice(whole.length);
    }
  }
  return plain.includes('\0') ? undefined : plain;
}

function decoded(one: string): string {
  return one.length > 1
    ? String.fromCharCode(Number.parseInt(one.slice(1), 16))
    : (ESCAPES[one] ?? one);
}
