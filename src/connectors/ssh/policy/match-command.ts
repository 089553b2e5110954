/**
 * Patterns of rules against the words of one command. An allow rule has to be certain of every
 * word; a deny or approve rule is asked whether it may be meant, in whatever way it is written.
 */
import type { ShellWord } from './shell-types.ts';

/** Folders that only root writes to, where a program may stand when it is named with its folder. */
const SYSTEM_FOLDERS = [
  '/bin',
  '/sbin',
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/bin',
  '/usr/local/sbin',
];

/** Whether the command is certain to be what the pattern says. */
export function commandFits(pattern: readonly string[], words: readonly ShellWord[]): boolean {
  const open = pattern.at(-1) === '**';
  const fixed = open ? pattern.slice(0, -1) : pattern;
  if (open ? words.length < Math.max(fixed.length, 1) : words.length !== fixed.length) {
    return false;
  }
  return fixed.every((wanted, index) => {
    const word = words[index];
    return (
      typeof word === 'string' && (index === 0 ? programFits(wanted, word) : wordFits(wanted, word))
    );
  });
}

function programFits(wanted: string, word: string): boolean {
  if (wanted === '*') {
    return true;
  }
  const name = literal(wanted);
  return (
    word === name ||
    (!name.includes('/') && SYSTEM_FOLDERS.some((folder) => word === `${folder}/${name}`))
  );
}

/**
 * A star alone is a word, and no option; within a word it does not go across a slash, two of them
 * do, and no wildcard goes up with `..`.
 */
function wordFits(wanted: string, word: string): boolean {
  if (wanted === '*') {
    return !word.startsWith('-');
  }
  const parts = partsOf(wanted);
  if (parts.every((part) => typeof part === 'string')) {
    return parts.join('') === word;
  }
  const [first] = parts;
  const goesUp = word.split('/').includes('..') || word.includes('=../');
  return !goesUp && !(typeof first !== 'string' && word.startsWith('-')) && partsFit(parts, word);
}

/** Whether a star is in the word, so that more than one text fits. */
export function isOpen(wanted: string): boolean {
  return partsOf(wanted).some((part) => typeof part !== 'string');
}

type Part = string | { readonly across: boolean };

/** A pattern word in single characters and stars. */
function partsOf(wanted: string): Part[] {
  return (wanted.match(/\\.|\*+|[^\\*]/gsu) ?? []).map((part) =>
    part.startsWith('\\')
      ? part.slice(1)
      : part.startsWith('*')
        ? { across: part.length > 1 }
        : part,
  );
}

function literal(wanted: string): string {
  return wanted.replaceAll(/\\(.)/gsu, '$1');
}

/** All places of the pattern at which one can be after each character: never goes back. */
function partsFit(parts: readonly Part[], word: string): boolean {
  let places = behindStars(parts, new Set([0]));
  for (const character of word) {
    const next = new Set<number>();
    for (const place of places) {
      const part = parts[place];
      if (part === character) {
        next.add(place + 1);
      } else if (typeof part === 'object' && (part.across || character !== '/')) {
        next.add(place);
      }
    }
    if (next.size === 0) {
      return false;
    }
    places = behindStars(parts, next);
  }
  return places.has(parts.length);
}

function behindStars(parts: readonly Part[], places: Set<number>): Set<number> {
  for (const place of places) {
    if (typeof parts[place] === 'object') {
      places.add(place + 1);
    }
  }
  return places;
}

/** How sure it is that a command is what a pattern speaks of. */
export const NO = 0;
export const MAYBE = 1;
export const YES = 2;
export type Certainty = typeof NO | typeof MAYBE | typeof YES;

/**
 * Options may stand between the words of the pattern (`git -C /srv push` is `git push`), programs
 * are the same in every folder, case does not matter (it does not to some servers), and what is
 * not known may be anything.
 */
export function commandMayFit(pattern: readonly string[], words: readonly ShellWord[]): Certainty {
  const open = pattern.at(-1) === '**';
  const fixed = open ? pattern.slice(0, -1) : pattern;
  const [wanted] = fixed;
  const [program] = words;
  if (
    wanted !== undefined &&
    typeof program === 'string' &&
    programMayFit(wanted, program) === NO
  ) {
    return NO;
  }
  // row[j]: how sure it is that the words up to j fit the pattern up to its word i. Forward, so that
  // what does not begin as the pattern does costs nothing, however long it is.
  let row = new Uint8Array(words.length + 1);
  row[0] = YES;
  let best: Certainty = NO;
  for (let i = 0; i <= fixed.length; i += 1) {
    const next = new Uint8Array(words.length + 1);
    let isReached = false;
    for (let j = 0; j <= words.length; j += 1) {
      const sure = certainty(row[j]);
      if (sure === NO) {
        continue;
      }
      const word = words[j];
      if (i === fixed.length && (open || word === undefined)) {
        best = most(best, sure);
      } else if (word !== undefined) {
        isReached = step({ wanted: fixed[i], word, i, j, sure, row, next }) || isReached;
      }
    }
    if (!isReached) {
      break;
    }
    row = next;
  }
  return best;
}

/** @returns whether the next word of the pattern is reached */
function step(at: {
  readonly wanted: string | undefined;
  readonly word: ShellWord;
  readonly i: number;
  readonly j: number;
  readonly sure: Certainty;
  /** Of this word of the pattern, and of the next one. */
  readonly row: Uint8Array;
  readonly next: Uint8Array;
}): boolean {
  const { wanted, word, i, j, sure, row, next } = at;
  const isMany = typeof word !== 'string' && word.unknown === 'many';
  if (isMany) {
    reach(row, j + 1, least(MAYBE, sure));
  } else if (typeof word === 'string' && i > 0 && word.length > 1 && word.startsWith('-')) {
    reach(row, j + 1, sure);
    reach(row, j + 2, sure);
  }
  if (wanted === undefined) {
    return false;
  }
  const fits = least(i === 0 ? programMayFit(wanted, word) : wordMayFit(wanted, word), sure);
  reach(next, j + 1, fits);
  if (isMany) {
    reach(next, j, least(MAYBE, sure));
  }
  return isMany || fits !== NO;
}

/** Behind the last word is nothing: it is not kept. */
function reach(row: Uint8Array, j: number, sure: Certainty): void {
  row[j] = most(certainty(row[j]), sure);
}

function certainty(value: number | undefined): Certainty {
  return value === YES ? YES : value === MAYBE ? MAYBE : NO;
}

function most(a: Certainty, b: Certainty): Certainty {
  return a > b ? a : b;
}

function least(a: Certainty, b: Certainty): Certainty {
  return a < b ? a : b;
}

function programMayFit(wanted: string, word: ShellWord): Certainty {
  if (typeof word !== 'string') {
    return MAYBE;
  }
  return wanted === '*' || baseName(literal(wanted)) === baseName(word) ? YES : NO;
}

export function baseName(program: string): string {
  return program.slice(program.lastIndexOf('/') + 1).toLowerCase();
}

function wordMayFit(wanted: string, word: ShellWord): Certainty {
  if (typeof word !== 'string') {
    return wanted === '*' && word.unknown === 'one' ? YES : MAYBE;
  }
  const parts = partsOf(wanted.toLowerCase()).map((part) =>
    typeof part === 'string' ? part : { across: true },
  );
  return partsFit(parts, word.toLowerCase()) ? YES : NO;
}
