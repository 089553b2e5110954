/**
 * The fields of ErrorResponse and NoticeResponse: Byte1 code · String text, … · Byte1(0).
 * https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
import { ProtocolError } from '../../../errors.ts';
import { type MessageField, message } from './message-layout.ts';
import { BACKEND } from './message-types.ts';

/** One letter → text, in the order of the message. */
export type ReportFields = ReadonlyMap<string, string>;

/** Letters that hoop sets or reads; servers send more. */
export const REPORT_FIELD = {
  severity: 'S',
  /** The severity again, never translated. */
  severityNonLocalized: 'V',
  sqlState: 'C',
  message: 'M',
  detail: 'D',
  hint: 'H',
  position: 'P',
  where: 'W',
  schema: 's',
  table: 't',
  column: 'c',
  dataType: 'd',
  constraint: 'n',
} as const satisfies Record<string, string>;

export interface Report {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG';
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based, in characters. */
  readonly position?: number | undefined;
}

/** A report of our own as message fields, in the order in which PostgreSQL writes them. */
export function reportFields(report: Report): ReportFields {
  const fields = new Map<string, string>([
    [REPORT_FIELD.severity, report.severity],
    [REPORT_FIELD.severityNonLocalized, report.severity],
    [REPORT_FIELD.sqlState, report.sqlState],
    [REPORT_FIELD.message, report.message],
  ]);
  if (report.detail !== undefined) {
    fields.set(REPORT_FIELD.detail, report.detail);
  }
  if (report.hint !== undefined) {
    fields.set(REPORT_FIELD.hint, report.hint);
  }
  if (report.position !== undefined) {
    fields.set(REPORT_FIELD.position, String(report.position));
  }
  return fields;
}

/** (Byte1 code · String text) × n · Byte1(0) */
const REPORT: MessageField<ReportFields> = {
  read(reader) {
    const fields = new Map<string, string>();
    for (let code = reader.u8(); code !== 0; code = reader.u8()) {
      const letter = String.fromCharCode(code);
      if (fields.has(letter)) {
        throw new ProtocolError('report has a field twice');
      }
      fields.set(letter, reader.cstring());
    }
    return fields;
  },
  write(writer, fields) {
    for (const [letter, value] of fields) {
      const code = letter.charCodeAt(0);
      if (letter.length !== 1 || code === 0) {
        throw new ProtocolError('report field needs a code of one character');
      }
      writer.u8(code).cstring(value);
    }
    writer.u8(0);
  },
};

/**
 * Before startup has ended the text may be in the server's encoding instead of the client's: decode
 * with BYTES to hand it on.
 */
export const { decode: decodeErrorResponse, encode: encodeErrorResponse } = message(
  'ErrorResponse',
  BACKEND.ErrorResponse,
  { fields: REPORT },
);

export const { decode: decodeNoticeResponse, encode: encodeNoticeResponse } = message(
  'NoticeResponse',
  BACKEND.NoticeResponse,
  { fields: REPORT },
);
