/**
 * ErrorResponse, NoticeResponse and NotificationResponse can carry values: `Failing row contains
 * (…)`, `invalid input syntax for type integer: "…"`, whatever a trigger raises. Where the verdict
 * says so, everything that may hold one is left out; the detectors look at the rest.
 */
import { withoutHits } from '../../../../masking/detect-text.ts';
import type { DetectorName, Grant } from '../../../../policy/types.ts';
import {
  decodeNotificationResponse,
  encodeNotificationResponse,
} from '../../protocol/backend-messages.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  encodeErrorResponse,
  encodeNoticeResponse,
  type ReportFields,
} from '../../protocol/report-fields.ts';
import { BYTES, type TextCodec, UTF8 } from '../../protocol/text-codec.ts';
import { CONDITIONS, SAFE_CLASSES, SQL_STATE } from '../../sql-state.ts';

export interface Redaction {
  /** Nothing that may hold a value may pass. */
  readonly values: boolean;
  /** Code that is not built in may have written the text, whatever its SQLSTATE. */
  readonly userCode: boolean;
  /** Names of masked columns; undefined: not known here. */
  readonly hiddenColumns: ReadonlySet<string> | undefined;
  readonly detectors: readonly DetectorName[];
}

/**
 * Characters of one report that the detectors look through: some milliseconds. The server puts a whole
 * value into its words, of 16 MB as well (`invalid input syntax for type integer: "…"`), and looking
 * through that held everybody else up for half a second.
 */
const MAX_LOOKED_THROUGH = 128 * 1024;

/** As the mask `full` shows a string. */
const MASKED = '****';

/** Fields that nothing but the server sets: severity, SQLSTATE, places in the text and in its source. */
const SERVER_FIELDS = new Set(['S', 'V', 'C', 'P', 'F', 'L', 'R']);
/** Names of objects, which a RAISE can set to anything. */
const OBJECT_FIELDS = new Set(['s', 't', 'c', 'd', 'n']);

export function redactError(body: Uint8Array, redaction: Redaction): Uint8Array | undefined {
  const fields = redactFields(decodeErrorResponse(body, BYTES).fields, redaction, 'error');
  return fields === undefined ? undefined : encodeErrorResponse({ fields }, BYTES);
}

export function redactNotice(body: Uint8Array, redaction: Redaction): Uint8Array | undefined {
  const fields = redactFields(decodeNoticeResponse(body, BYTES).fields, redaction, 'notice');
  return fields === undefined ? undefined : encodeNoticeResponse({ fields }, BYTES);
}

/**
 * What the server says while it lets a client in. Of settings it speaks itself; a login trigger is code
 * that could read masked columns, and whatever is raised in a function has a context (W).
 */
export function redactLoginReport(
  fields: ReportFields,
  what: 'error' | 'notice',
  { masks, detectors }: Pick<Grant, 'masks' | 'detectors'>,
): ReportFields {
  const values = masks.length > 0 && fields.has('W');
  const redaction = { values, userCode: true, hiddenColumns: undefined, detectors };
  return redactFields(fields, redaction, what) ?? fields;
}

/**
 * The channel is one that a rule lets the client listen to. What others put into the payload cannot be
 * traced, so it is masked whole where anything is.
 * @returns the new message, or undefined: it may pass as it is.
 */
export function redactNotification(
  body: Uint8Array,
  { masks, detectors }: Pick<Grant, 'masks' | 'detectors'>,
): Uint8Array | undefined {
  if (masks.length === 0 && detectors.length === 0) return undefined;
  const { processId, channel, payload } = decodeNotificationResponse(body, BYTES);
  if (masks.length > 0 && payload !== '') {
    return encodeNotificationResponse({ processId, channel, payload: MASKED }, BYTES);
  }
  const names = new Set(detectors);
  const cleanChannel = clean(channel, names, MAX_LOOKED_THROUGH);
  const cleanPayload = clean(payload, names, MAX_LOOKED_THROUGH);
  if (cleanChannel === undefined && cleanPayload === undefined) return undefined;
  return encodeNotificationResponse(
    { processId, channel: cleanChannel ?? channel, payload: cleanPayload ?? payload },
    BYTES,
  );
}

function redactFields(
  fields: ReportFields,
  redaction: Redaction,
  what: 'error' | 'notice',
): ReportFields | undefined {
  const detectors = new Set(redaction.detectors);
  const result = new Map<string, string>();
  const kept = redaction.values ? keptFields(fields, redaction, what) : fields;
  let changed = kept !== fields;
  let room = MAX_LOOKED_THROUGH;
  for (const [field, text] of kept) {
    const cleaned = detectors.size > 0 ? clean(text, detectors, room) : undefined;
    if (text.length <= room) room -= text.length;
    changed ||= cleaned !== undefined;
    result.set(field, cleaned ?? text);
  }
  return changed ? result : undefined;
}

