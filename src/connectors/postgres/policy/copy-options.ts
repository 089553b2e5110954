/**
 * Options of COPY … TO STDOUT, as the server reads them: what is not understood to the letter gives
 * nothing, and then data that has to be masked is not let out.
 * https://www.postgresql.org/docs/18/sql-copy.html
 */

import type { CopyOptions } from './analysis-types.ts';
import { as, is, type Node, stringOf } from './tree.ts';

/** What a delimiter of the text format must not be: it could stand in an escape or in NULL. */
const NO_TEXT_DELIMITER = /[\\.a-z0-9]/;
/** One byte in every encoding, and no end of a line. */
const ONE_BYTE = /^[\x01-\x09\x0b\x0c\x0e-\x7f]$/;

/** @returns undefined: an option is unknown, doubled, wrong, or not for COPY TO. */
export function copyOptions(nodes: readonly Node[] | undefined): CopyOptions | undefined {
  const given = new Map<string, Node | undefined>();
  for (const node of nodes ?? []) {
    const element = as(node, 'DefElem');
    const name = element?.defname;
    if (name === undefined || !KNOWN.has(name) || given.has(name)) return undefined;
    given.set(name, element?.arg);
  }
  const texts = new Map<string, string>();
  for (const name of TEXTS) {
    if (!given.has(name)) continue;
    const text = textOf(given.get(name));
    if (text === undefined) return undefined;
    texts.set(name, text);
  }
  const format = texts.get('format') ?? 'text';
  const header = given.has('header') ? booleanOf(given.get('header')) : false;
  const forceQuote = given.has('force_quote') ? columnsOf(given.get('force_quote')) : [];
  if (header === undefined || forceQuote === undefined) return undefined;
  if (format !== 'text' && format !== 'csv' && format !== 'binary') return undefined;
  const quote = texts.get('quote') ?? '"';
  const options: CopyOptions = {
    format,
    delimiter: texts.get('delimiter') ?? (format === 'csv' ? ',' : '\t'),
    null: texts.get('null') ?? (format === 'csv' ? '' : '\\N'),
    quote,
    escape: texts.get('escape') ?? quote,
    header,
    forceQuote,
    encoding: texts.get('encoding'),
  };
  return fits(options, given) ? options : undefined;
}

const TEXTS = ['format', 'delimiter', 'null', 'quote', 'escape', 'encoding'] as const;
const KNOWN: ReadonlySet<string> = new Set([...TEXTS, 'header', 'force_quote']);

/** Which options go together: ProcessCopyOptions in src/backend/commands/copy.c. */
function fits(options: CopyOptions, given: ReadonlyMap<string, unknown>): boolean {
  const { format, delimiter, quote, escape: escaping } = options;
  if (format === 'binary') {
    return !['delimiter', 'null', 'header', 'quote', 'escape', 'force_quote'].some((name) =>
      given.has(name),
    );
  }
  if (!ONE_BYTE.test(delimiter) || /[\r\n]/.test(options.null)) return false;
  if (options.null.includes(delimiter)) return false;
  if (format === 'text') {
    const isCsvOnly = ['quote', 'escape', 'force_quote'].some((name) => given.has(name));
    return !isCsvOnly && !NO_TEXT_DELIMITER.test(delimiter);
  }
  return (
    ONE_BYTE.test(quote) &&
    ONE_BYTE.test(escaping) &&
    quote !== delimiter &&
    !options.null.includes(quote)
  );
}

/** defGetString. */
function textOf(node: Node | undefined): string | undefined {
  const integer = as(node, 'Integer');
  return integer === undefined ? stringOf(node) : String(integer.ival ?? 0);
}

/** defGetCopyHeaderOption: `match` is for COPY FROM. */
function booleanOf(node: Node | undefined): boolean | undefined {
  if (node === undefined) return true;
  const integer = as(node, 'Integer');
  if (integer !== undefined) return [false, true][integer.ival ?? 0];
  const boolean = as(node, 'Boolean');
  const text = boolean === undefined ? stringOf(node) : String(boolean.boolval ?? false);
  const word = text?.toLowerCase();
  if (word === 'true' || word === 'on') return true;
  return word === 'false' || word === 'off' ? false : undefined;
}

function columnsOf(node: Node | undefined): CopyOptions['forceQuote'] | undefined {
  if (is(node, 'A_Star')) return 'all';
  const names = as(node, 'List')?.items?.map(stringOf) ?? [];
  const known = names.filter((name) => name !== undefined);
  return known.length === names.length && names.length > 0 ? known : undefined;
}
