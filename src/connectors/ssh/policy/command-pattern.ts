/** Patterns of commands as they stand in a rule, to words (`CommandPattern`). */

const MAX_WORDS = 100;

/**
 * Words are parted by spaces. Quotes, single or double, keep what is in them together, and make a
 * star in them one of the text.
 *
 * @returns what is wrong with it, as text.
 */
export function commandPattern(text: string): readonly string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const character of text) {
    if (/[\p{C}\u2028\u2029]/u.test(character)) {
      return 'expected one line of printable text';
    }
    if (character === quote) {
      quote = undefined;
    } else if (quote !== undefined) {
      word = (word ?? '') + (/[*\\]/.test(character) ? `\\${character}` : character);
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= '';
    } else if (character === ' ') {
      words.push(...(word === undefined ? [] : [word]));
      word = undefined;
    } else if (/[;&|<>()`$\\{}?[\]~#!]/.test(character)) {
      return `"${character}" stands for itself only in quotes; a pattern is the words of one command`;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined) {
    return 'a quote is not closed';
  }
  words.push(...(word === undefined ? [] : [word]));
  return wordsProblem(words) ?? words;
}

function wordsProblem(words: readonly string[]): string | undefined {
  if (words.length === 0 || words.length > MAX_WORDS) {
    return 'expected the words of a command, such as "journalctl **"';
  }
  if (words.slice(0, -1).includes('**')) {
    return '"**" stands for the rest of the words, so only at the end';
  }
  const [program = ''] = words;
  if (program !== '**' && program !== '*' && program.replaceAll(/\\./g, '').includes('*')) {
    return 'a program is written out; a star can stand for any, or for what follows';
  }
  return undefined;
}