/** @returns `fields` itself where nothing has to go. */
function keptFields(fields: ReportFields, redaction: Redaction, what: string): ReportFields {
  const source = sourceOf(fields);
  if (source === 'text of the statement') return fields;
  const isSafeClass = SAFE_CLASSES.has(fields.get('C')?.slice(0, 2) ?? '');
  const isServers = source === 'checks' || !redaction.userCode;
  const isKnown = source === 'names' || (isSafeClass && isServers);
  const kept = new Map<string, string>();
  for (const [field, text] of fields) {
    const isHint = field === 'H' && source === 'names';
    const isObject = OBJECT_FIELDS.has(field) && (isServers || source === 'names');
    const isKey = field === 'D' && isKnown && showsKeyOnly(fields, redaction);
    if (SERVER_FIELDS.has(field) || isObject || isHint || isKey || (field === 'M' && isKnown)) {
      kept.set(field, text);
    }
  }
  if (kept.has('M')) return kept.size === fields.size ? fields : kept;
  const sqlState = fields.get('C') ?? '';
  const kind = [`SQLSTATE ${sqlState}`, CONDITIONS[sqlState] ?? []].flat().join(', ');
  kept.set('M', `${what} text withheld: it may show a masked value (${kind})`);
  return what === 'error' ? kept.set('H', HINT) : kept;
}

/**
 * `Key (id)=(7) already exists.` Nothing but the server's own check of a key can have made it: neither
 * a trigger, which could have put anything into the row, nor what it calls.
 */
function showsKeyOnly(fields: ReportFields, { userCode, hiddenColumns }: Redaction): boolean {
  if (userCode || hiddenColumns === undefined || fields.has('W') || fields.has('q')) return false;
  const isKeys = KEY_CHECKS.get(fields.get('F') ?? '') === fields.get('C');
  const columns = /^Key \(([a-z0-9_, ]+)\)=\(/.exec(fields.get('D') ?? '')?.[1]?.split(', ');
  return isKeys && columns?.every((name) => !hiddenColumns.has(name)) === true;
}

const KEY_CHECKS: ReadonlyMap<string, string> = new Map([
  ['nbtinsert.c', SQL_STATE.uniqueViolation],
  ['ri_triggers.c', SQL_STATE.foreignKeyViolation],
]);

const HINT =
  'The statement depends on masked columns, or on database code that could read them. The SQLSTATE gives the kind of error.';

/**
 * @param text one character per byte, as the codec BYTES reads it.
 * @param room what is longer is withheld: nobody knows what is in it.
 */
function clean(
  text: string,
  detectors: ReadonlySet<DetectorName>,
  room: number,
): string | undefined {
  if (text.length > room) {
    return `text of ${text.length} bytes withheld: too long to be searched for values`;
  }
  const bytes = BYTES.encode(text);
  for (const codec of [UTF8, BYTES]) {
    const decoded = decodeWith(codec, bytes);
    if (decoded === undefined) continue;
    const result = withoutHits(decoded, detectors, new Map());
    return result === undefined ? undefined : BYTES.decode(codec.encode(result));
  }
  return undefined;
}

function decodeWith(codec: TextCodec, bytes: Uint8Array): string | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    // Not UTF-8: the next codec takes any bytes.
    return undefined;
  }
}

// Where the server made the text of an error or notice. The fields F and R name the place in its source,
// which nothing written in SQL or PL/pgSQL can set: a RAISE comes from pl_exec.c, whatever SQLSTATE,
// table and constraint it claims. So the place says what a text can be made of where the SQLSTATE alone
// does not: `relation "…" does not exist` names what the client wrote, or a value that was cast to
// regclass.
// https://www.postgresql.org/docs/18/protocol-error-fields.html

/** Finds fault with the text of the statement, before anything of it runs. */
const PARSING = /^(parse_\w+|scan|gram|parser)\.[cly]$/;

/** Reads values from text: with a position, from a constant of the statement. */
const READING =
  /^(arrayfuncs|bool|cash|date|datetime|encode|enum|float|int8?|json\w*|mac8?|network|num(eric|utils)|oid|rangetypes|timestamp|uuid|varbit|varchar|varlena|xml)\.c$/;

/**
 * Checks rows and waits for locks, and names tables, columns and constraints that exist. Values stand
 * in DETAIL only ("Failing row contains (…)").
 */
const CHECKING: ReadonlySet<string> = new Set(
  `deadlock.c domains.c execExprInterp.c execIndexing.c execMain.c execPartition.c heapam.c lmgr.c lock.c
  nbtinsert.c nodeLockRows.c nodeModifyTable.c postgres.c predicate.c proc.c ri_triggers.c
  tuplesortvariants.c tuplesort.c utility.c xact.c`.split(/\s+/),
);

/** Makes, changes and drops objects, and names these and what depends on them. */
const NAMING: ReadonlySet<string> = new Set(
  `aclchk.c alter.c createas.c dependency.c dropcmds.c heap.c index.c lockcmds.c pg_constraint.c
  pg_namespace.c pg_shdepend.c policy.c prepare.c rewriteDefine.c schemacmds.c statscmds.c tablecmds.c
  typecmds.c view.c`.split(/\s+/),
);

type ReportSource =
  /** All of it is about the client's own text. */
  | 'text of the statement'
  /** Message and hint name objects. */
  | 'names'
  /** The message names what is in the catalog, whoever makes the server check it. */
  | 'checks'
  /** Anything can be in it. */
  | 'unknown';

/**
 * Whatever is raised inside of a function or trigger has a context (W), and a statement that runs in
 * there is the internal query (q), with a position of its own.
 */
function sourceOf(fields: ReportFields): ReportSource {
  const file = fields.get('F') ?? '';
  if (CHECKING.has(file)) return 'checks';
  if (fields.has('W') || fields.has('q')) return 'unknown';
  if (fields.has('P') && (PARSING.test(file) || READING.test(file))) return 'text of the statement';
  return NAMING.has(file) ? 'names' : 'unknown';
}
