import { BACKEND } from './message-types.ts';
import { decodeReport, encodeReport, type ReportFields } from './report-fields.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('N') · Int32 length · (Byte1 code · String text) × n · Byte1(0). Before startup has ended the
 * text may be in the server's encoding instead of the client's: decode with BYTES to hand it on.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NOTICERESPONSE
 */
export interface NoticeResponse {
  readonly type: 'NoticeResponse';
  readonly fields: ReportFields;
}

export function decodeNoticeResponse(body: Uint8Array, text: TextCodec = UTF8): NoticeResponse {
  return { type: 'NoticeResponse', fields: decodeReport('NoticeResponse', body, text) };
}

export function encodeNoticeResponse(
  message: Omit<NoticeResponse, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeReport(BACKEND.NoticeResponse, message.fields, text);
}
