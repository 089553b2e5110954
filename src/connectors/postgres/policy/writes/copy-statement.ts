/** COPY: relations and queries, in and out. */

import type { CopyOptions } from '../facts/analysis-types.ts';
import { constant, derive, type NamedLineage } from '../facts/lineage.ts';
import type { Scope, Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, stringOf } from '../parse/tree.ts';
import { expressions } from '../walk/expressions.ts';
import { namedRelation } from '../walk/from-items.ts';
import { type Effect, innerQuery, result, type StatementResult } from '../walk/statements.ts';
import { insert } from './changes.ts';

export function copy(facts: StatementFacts, fields: FieldsOf<'CopyStmt'>): StatementResult {
  const direction = fields.is_from ? 'in' : 'out';
  facts.verb(fields.is_from ? 'insert' : 'select');
  if (fields.filename !== undefined || fields.is_program) {
    const way = fields.is_from ? 'FROM' : 'TO';
    facts.serverAccess.add(`COPY … ${way} ${fields.is_program ? 'PROGRAM' : 'a server file'}`);
  }
  const format = copyFormat(fields.options);
  const options = fields.is_from ? undefined : copyOptions(fields.options);
  const copy = { direction, format, ...(options && { options }) } as const;
  const protocol: Effect = { copy };
  if (fields.query) {
    facts.mayLookUp = true;
    return result('copy', innerQuery(facts, fields.query, undefined).columns, protocol);
  }
  const names = (fields.attlist ?? []).flatMap((node) => stringOf(node) ?? []);
  if (fields.is_from) {
    facts.countIsInTag = true;
    copyIn(facts, fields, names);
    return result('copy', undefined, protocol);
  }
  const table = fields.relation && namedRelation(facts, fields.relation);
  const columns = table && copiedColumns(facts, table, names);
  for (const column of columns ?? []) {
    facts.noteRead(column.lineage);
  }
  if (!table?.relation || !columns) {
    return result('copy', columns ?? [], protocol);
  }
  const { schemaname, relname = '' } = fields.relation ?? {};
  const source = {
    type: 'table',
    name: schemaname === undefined ? [relname] : [schemaname, relname],
    columns: columns.map(({ name }) => name),
    oid: table.relation.oid,
  } as const;
  return result('copy', columns, { copy: { ...copy, source } });
}

/** Without a list a COPY leaves generated columns out. */
function copiedColumns(
  facts: StatementFacts,
  { columns: all, relation }: Table,
  names: readonly string[],
): readonly NamedLineage[] {
  if (names.length === 0) {
    const generated = new Set(
      relation?.columns.flatMap(({ name, generatedFrom, dropped }) =>
        generatedFrom === undefined || dropped ? [] : [name],
      ),
    );
    return all.filter(({ name }) => !generated.has(name));
  }
  return names.map((name) => {
    const found = all.find((column) => column.name === name);
    if (!found) {
      facts.refuse(`column ${name} is not known`, { missing: name });
    }
    return found ?? { name, lineage: constant() };
  });
}

/** COPY … FROM as the INSERT that it is: same target rules, same triggers. */
function copyIn(
  facts: StatementFacts,
  fields: FieldsOf<'CopyStmt'>,
  names: readonly string[],
): void {
  insert(
    facts,
    {
      ...(fields.relation ? { relation: fields.relation } : {}),
      cols: names.map((name) => ({ ResTarget: { name } })),
    },
    undefined,
  );
  if (fields.whereClause && fields.relation) {
    const table = namedRelation(facts, fields.relation);
    const scope: Scope = {
      tables: table ? [table] : [],
      columns: table?.columns ?? [],
      outer: undefined,
    };
    facts.noteComputed(derive(expressions(facts, [fields.whereClause], scope)), 'WHERE');
  }
}

function copyFormat(options: readonly Node[] | undefined): 'text' | 'csv' | 'binary' {
  const formats = (options ?? []).flatMap((option) => {
    const element = as(option, 'DefElem');
    return element?.defname === 'format' ? (stringOf(element.arg) ?? '') : [];
  });
  const format = formats.at(-1)?.toLowerCase();
  return format === 'csv' || format === 'binary' ? format : 'text';
}

// Options of COPY … TO STDOUT, as the server reads them: what is not understood to the letter gives
// nothing, and then data that has to be masked is not let out.
// https://www.postgresql.org/docs/18/sql-copy.html

/** What a delimiter of the text format must not be: it could stand in an escape or in NULL. */
const NO_TEXT_DELIMITER = /[\\.a-z0-9]/;
/** One byte in every encoding, and no end of a line. */
const ONE_BYTE = /^[\x01-\x09\x0b\x0c\x0e-\x7f]$/;

/** @returns undefined: an option is unknown, doubled, wrong, or not for COPY TO. */
function copyOptions(nodes: readonly Node[] | undefined): CopyOptions | undefined {
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
