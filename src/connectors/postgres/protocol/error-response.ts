import { BACKEND } from './message-types.ts';
import { decodeReport, encodeReport, type ReportFields } from './report-fields.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('E') · Int32 length · (Byte1 code · String text) × n · Byte1(0). Before startup has ended the
 * text may be in the server's encoding instead of the client's: decode with BYTES to hand it on.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE
 */
export interface ErrorResponse {
  readonly type: 'ErrorResponse';
  readonly fields: ReportFields;
}

export function decodeErrorResponse(body: Uint8Array, text: TextCodec = UTF8): ErrorResponse {
  return { type: 'ErrorResponse', fields: decodeReport('ErrorResponse', body, text) };
}

export function encodeErrorResponse(
  message: Omit<ErrorResponse, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeReport(BACKEND.ErrorResponse, message.fields, text);
}
