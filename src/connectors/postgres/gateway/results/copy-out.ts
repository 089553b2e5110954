/**
 * COPY … TO STDOUT whose data must be read: masked, searched, counted. CopyOutResponse names neither
 * tables nor types, so what is copied has been described before (copy-confirmer.ts).
 */

import type { Grant } from '../../../../policy/types.ts';
import { ColumnMasker } from '../../masking/column-masker.ts';
import { CopyRewriter } from '../../masking/copy-rewriter.ts';
import { type CopyScannerOptions, createCopyScanner } from '../../masking/copy-scanner.ts';
import type { CopyOptions } from '../../policy/facts/analysis-types.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import type { CopyResponse, FieldDescription } from '../../protocol/backend-messages.ts';
import { BACKEND } from '../../protocol/message-types.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';
import type { KnownStatement } from '../statements/known-statement.ts';
import type { Run } from '../statements/run.ts';
import { tooLargeToRead } from '../wire/too-large.ts';
import { changedCopy } from './copy-refusals.ts';
import { columnMaskerOptions, needsDescription } from './results.ts';

/** What the target has said of the columns of a COPY that is about to run. */
export interface ConfirmedCopy {
  readonly fields: readonly FieldDescription[];
  /** How the server was told to spell NULL, where that is not what the client asked for. */
  readonly serverNull: string | undefined;
}

export function copiesOut({ allowed }: KnownStatement): boolean {
  const analysis = allowed?.analysis;
  return analysis?.protocol.copy?.direction === 'out' && analysis.serverAccess.length === 0;
}

/** Whether what it copies must be described before it runs. */
export function needsConfirmation(statement: KnownStatement, grant: Grant): boolean {
  return copiesOut(statement) && needsDescription(statement, grant);
}

/** Whether its data must be read. */
export function needsReading(statement: KnownStatement, grant: Grant): boolean {
  const isCounted = statement.basis !== undefined && grant.limits.maxRows !== undefined;
  return copiesOut(statement) && (isCounted || needsDescription(statement, grant));
}

export interface BegunCopy {
  readonly run: Run;
  readonly response: CopyResponse;
  readonly grant: Grant;
  readonly hashKey: Uint8Array;
  readonly codec: TextCodec;
  readonly encoding: string;
  /** Rows that may go on; Infinity: all. */
  readonly maxRows: number;
  readonly maxRowBytes: number;
}

/** CopyOutResponse has come: decides what happens to the data. @returns why none of it may pass. */
export function beginCopy(begun: BegunCopy): SqlRefusal | undefined {
  const { run, response, grant, codec } = begun;
  const { allowed, basis } = run.statement;
  const options = allowed?.analysis.protocol.copy?.options;
  const columns = response.columnFormats.length;
  const fields = run.confirmed?.fields;
  if (fields === undefined && needsDescription(run.statement, grant)) {
    return changedCopy('What it copies was not described.');
  }
  if (fields !== undefined && fields.length !== columns) {
    return changedCopy(`It has ${columns} columns and ${fields.length} were expected.`);
  }
  const masking =
    allowed && basis && fields
      ? columnMaskerOptions(
          { ...begun, fields, formats: response.columnFormats },
          allowed,
          basis.catalog,
        )
      : undefined;
  const maskerOptions = masking ?? idle(columns, codec);
  const masker = new ColumnMasker(maskerOptions);
  if (masker.isIdle && run.maxRows === Number.POSITIVE_INFINITY) {
    run.rowsAre = 'pass';
    return undefined;
  }
  if (options === undefined || (options.format === 'binary') !== (response.format === 1)) {
    return changedCopy('It is not in the expected format.');
  }
  const names = allowed?.analysis.outputs?.map(({ name }) => name) ?? [];
  const { maxRowBytes } = begun;
  const { format, delimiter, quote } = options;
  const copy: CopyScannerOptions = {
    ...{ format, delimiter, quote, escape: options.escape, columns },
    clientNull: codec.encode(options.null),
    serverNull: codec.encode(run.confirmed?.serverNull ?? options.null),
    hasHeader: options.header,
    forceQuote: forcedQuotes(options, names),
  };
  run.masking = { options: maskerOptions, encoding: begun.encoding, copy };
  run.copy = new CopyRewriter({
    scanner: createCopyScanner(copy),
    masker,
    maxRows: begun.maxRows,
    maxRowBytes,
    tooLarge: (rowBytes) => tooLargeToRead(BACKEND.CopyData, rowBytes, maxRowBytes),
  });
  run.rowsAre = 'mask';
  return undefined;
}

function idle(columns: number, codec: TextCodec): ConstructorParameters<typeof ColumnMasker>[0] {
  return {
    columns: Array.from({ length: columns }, () => ({
      typeOid: 0,
      format: 0,
      mask: undefined,
      derived: false,
    })),
    detectors: new Set(),
    hashKey: new Uint8Array(0),
    isText: () => false,
    decode: (bytes) => codec.decode(bytes),
    isUtf8: false,
  };
}

function forcedQuotes({ forceQuote }: CopyOptions, names: readonly string[]): readonly boolean[] {
  return names.map((name) => forceQuote === 'all' || forceQuote.includes(name));
}

/** Of `COPY 42`: rows that were not read are counted by the server. */
export function rowsOfTag(tag: string): number {
  return Number(/^COPY (\d+)$/.exec(tag)?.[1] ?? 0);
}
