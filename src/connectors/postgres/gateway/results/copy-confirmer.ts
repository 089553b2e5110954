/**
 * Asks the target what a COPY … TO STDOUT is about to copy, on the client's own connection and in
 * the transaction that the COPY will run in:
 *
 *     client                gateway                                target
 *       Query COPY ──────▶    Parse, Describe, Close of the SELECT ──▶
 *                             ◀── RowDescription: tables, columns, types
 *                             agrees with the lineage?
 *                             Query COPY ──────────────────────────▶
 *
 * Describing locks every relation of the query (ACCESS SHARE) until the transaction ends, and there
 * is no Sync in between. So nobody can change a column, or put another relation under a name that
 * was looked up, before the COPY looks it up again: it copies what was described, and this is
 * checked as the description of a SELECT is.
 */

import { ColumnMasker } from '../../masking/column-masker.ts';
import { isAmbiguousNull } from '../../masking/copy-text.ts';
import type { ProtocolEffect } from '../../policy/facts/analysis-types.ts';
import { copyWithNull, selectOfCopy } from '../../policy/facts/copy-source.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { mayDisturb } from '../../policy/triggers/may-disturb.ts';
import type { FieldDescription } from '../../protocol/backend-messages.ts';
import { encodingKey } from '../../protocol/encoding-labels.ts';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
} from '../../protocol/frontend-messages.ts';
import { UTF8 } from '../../protocol/text-codec.ts';
import type { Run } from '../statements/run.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { needsConfirmation, needsReading } from './copy-out.ts';
import {
  changedCopy,
  copyBehindOthers,
  encodingInDoubt,
  grantChanged,
  maskedColumns,
  maskedDump,
  otherEncoding,
  unreadableEncoding,
} from './copy-refusals.ts';
import { columnMaskerOptions, disagreementOf } from './results.ts';

const NAME = 'hoop_copy';
const DUMPS: ReadonlySet<string> = new Set(['pg_dump', 'pg_dumpall']);

export type CopyConfirmation =
  /** It may be sent. `text`: this in place of what the client sent. */
  | { readonly type: 'ready'; readonly text: string | undefined }
  | { readonly type: 'refused'; readonly run: Run; readonly refusal: SqlRefusal }
  /** The target refused to describe it, in words that the client has. */
  | { readonly type: 'failed' }
  /** An error came before it; the target would skip it. */
  | { readonly type: 'skipped' };

const READY: CopyConfirmation = { type: 'ready', text: undefined };

/** @param runs of one Query, or that of an Execute. Nothing may be awaited before they are sent. */
export async function confirmCopies(
  state: StreamState,
  runs: readonly Run[],
): Promise<CopyConfirmation> {
  const { queue, settings, options } = state;
  const grant = options.grant();
  let text: string | undefined;
  for (const [index, run] of runs.entries()) {
    if (!needsReading(run.statement, grant)) continue;
    await state.waitForTarget(() => queue.length === 0);
    if (state.skipping) return { type: 'skipped' };
    const refusal = refuseEncoding(state, run) ?? refuseDump(state, run);
    if (refusal !== undefined) return { type: 'refused', run, refusal };
    // In a failed transaction the target refuses it; what was not described does not pass.
    if (!needsConfirmation(run.statement, grant) || settings.transaction === 'failed') continue;
    if (runs.slice(0, index).some(mayChangeIt)) {
      return { type: 'refused', run, refusal: copyBehindOthers() };
    }
    const confirmed = await confirm(state, run, runs.length === 1);
    if (confirmed.type !== 'ready') return confirmed;
    text = confirmed.text;
  }
  // What was just revoked must not be let through because it was asked before.
  const [run] = runs;
  if (run !== undefined && options.grant().generation !== grant.generation) {
    return { type: 'refused', run, refusal: grantChanged() };
  }
  return text === undefined ? READY : { type: 'ready', text };
}

/** In place of an Execute: this COPY, under a name of the gateway's own. */
export function sendCopyInPlace(
  state: StreamState,
  run: Run,
  sql: string,
  isApproved: boolean,
): void {
  const base = { origin: 'aside', segment: state.segment } as const;
  const names = { portal: NAME, statement: NAME };
  closeOwn(state);
  state.send(encodeParse({ statement: NAME, sql, parameterTypes: [] }, state.codec), {
    kind: 'parse',
    name: NAME,
    statement: undefined,
    ...base,
  });
  state.send(encodeBind({ ...names, parameterFormats: [], parameters: [], resultFormats: [] }), {
    kind: 'bind',
    name: NAME,
    portal: undefined,
    ...base,
  });
  const entry = { kind: 'execute', origin: 'client', segment: state.segment, run } as const;
  state.sendRuns(encodeExecute({ portal: NAME, maxRows: 0 }), entry, isApproved);
  closeOwn(state);
}

function closeOwn(state: StreamState): void {
  state.send(encodeClose({ what: 'statement', name: NAME }), {
    kind: 'close',
    origin: 'aside',
    segment: state.segment,
    what: 'statement',
    name: NAME,
  });
}

