/** One change of a file that runs by itself later, for the person who decides about it. */
import { join } from 'node:path';
import { entriesOf } from '../run/fence/entries-of.ts';
import { type FileState, readState } from '../run/later/file-state.ts';
import type { Change } from '../run/later/later-changes.ts';
import { lineDiff } from './text/line-diff.ts';
import { plain } from './text/printable.ts';
import type { Style } from './text/style.ts';

const MAX_LINES = 24;
const MAX_CHARACTERS = 400;
const MAX_LINK = 200;

/** What was done, in a word or a few. */
export function changeWords({ before, after, isRepository }: Change): string {
  if (isRepository) return 'a new repository';
  if (after.kind === 'absent') return 'removed';
  if (before?.kind === 'absent' && isDirectory(after)) return 'a new directory';
  const now = after.kind === 'link' ? `a link to ${after.to.slice(0, MAX_LINK)}` : '';
  if (before?.kind === 'absent') return now === '' ? 'new' : `new: ${now}`;
  if (now !== '') return `now ${now}`;
  if (after.kind === 'other') return isDirectory(after) ? 'now a directory' : 'unreadable now';
  if (before === undefined) return 'written';
  if (before.kind !== 'file' || after.kind !== 'file') return 'changed';
  const changed = before.sha256 === after.sha256 ? [] : ['changed'];
  const mode =
    before.mode === after.mode ? [] : [`mode ${octal(before.mode)}, now ${octal(after.mode)}`];
  return [...changed, ...mode].join('; ');
}

/** The first lines of what is different. @param isAll without a bound */
export function changeLines(change: Change, style: Style, isAll = false): readonly string[] {
  const { path, isRepository } = change;
  // Of a repository its settings: git runs what they name.
  const is =
    isRepository && change.after.kind === 'other' ? readState(join(path, 'config')) : change.after;
  const isListed = !isRepository && isDirectory(change.after);
  const [before, after] = [textOf(change.before), isListed ? namesIn(path) : textOf(is)];
  if (before === undefined || after === undefined) {
    return [style.dim('  (not text, or too long to show)')];
  }
  const lines = lineDiff(before, after).map((line) => {
    if (line === undefined) return style.dim('  …');
    const whole = plain(line.text.replaceAll('\t', '    '));
    const text = `${line.sign} ${isAll ? whole : shortened(whole)}`;
    const paint = line.sign === '+' ? style.green : line.sign === '-' ? style.red : style.dim;
    return `  ${paint(text)}`;
  });
  if (isAll || lines.length <= MAX_LINES) return lines;
  return [
    ...lines.slice(0, MAX_LINES),
    style.dim(`  … ${lines.length - MAX_LINES} more lines (s shows them)`),
  ];
}

function isDirectory(state: FileState): boolean {
  return state.kind === 'other' && state.what === 'directory';
}

/** What is in a directory that is told as a whole. */
function namesIn(path: string): string {
  return entriesOf(path)
    .map((entry) => `${JSON.stringify(entry.name).slice(1, -1)}${entry.isDirectory() ? '/' : ''}\n`)
    .sort()
    .join('');
}

function textOf(state: FileState | undefined): string | undefined {
  if (state === undefined || state.kind === 'absent' || state.kind === 'other') return '';
  if (state.kind === 'link') return '';
  if (state.content === undefined) return undefined;
  const bytes = Buffer.from(state.content, 'base64');
  return bytes.includes(0) ? undefined : bytes.toString('utf8');
}

function shortened(text: string): string {
  const more = text.length - MAX_CHARACTERS;
  return more <= 0
    ? text
    : `${text.slice(0, MAX_CHARACTERS)} … (${more} more characters, s shows them)`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0');
}
