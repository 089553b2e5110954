import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type ReportFields, readReportFields, writeReportFields } from './report-fields.ts';
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
  const reader = new MessageReader('NoticeResponse', body);
  const fields = readReportFields(reader, text);
  reader.end();
  return { type: 'NoticeResponse', fields };
}

export function encodeNoticeResponse(
  message: Omit<NoticeResponse, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  const writer = new MessageWriter(BACKEND.NoticeResponse);
  writeReportFields(writer, message.fields, text);
  return writer.finish();
}
