import type { ErrorCode } from '../../../../errors.ts';
import { encodeNoticeResponse, type Report, reportFields } from '../../protocol/report-fields.ts';
import { BYTES, type TextCodec } from '../../protocol/text-codec.ts';

/**
 * A NoticeResponse of the gateway's own, with names of the database in it.
 * @param code the stable one, where it has one: in the fields where an error has it
 */
export function encodeNotice(report: Report, codec: TextCodec, code?: ErrorCode): Uint8Array {
  const fields = new Map(reportFields(report));
  if (code !== undefined) fields.set('F', 'hoop').set('R', code);
  const clean = new Map(
    [...fields].map(([key, text]) => [key, text.toWellFormed().replaceAll('\0', '')]),
  );
  try {
    return encodeNoticeResponse({ fields: clean }, codec);
  } catch {
    // A name that does not exist in client_encoding; the notice must still go out.
    const plain = new Map([...clean].map(([key, text]) => [key, text.replace(/[^ -~]/g, '?')]));
    return encodeNoticeResponse({ fields: plain }, BYTES);
  }
}
