/** What a COPY … TO STDOUT copies, as SQL of its own. */
import type { CopyOptions, CopySource, ProtocolEffect } from './analysis-types.ts';

type CopyEffect = NonNullable<ProtocolEffect['copy']>;

/** @param text the whole text that was analysed. */
export function selectOfCopy(source: CopySource, text: string): string {
  if (source.type === 'query') return queryText(source, text);
  const columns = source.columns.map(quoted).join(', ');
  return `SELECT ${columns} FROM ONLY ${source.name.map(quoted).join('.')}`;
}

/**
 * The same COPY in the text format, with NULL spelt in another way.
 * @param text the whole text that was analysed.
 */
export function copyWithNull(
  copy: CopyEffect & { readonly options: CopyOptions; readonly source: CopySource },
  text: string,
  spelling: string,
): string {
  const { source, options } = copy;
  const what =
    source.type === 'query'
      ? `(${queryText(source, text)}\n)`
      : `${source.name.map(quoted).join('.')} (${source.columns.map(quoted).join(', ')})`;
  const header = options.header ? ', HEADER' : '';
  return `COPY ${what} TO STDOUT (FORMAT text, DELIMITER ${literal(options.delimiter)}, NULL ${literal(spelling)}${header})`;
}

/** The offsets count bytes of UTF-8. */
function queryText({ start, end }: CopySource & { type: 'query' }, text: string): string {
  return Buffer.from(text).subarray(start, end).toString();
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Means the same whatever standard_conforming_strings says. */
function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
