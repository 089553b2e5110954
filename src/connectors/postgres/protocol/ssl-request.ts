import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { SSL_REQUEST_CODE } from './request-codes.ts';

/**
 * Int32(8) · Int32(80877103)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
 */
export interface SSLRequest {
  readonly type: 'SSLRequest';
}

export function decodeSSLRequest(body: Uint8Array): SSLRequest {
  const reader = new MessageReader('SSLRequest', body);
  if (reader.u32() !== SSL_REQUEST_CODE) {
    throw new ProtocolError('SSLRequest has the wrong code');
  }
  reader.end();
  return { type: 'SSLRequest' };
}

export function encodeSSLRequest(): Uint8Array {
  return new MessageWriter(undefined).u32(SSL_REQUEST_CODE).finish();
}
