/**
 * From the description of a result to what is done to its rows. The lineage of the verdict and the
 * target's RowDescription are two accounts of the same columns; where they disagree (DDL by others
 * a moment ago, or a fault of ours) no row may pass.
 */

import type { DetectorName, Grant, MaskKind } from '../../../../policy/types.ts';
import type { ColumnMaskerOptions, ResultColumn } from '../../masking/column-masker.ts';
import { RowMasker } from '../../masking/row-masker.ts';
import type { OutputColumn } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import { isPlainList, isPlainValue } from '../../policy/facts/secret-settings.ts';
import { isStatementText } from '../../policy/facts/system-relations.ts';
import type { AllowedStatement, OutputMask, SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import type { FieldDescription } from '../../protocol/backend-messages.ts';
import { BINARY_FORMAT, formatOf, TEXT_FORMAT } from '../../protocol/format-code.ts';
import { type TextCodec, UTF8 } from '../../protocol/text-codec.ts';
import type { KnownStatement } from '../statements/known-statement.ts';
import type { Run } from '../statements/run.ts';

/** Relations whose columns are defined by a query: their OID in a description proves nothing. */
const QUERY_KINDS = new Set(['v', 'm']);

/** `SELECT t FROM t`: the table's OID, and this for a column. */
const WHOLE_ROW = 0;

/** Whether rows of this statement may go on only after their description has come. */
export function needsDescription(statement: KnownStatement, grant: Grant): boolean {
  return mustAgree(statement, grant) || observes(statement.allowed);
}

/**
 * Whether what goes out is searched for what only counts. Not COPY: its data would have to be read, and
 * what is read may be refused.
 */
export function observes(allowed: AllowedStatement | undefined): boolean {
  if (allowed?.observed === undefined || allowed.analysis.protocol.copy !== undefined) return false;
  return allowed.analysis.outputs !== undefined;
}

/** Whether it may go on only where that is what was expected: masks or detectors are in reach. */
function mustAgree(statement: KnownStatement, grant: Grant): boolean {
  const { allowed, basis } = statement;
  if (basis === undefined) return false;
  if (allowed === undefined || grant.masks.length > 0 || allowed.detectors.length > 0) return true;
  return allowed.masks?.some((mask) => mask !== undefined) === true;
}

export interface DescribedResult {
  readonly run: Run;
  readonly grant: Grant;
  readonly fields: readonly FieldDescription[];
  /** Of Bind; undefined: the formats are in `fields`. */
  readonly formats: readonly number[] | undefined;
  readonly hashKey: Uint8Array;
  readonly codec: TextCodec;
  /** The client_encoding that the codec is for. */
  readonly encoding: string;
}

/** Decides what happens to the rows of `run`. @returns the refusal where they must not pass. */
export function describeResult(result: DescribedResult): SqlRefusal | undefined {
  const { run, fields, grant } = result;
  const { allowed, basis } = run.statement;
  if (basis === undefined) {
    run.rowsAre = 'pass';
    return undefined;
  }
  if (allowed === undefined) return mismatch('hoop took the text for an empty one.');
  const { statement } = run;
  if (statement.shape !== fields || !statement.shapeIsChecked) {
    const disagreement = disagreementOf(allowed, fields, basis.catalog);
    if (disagreement !== undefined && mustAgree(statement, grant)) return mismatch(disagreement);
    statement.shape = fields;
    statement.shapeIsChecked = disagreement === undefined;
  }
  const masking = columnMaskerOptions(result, allowed, basis.catalog);
  const masker = masking === undefined ? undefined : new RowMasker(masking);
  run.masker = masker?.isIdle === false ? masker : undefined;
  run.masking = masking && { options: masking, encoding: result.encoding };
  run.rowsAre = run.masker === undefined ? 'pass' : 'mask';
  return undefined;
}

/** Whether the target describes the columns that the verdict rests on. @returns where it does not. */
export function disagreementOf(
  allowed: AllowedStatement,
  fields: readonly FieldDescription[],
  catalog: Catalog,
): string | undefined {
  const outputs = allowed.analysis.outputs;
  const expected = allowed.masks?.length ?? outputs?.length;
  if (expected === undefined)
    return 'The statement returns columns, but hoop took it for one that does not.';
  if (fields.length !== expected || (outputs !== undefined && outputs.length !== expected)) {
    return `The result has ${fields.length} columns and ${expected} were expected.`;
  }
  for (const [index, field] of fields.entries()) {
    const output = outputs?.[index];
    if (output === undefined || field.tableOid === 0) continue;
    if (!comesFrom(output, field, catalog)) {
      return `Column ${index + 1} of the result comes from an unexpected table column.`;
    }
  }
  return undefined;
}

function comesFrom(output: OutputColumn, field: FieldDescription, catalog: Catalog): boolean {
  const relation = catalog.relationByOid(field.tableOid);
  if (QUERY_KINDS.has(relation?.kind ?? '')) return true;
  const hasColumn = (column: number): boolean =>
    output.sources.some(({ oid, attnum }) => oid === field.tableOid && attnum === column);
  if (field.columnNumber !== WHOLE_ROW) return hasColumn(field.columnNumber);
  // All columns of a row are computed into one value, so all of them must be known to be in it.
  const columns = relation?.columns.filter(({ dropped }) => !dropped);
  return output.kind === 'derived' && columns?.every(({ attnum }) => hasColumn(attnum)) === true;
}

function mismatch(detail: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_RESULT_MISMATCH',
    message: 'result withheld: its columns are not those that were checked',
    detail: `${detail} The statement itself may have taken effect.`,
    hint: 'The tables may have changed a moment ago. Try again.',
  });
}

