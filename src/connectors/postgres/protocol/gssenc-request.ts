import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { GSSENC_REQUEST_CODE } from './request-codes.ts';

/**
 * Int32(8) · Int32(80877104)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-GSSENCREQUEST
 */
export interface GSSENCRequest {
  readonly type: 'GSSENCRequest';
}

export function decodeGSSENCRequest(body: Uint8Array): GSSENCRequest {
  const reader = new MessageReader('GSSENCRequest', body);
  if (reader.u32() !== GSSENC_REQUEST_CODE) {
    throw new ProtocolError('GSSENCRequest has the wrong code');
  }
  reader.end();
  return { type: 'GSSENCRequest' };
}

export function encodeGSSENCRequest(): Uint8Array {
  return new MessageWriter(undefined).u32(GSSENC_REQUEST_CODE).finish();
}
