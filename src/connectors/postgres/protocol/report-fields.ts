/**
 * The fields of ErrorResponse and NoticeResponse: Byte1 code · String text, … · Byte1(0).
 * https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

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

/** The body of an ErrorResponse or a NoticeResponse: (Byte1 code · String text) × n · Byte1(0). */
function decodeReport(message: string, body: Uint8Array, text: TextCodec): ReportFields {
  const reader = new MessageReader(message, body);
  const fields = readReportFields(reader, text);
  reader.end();
  return fields;
}

function encodeReport(type: number, fields: ReportFields, text: TextCodec): Uint8Array {
  const writer = new MessageWriter(type);
  writeReportFields(writer, fields, text);
  return writer.finish();
}

function readReportFields(reader: MessageReader, text: TextCodec): ReportFields {
  const fields = new Map<string, string>();
  for (let code = reader.u8(); code !== 0; code = reader.u8()) {
    const letter = String.fromCharCode(code);
    if (fields.has(letter)) {
      throw new ProtocolError('report has a field twice');
    }
    fields.set(letter, reader.cstring(text));
  }
  return fields;
}

function writeReportFields(writer: MessageWriter, fields: ReportFields, text: TextCodec): void {
  for (const [letter, value] of fields) {
    const code = letter.charCodeAt(0);
    if (letter.length !== 1 || code === 0) {
      throw new ProtocolError('report field needs a code of one character');
    }
    writer.u8(code).cstring(value, text);
  }
  writer.u8(0);
}

/**
 * Byte1('E' or 'N') · Int32 length · (Byte1 code · String text) × n · Byte1(0). Before startup has
 * ended the text may be in the server's encoding instead of the client's: decode with BYTES to hand
 * it on.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE
 */
function report<Type extends 'ErrorResponse' | 'NoticeResponse'>(type: Type) {
  return {
    decode: (
      body: Uint8Array,
      text: TextCodec = UTF8,
    ): { readonly type: Type; readonly fields: ReportFields } => ({
      type,
      fields: decodeReport(type, body, text),
    }),
    encode: (message: { readonly fields: ReportFields }, text: TextCodec = UTF8): Uint8Array =>
      encodeReport(BACKEND[type], message.fields, text),
  };
}

export const { decode: decodeErrorResponse, encode: encodeErrorResponse } = report('ErrorResponse');
export const { decode: decodeNoticeResponse, encode: encodeNoticeResponse } =
  report('NoticeResponse');
