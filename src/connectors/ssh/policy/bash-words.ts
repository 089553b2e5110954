/** One word of a command: its text where it is literal, and what is run to work it out. */
import {
  isWhole,
  type ParsedScript,
  type SyntaxNode,
  scriptsWithin,
  type WordPart,
} from './bash-syntax.ts';
import { plainText } from './plain-word.ts';
import type { ShellWord } from './shell-types.ts';

type Word = Extract<SyntaxNode, { type: 'Word' }>;

/** What a word leads to besides its text. */
export interface WordSink {
  readonly source: string;
  script(script: ParsedScript): void;
  unknown(reason: string): void;
}

export function readWord(word: Word, sink: WordSink): ShellWord {
  const parts = word.parts ?? [];
  readParts(word, parts, sink);
  const isLiteral = parts.every(isLiteralPart);
  const text = isLiteral ? plainText(word.text) : undefined;
  if (text !== undefined && text === word.value) {
    return text;
  }
  return { unknown: staysOne(word.text, parts) ? 'one' : 'many' };
}

/** Scripts in it are read as commands; what cannot be read is told. */
export function readParts(node: SyntaxNode, parts: readonly WordPart[], sink: WordSink): void {
  for (const reason of new Set(parts.flatMap(reasonOf))) {
    sink.unknown(reason);
  }
  for (const script of scriptsWithin(node)) {
    if (isWhole(script, sink.source)) {
      sink.script(script);
    } else {
      sink.unknown('a substitution in it is not complete');
    }
  }
}

function isLiteralPart(part: WordPart): boolean {
  return (
    part.type === 'Literal' ||
    part.type === 'SingleQuoted' ||
    part.type === 'AnsiCQuoted' ||
    (part.type === 'DoubleQuoted' && part.parts.every(({ type }) => type === 'Literal'))
  );
}

/** In double quotes, and no list; a tilde. */
function staysOne(text: string, parts: readonly WordPart[]): boolean {
  if (parts.length === 0) {
    return /^~[\w./-]*$/.test(text);
  }
  return parts.every(
    (part) =>
      isLiteralPart(part) ||
      (part.type === 'DoubleQuoted' && part.parts.every((child) => !isList(child))),
  );
}

function isList(part: WordPart): boolean {
  return part.type === 'SimpleExpansion'
    ? part.text === '$@'
    : part.type === 'ParameterExpansion' && part.text.includes('@');
}

/** What may run something that is in no script here, or that shells read in different ways. */
function reasonOf(part: WordPart): string[] {
  switch (part.type) {
    case 'Literal':
    case 'SingleQuoted':
    case 'SimpleExpansion':
      return [];
    case 'Glob':
    case 'BraceExpansion':
      return (part.parts ?? []).flatMap(reasonOf);
    case 'DoubleQuoted':
      return part.parts.flatMap((child) => [
        ...(hasQuotesWithin(child) ? [QUOTES_WITHIN] : []),
        ...reasonOf(child),
      ]);
    case 'AnsiCQuoted':
      // Where a shell does not know $'…', a quote behind a backslash ends it.
      return part.text.includes("\\'") ? ["a $'…' in it ends elsewhere for other shells"] : [];
    case 'CommandExpansion':
    case 'ProcessSubstitution':
      return part.script === undefined ? ['a substitution in it is not complete'] : [];
    case 'ParameterExpansion':
      return reasonOfParameter(part);
    case 'ArithmeticExpansion':
      // A variable in it is evaluated as an expression, and a subscript in that as a command.
      return /^\$\(\([-+*/%() 0-9]+\)\)$/.test(part.text) ? [] : ['it contains arithmetic'];
    case 'ExtendedGlob':
      // zsh runs what stands in parentheses behind a glob.
      return ['it contains a glob with parentheses'];
    case 'LocaleString':
      return ['a string in it is translated'];
  }
}

export const QUOTES_WITHIN = 'shells read the quotes in a variable of it in different ways';

/**
 * `"${x:-'$(rm)'}"`: between double quotes, and in a here-document, a single quote in a variable's
 * default stands for itself in bash, opens a text in the pattern of `#`, and dash has ideas of its own.
 */
export function hasQuotesWithin(part: WordPart): boolean {
  return part.type === 'ParameterExpansion' && /['"]/.test(part.text);
}

function reasonOfParameter({
  prefix,
  index,
  operation,
}: Extract<WordPart, { type: 'ParameterExpansion' }>): string[] {
  const isPlainIndex = index === undefined || /^(?:[0-9]+|[@*])$/.test(index.text);
  if (prefix === '!' || !isPlainIndex) {
    return ['it contains an indirect variable'];
  }
  switch (operation?.type) {
    case undefined:
      return [];
    case 'Default':
      return operation.operator.endsWith('=')
        ? ['it sets a variable during expansion']
        : (operation.operand.parts ?? []).flatMap(reasonOf);
    case 'Remove':
      return (operation.operand.parts ?? []).flatMap(reasonOf);
    case 'CaseModification':
      return (operation.operand?.parts ?? []).flatMap(reasonOf);
    case 'Replace':
      return [operation.pattern, operation.replacement].flatMap(({ parts = [] }) =>
        parts.flatMap(reasonOf),
      );
    case 'Slice':
      return [operation.offset, operation.length].every(
        (word) => word === undefined || /^ ?-?[0-9]+$/.test(word.text),
      )
        ? []
        : ['it contains arithmetic'];
    case 'Transform':
    case 'Names':
    case 'Unknown':
      return ['it transforms a variable'];
  }
}
