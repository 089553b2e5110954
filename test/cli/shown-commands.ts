/** Commands of hoop that the sources show to people, as a person would type them. */
import { globSync, readFileSync } from 'node:fs';

export interface ShownCommand {
  /** Where it is, and the words before it. */
  readonly place: string;
  readonly before: string;
  /** The words after `hoop`. */
  readonly words: readonly string[];
}

/** Plausible values for words in capitals; any other such word is a name. */
const VALUES: Readonly<Record<string, string>> = {
  TIME: '1h',
  URL: 'https://gateway.example',
  PROGRAM: 'psql',
};

const COMMENT = /^\s*(?:\/\/|\/?\*).*$/gm;
/** In backticks, after a colon, or on a line of examples. */
const SHOWN = [
  /(?<before>[^\n]*?)\\?`hoop (?<typed>(?:\$\{[^}]*\}|[^`\\\n])*)\\?`/g,
  /(?<before>[^\n]*): hoop (?<typed>(?:\$\{[^}]*\}|[^`'.,;\n])*)/g,
  /^(?<before>) {2,}(?:id=\$\()?hoop (?<typed>[^\n`]*)/gm,
];
const CHOICE = /\$\{[^{}?]+\? '([^']*)' : '([^']*)'\}/;

/** @param names of commands: after a colon, `hoop` and any other word begin a sentence */
export function shownCommands(names: ReadonlySet<string>): ShownCommand[] {
  return globSync('src/**/*.ts')
    .toSorted()
    .flatMap((file) => {
      const source = readFileSync(file, 'utf8').replace(COMMENT, '');
      return SHOWN.flatMap((pattern) => [...source.matchAll(pattern)])
        .filter(({ 0: whole, groups }) => isShown(whole, groups?.['before'] ?? '', names))
        .flatMap(({ groups }) =>
          choices(groups?.['typed'] ?? '').map((typed) => ({
            place: `${file}: hoop ${typed}`,
            before: groups?.['before'] ?? '',
            words: wordsOf(typed),
          })),
        );
    });
}

/** Leaves out sentences that are a template of their own: `hoop connects to …`. */
function isShown(whole: string, before: string, names: ReadonlySet<string>): boolean {
  const rest = whole.slice(before.length);
  if (rest.startsWith(': ')) return names.has(/^: hoop ([\w-]+)/.exec(rest)?.[1] ?? '');
  const isSentence = rest.startsWith('`') && !/['"`]/.test(before);
  return !isSentence && !/^\\?`hoop \$\{/.test(rest);
}

/** Both texts of `${live ? ' --live' : ''}`. */
function choices(typed: string): string[] {
  const [whole, one, other] = CHOICE.exec(typed) ?? [];
  if (whole === undefined) return [typed];
  return [one, other].flatMap((text) => choices(typed.replace(whole, text ?? '')));
}

/** Up to a comment, a pipe, a redirection or the end of the line. */
function wordsOf(typed: string): string[] {
  const one = typed
    .replaceAll(/\$\{[^}]*\}|\$\([^)]*\)/g, 'some')
    .replace(/(?:\s#|\s[|<>&]|\)$|\s{2,}|\s\\).*$/, '');
  return [...one.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare = '']) =>
      double ?? single ?? (/^[A-Z]{2,}$/.test(bare) ? (VALUES[bare] ?? 'name') : bare),
  );
}