async function confirm(state: StreamState, run: Run, isAlone: boolean): Promise<CopyConfirmation> {
  const { allowed, basis, source: text } = run.statement;
  const copy = allowed?.analysis.protocol.copy;
  if (allowed === undefined || basis === undefined || copy?.source === undefined) {
    return { type: 'refused', run, refusal: changedCopy('hoop cannot tell what it copies.') };
  }
  const select = selectOfCopy(copy.source, text);
  if (!canEncode(state, text)) {
    return { type: 'refused', run, refusal: unreadableEncoding(state.settings.encoding.name) };
  }
  const fields = await describe(state, select);
  if (fields === undefined) return { type: 'failed' };
  const disagreement = disagreementOf(allowed, fields, basis.catalog);
  if (disagreement !== undefined) {
    state.settings.catalogStale = 'all';
    return { type: 'refused', run, refusal: changedCopy(disagreement) };
  }
  run.confirmed = { fields, serverNull: undefined };
  if (!mustRespellNull(state, run, fields)) return READY;
  if (!isAlone || copy.options === undefined) {
    return { type: 'refused', run, refusal: copyBehindOthers() };
  }
  // `\N` and `\M` are no escapes, so no value is written like that.
  const serverNull = copy.options.delimiter === 'N' ? '\\M' : '\\N';
  run.confirmed = { fields, serverNull };
  const { source, options } = copy;
  return { type: 'ready', text: copyWithNull({ ...copy, source, options }, text, serverNull) };
}

/** @returns undefined: an error came instead. */
async function describe(
  state: StreamState,
  sql: string,
): Promise<readonly FieldDescription[] | undefined> {
  const { queue, codec } = state;
  let described: readonly FieldDescription[] | undefined;
  const base = { origin: 'aside', segment: state.segment } as const;
  // An earlier one that failed may have left its name behind.
  closeOwn(state);
  state.send(encodeParse({ statement: NAME, sql, parameterTypes: [] }, codec), {
    kind: 'parse',
    name: NAME,
    statement: undefined,
    ...base,
  });
  state.send(encodeDescribe({ what: 'statement', name: NAME }), {
    kind: 'describe',
    statement: undefined,
    portal: undefined,
    onFields: (fields) => {
      described = fields;
    },
    ...base,
  });
  closeOwn(state);
  await state.release();
  await queue.wait(() => queue.length === 0);
  return state.skipping ? undefined : (described ?? []);
}

function refuseEncoding(state: StreamState, { statement }: Run): SqlRefusal | undefined {
  const { settings, codec } = state;
  const options = statement.allowed?.analysis.protocol.copy?.options;
  if (options === undefined) return undefined;
  const { name, isSafe } = settings.encoding;
  if (settings.parserDoubt !== undefined) return encodingInDoubt();
  if (options.encoding !== undefined && keyOf(options.encoding) !== keyOf(name)) {
    return otherEncoding(options.encoding, name);
  }
  if (!isSafe && options.format !== 'binary') return unreadableEncoding(name);
  const isAscii = /^[\0-\x7f]*$/.test(options.null);
  return isAscii || codec === UTF8 ? undefined : unreadableEncoding(name);
}

/** There are decoders for all encodings, and encoders for some. */
function canEncode({ codec }: StreamState, text: string): boolean {
  try {
    codec.encode(text);
    return true;
  } catch {
    // The caller says it.
    return false;
  }
}

function keyOf(encoding: string): string {
  const key = encodingKey(encoding);
  return key === 'unicode' ? 'utf8' : key;
}

function refuseDump(state: StreamState, { statement }: Run): SqlRefusal | undefined {
  const application = state.settings.applicationName;
  const columns = statement.allowed === undefined ? [] : maskedColumns(statement.allowed);
  return DUMPS.has(application) && columns.length > 0
    ? maskedDump(application, columns)
    : undefined;
}

/** What a COPY behind it copies may be another thing than before it. */
function mayChangeIt({ statement }: Run): boolean {
  const effect: ProtocolEffect | undefined = statement.allowed?.analysis.protocol;
  return (
    effect === undefined ||
    effect.changesCatalog ||
    mayDisturb(effect) ||
    (effect.settings?.length ?? 0) > 0 ||
    (effect.transaction !== undefined &&
      effect.transaction !== 'begin' &&
      effect.transaction !== 'savepoint')
  );
}

/** In the text format a value can look like NULL; which of both it is a mask must know. */
function mustRespellNull(
  state: StreamState,
  run: Run,
  fields: readonly FieldDescription[],
): boolean {
  const { allowed, basis } = run.statement;
  const options = allowed?.analysis.protocol.copy?.options;
  if (allowed === undefined || basis === undefined || options?.format !== 'text') return false;
  const { codec } = state;
  if (!isAmbiguousNull(codec.encode(options.null), options.delimiter.charCodeAt(0))) return false;
  const hashKey = new Uint8Array(0);
  const masking = columnMaskerOptions(
    { run, fields, hashKey, codec, formats: undefined },
    allowed,
    basis.catalog,
  );
  if (masking === undefined) return false;
  const masker = new ColumnMasker(masking);
  return masker.columns.some((_, index) => masker.showsNull(index));
}