/** What is done to the values of a result; undefined: nothing. */
export function columnMaskerOptions(
  result: Omit<DescribedResult, 'grant' | 'encoding'>,
  allowed: AllowedStatement,
  catalog: Catalog,
): ColumnMaskerOptions | undefined {
  const detectors: ReadonlySet<DetectorName> = new Set(allowed.detectors);
  const isMasked = allowed.masks?.some((mask) => mask !== undefined) === true;
  const observed = observes(allowed) ? new Set(allowed.observed) : undefined;
  if (detectors.size === 0 && !isMasked && observed === undefined) return undefined;
  const columns = result.fields.map((field, index): ResultColumn => {
    const output = allowed.analysis.outputs?.[index];
    const format = result.formats === undefined ? field.format : formatOf(result.formats, index);
    return {
      typeOid: field.typeOid,
      format: format === BINARY_FORMAT ? BINARY_FORMAT : TEXT_FORMAT,
      mask: effectiveMask(allowed.masks?.[index], output),
      document: allowed.masks?.[index]?.document,
      own: ownText(result, output),
      shows: SHOWN[allowed.masks?.[index]?.shows ?? 'nothing'],
      derived: output?.kind !== 'identity',
    };
  });
  return {
    columns,
    detectors,
    ...(observed === undefined ? {} : { observed }),
    hashKey: result.hashKey,
    isText: (typeOid) => isStringType(typeOid, catalog),
    decode: (bytes) => decodeOrNothing(bytes, result.codec),
    isUtf8: result.codec === UTF8,
  };
}

const SHOWN: Readonly<Record<string, ((text: string) => boolean) | undefined>> = {
  'values without secrets': isPlainValue,
  'lists without secrets': isPlainList,
};

/**
 * Partial masks and hashes are for the stored value. Of a computed one a part may be the secret
 * part (`reverse(email)`), and equal hashes of chosen constants would spell it.
 */
function effectiveMask(
  mask: OutputMask | undefined,
  output: OutputColumn | undefined,
): MaskKind | undefined {
  if (mask === undefined) return undefined;
  if (mask.mask === 'null' || output?.kind === 'identity') return mask.mask;
  return 'full';
}

/**
 * In pg_stat_activity stands the statement that reads it, which its sender may see. It is known by its
 * text and not by its pid, because behind a pooler the pid that a client is told is not the session's.
 */
function ownText(
  { run, codec }: Omit<DescribedResult, 'grant' | 'encoding'>,
  output: OutputColumn | undefined,
): Uint8Array | undefined {
  const [source] = output?.kind === 'identity' ? output.sources : [];
  const isStatement = source !== undefined && isStatementText(source);
  return isStatement ? codec.encode(run.statement.source) : undefined;
}

/** citext and enums: text in both formats, with OIDs of their own. */
function isStringType(typeOid: number, catalog: Catalog): boolean {
  const type = catalog.typeByOid(typeOid);
  return type !== undefined && (type.name === 'citext' || type.kind === 'e');
}

function decodeOrNothing(bytes: Uint8Array, codec: TextCodec): string | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    // Not text in client_encoding: a mask shows nothing of it, detectors read it byte by byte.
    return undefined;
  }
}
