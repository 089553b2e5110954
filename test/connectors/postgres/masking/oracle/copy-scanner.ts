/** From the options of a COPY TO STDOUT to what reads its bytes. */
import { BinaryScanner } from './copy-binary.ts';
import { CsvScanner } from './copy-csv.ts';
import type { CopyScanner } from './copy-format.ts';
import { TextScanner } from './copy-text.ts';

export interface CopyScannerOptions {
  readonly format: 'text' | 'csv' | 'binary';
  readonly columns: number;
  /** One byte each. */
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly serverNull: Uint8Array;
  readonly clientNull: Uint8Array;
  readonly hasHeader: boolean;
  /** By column. */
  readonly forceQuote: readonly boolean[];
}

export function createCopyScanner(options: CopyScannerOptions): CopyScanner {
  const { format, columns, serverNull, clientNull, hasHeader, forceQuote } = options;
  if (format === 'binary') return new BinaryScanner(columns);
  const delimiter = options.delimiter.charCodeAt(0);
  const lines = { columns, delimiter, serverNull, clientNull, hasHeader };
  if (format === 'text') return new TextScanner(lines);
  const quote = options.quote.charCodeAt(0);
  const escapeByte = options.escape.charCodeAt(0);
  return new CsvScanner({ ...lines, quote, escapeByte, forceQuote });
}
