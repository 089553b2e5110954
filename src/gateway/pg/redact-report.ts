/**
 * ErrorResponse, NoticeResponse and NotificationResponse can carry values: `Failing row contains
 * (…)`, `invalid input syntax for type integer: "…"`, whatever a trigger raises. Where the verdict
 * says so, everything that may hold one is left out; the detectors look at the rest.
 */
import { withoutHits } from '../../masking/detect-text.ts';
import type { DetectorName } from '../../policy/types.ts';
import { decodeErrorResponse, encodeErrorResponse } from '../../protocol/pg/error-response.ts';
import { decodeNoticeResponse, encodeNoticeResponse } from '../../protocol/pg/notice-response.ts';
import {
  decodeNotificationResponse,
  encodeNotificationResponse,
} from '../../protocol/pg/notification-response.ts';
import type { ReportFields } from '../../protocol/pg/report-fields.ts';
import { BYTES, type TextCodec, UTF8 } from '../../protocol/pg/text-codec.ts';

export interface Redaction {
  /** Nothing that may hold a value may pass. */
  readonly values: boolean;
  /** Code that is not built in may have written the text, whatever its SQLSTATE. */
  readonly userCode: boolean;
  readonly detectors: readonly DetectorName[];
}

/** Fields that never hold data: severity, SQLSTATE, places in the text and in the server's source. */
const SAFE_FIELDS = new Set(['S', 'V', 'C', 'P', 'F', 'L', 'R', 's', 't', 'c', 'd', 'n']);

/**
 * Classes whose messages name objects and conditions, never values:
 * https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const SAFE_CLASSES = new Set(['08', '23', '25', '26', '28', '34', '40', '53', '54', '55', '57']);

export function redactError(body: Uint8Array, redaction: Redaction): Uint8Array | undefined {
  const fields = redactFields(decodeErrorResponse(body, BYTES).fields, redaction, 'error');
  return fields === undefined ? undefined : encodeErrorResponse({ fields }, BYTES);
}

export function redactNotice(body: Uint8Array, redaction: Redaction): Uint8Array | undefined {
  const fields = redactFields(decodeNoticeResponse(body, BYTES).fields, redaction, 'notice');
  return fields === undefined ? undefined : encodeNoticeResponse({ fields }, BYTES);
}

/** @returns the new message, or undefined: it may pass as it is. */
export function redactNotification(
  body: Uint8Array,
  detectors: readonly DetectorName[],
): Uint8Array | undefined {
  if (detectors.length === 0) return undefined;
  const { processId, channel, payload } = decodeNotificationResponse(body, BYTES);
  const names = new Set(detectors);
  const cleanChannel = clean(channel, names);
  const cleanPayload = clean(payload, names);
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
  let changed = false;
  for (const [field, text] of fields) {
    let kept: string | undefined = text;
    if (redaction.values && !SAFE_FIELDS.has(field)) {
      kept =
        field === 'M' ? redactedMessage(text, fields.get('C') ?? '', redaction, what) : undefined;
    }
    if (kept !== undefined && detectors.size > 0) kept = clean(kept, detectors) ?? kept;
    if (kept !== text) changed = true;
    if (kept !== undefined) result.set(field, kept);
  }
  return changed ? result : undefined;
}

function redactedMessage(
  text: string,
  sqlState: string,
  redaction: Redaction,
  what: string,
): string {
  if (!redaction.userCode && SAFE_CLASSES.has(sqlState.slice(0, 2))) return text;
  return `${what} text withheld: it may show a masked value (SQLSTATE ${sqlState})`;
}

/** @param text one character per byte, as the codec BYTES reads it. */
function clean(text: string, detectors: ReadonlySet<DetectorName>): string | undefined {
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
