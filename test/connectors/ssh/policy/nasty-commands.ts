/** Commands that cost most where they are read. 128 KiB is the longest that is read at all. */
const LENGTHS: readonly number[] = [1000, 16_000, 31_000, 120_000];

const repeated = (part: string, length: number): string =>
  part.repeat(Math.floor(length / part.length));

/** Each makes a text of about this length. */
const SHAPES: Readonly<Record<string, (length: number) => string>> = {
  commands: (length) => `true${repeated(';a', length)}`,
  words: (length) => `echo ${repeated('a ', length)}`,
  'quoted words': (length) => `echo ${repeated("'a' ", length)}`,
  substitutions: (length) => `echo ${repeated('$(a) ', length)}`,
  'substitutions within each other': (length) =>
    `echo ${repeated('$(a ', length / 2)}${repeated(')', length / 8)}`,
  backticks: (length) => `echo ${repeated('`a` ', length)}`,
  'redirections of one command': (length) => `true ${repeated('>b ', length)}`,
  pipelines: (length) => `true${repeated('|a', length)}`,
  blocks: (length) => repeated('if a; then b; fi;', length),
  branches: (length) => `case a in ${repeated('a) b;; ', length)} esac`,
  'documents within': (length) => repeated('cat <<E\nx\nE\n', length),
  variables: (length) => `echo "${repeated('$a ', length)}"`,
  braces: (length) => `echo ${repeated('{a,b}', length)}`,
  arithmetic: (length) => `echo ${repeated('$((1)) ', length)}`,
  'texts of sh': (length) => repeated("sh -c 'a';", length),
  backslashes: (length) => `echo ${repeated('\\a', length)}`,
};

export function nastyCommands(): readonly { readonly name: string; readonly command: string }[] {
  return Object.entries(SHAPES).flatMap(([name, make]) =>
    LENGTHS.map((length) => ({ name: `${name}, ${length} characters`, command: make(length) })),
  );
}
