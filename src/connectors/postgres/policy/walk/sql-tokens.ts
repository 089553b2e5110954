/**
 * The tokens of a text by the rules of PostgreSQL's scanner, where nothing can be parsed: strings in
 * strings, bodies of functions, texts that are not whole. What has no end is a run of other characters.
 */

export interface SqlToken {
  readonly kind: 'space' | 'comment' | 'string' | 'dollar' | 'name' | 'word' | 'other';
  readonly text: string;
}

/** One token; the last kind is any other character. */
const TOKEN =
  /(?<space>\s+)|(?<comment>--[^\n]*)|(?<string>(?:[eE]'(?:[^'\\]|\\[\s\S]|'')*'|(?:[uU]&|[nNbBxX])?'(?:[^']|'')*'))|(?<dollar>\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?\$\k<tag>\$)|(?<name>(?:[uU]&)?"(?:[^"]|"")*")|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|[\s\S]/uy;
const KINDS = ['space', 'comment', 'string', 'dollar', 'name', 'word'] as const;

export function sqlTokens(text: string): readonly SqlToken[] {
  const tokens: SqlToken[] = [];
  for (let at = 0; at < text.length; at += tokens.at(-1)?.text.length ?? 1) {
    tokens.push(text.startsWith('/*', at) ? comment(text, at) : tokenAt(text, at));
  }
  return tokens;
}

/** @returns what a string or a body in dollars says; escapes stay as they are */
export function textInside({ kind, text }: SqlToken): string {
  if (kind === 'dollar') {
    const mark = text.indexOf('$', 1) + 1;
    return text.slice(mark, -mark);
  }
  return text.slice(text.indexOf("'") + 1, -1).replaceAll("''", "'");
}

function tokenAt(text: string, at: number): SqlToken {
  TOKEN.lastIndex = at;
  const found = TOKEN.exec(text);
  const kind = KINDS.find((one) => found?.groups?.[one] !== undefined) ?? 'other';
  return { kind, text: found?.[0] ?? text.charAt(at) };
}

/** Comments nest. */
function comment(text: string, start: number): SqlToken {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  let depth = 0;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return { kind: 'comment', text: text.slice(start, marks.lastIndex) };
  }
  return { kind: 'comment', text: text.slice(start) };
}
