/**
 * The only place that knows unbash, a parser that goes on after errors and gives what it has. Here
 * half a tree is none: an error anywhere in it, or a stretch of the text that no part of the tree
 * accounts for, and the text cannot be read.
 */

import type { ParsedScript, SyntaxNode } from 'unbash';
import { forEachChild, parse } from 'unbash';

export type { ParsedScript, SyntaxNode, WordPart } from 'unbash';

/** Characters: as many as Linux takes as the argument of a shell. */
const MAX_COMMAND_LENGTH = 128 * 1024;

/** @returns the reason, as part of a sentence, when it cannot be read. */
export function readBash(text: string): ParsedScript | string {
  if (text.length > MAX_COMMAND_LENGTH) {
    return 'it is too long';
  }
  // A shell reads up to NUL, its reader on; CR and the rest are invisible where they are shown.
  if (/[^\P{Cc}\t\n]/u.test(text)) {
    return 'it contains control characters';
  }
  if (!text.isWellFormed()) {
    return 'it is not Unicode';
  }
  // The end of the text is not the end of a line to every shell.
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) {
    return 'it ends with a backslash';
  }
  const script = parse(text);
  return hasErrors(script) ? 'it is not a complete POSIX shell command' : script;
}

function hasErrors(script: ParsedScript): boolean {
  return script.errors !== undefined && script.errors.length > 0;
}

/** Whether a script within another one is whole, and all of its text is in its tree. */
export function isWhole(script: ParsedScript, source: string): boolean {
  return !hasErrors(script) && restOf(script, script.source ?? source) === '';
}

/** What stands between words: operators, reserved words, comments. */
const BETWEEN =
  /\\\n|[ \t\n;&|(){}<>!]|<<-|-p|--|(?:if|then|elif|else|fi|for|in|while|until|do|done|case|esac|time|select|function|coproc)(?![A-Za-z0-9_])|#[^\n]*/g;

/** What is left of the text without words and what stands between them. */
function restOf(script: ParsedScript, source: string): string {
  const ranges: { readonly pos: number; readonly end: number }[] = [];
  collect(script, ranges);
  ranges.sort((a, b) => a.pos - b.pos);
  let at = script.pos;
  let rest = '';
  for (const { pos, end } of ranges) {
    rest += source.slice(at, pos).replaceAll(BETWEEN, '');
    at = Math.max(at, end);
  }
  return rest + source.slice(at, script.end).replaceAll(BETWEEN, '');
}

function collect(node: SyntaxNode, ranges: { pos: number; end: number }[]): void {
  switch (node.type) {
    case 'Word':
    case 'Assignment':
    case 'FileDescriptor':
    case 'FileDescriptorVariable':
    case 'HereDocDelimiter':
    case 'HereDocBody':
    case 'TestCommand':
    case 'ArithmeticCommand':
    case 'ArithmeticFor':
      ranges.push(node);
      return;
    case 'HereDoc':
      ranges.push(...(node.closing === undefined ? [] : [node.closing]));
      break;
    default:
  }
  forEachChild(node, (child) => {
    collect(child, ranges);
  });
}

/** Scripts anywhere below a node, in whatever part of a word; not those within these scripts. */
export function scriptsWithin(node: SyntaxNode): ParsedScript[] {
  const found: ParsedScript[] = [];
  forEachChild(node, (child) => {
    found.push(...(child.type === 'Script' ? [child] : scriptsWithin(child)));
  });
  return found;
}
