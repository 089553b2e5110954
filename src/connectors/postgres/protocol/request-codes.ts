import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';

/** What stands in place of a version in the packets that are no StartupMessage (pqcomm.h). */
export const CANCEL_REQUEST_CODE = 80877102;
export const SSL_REQUEST_CODE = 80877103;
export const GSSENC_REQUEST_CODE = 80877104;

/**
 * Int32(8) · Int32(80877103)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
 */
export interface SSLRequest {
  readonly type: 'SSLRequest';
}

export function decodeSSLRequest(body: Uint8Array): SSLRequest {
  readCode('SSLRequest', body, SSL_REQUEST_CODE);
  return { type: 'SSLRequest' };
}

export function encodeSSLRequest(): Uint8Array {
  return new MessageWriter(undefined).u32(SSL_REQUEST_CODE).finish();
}

/**
 * Int32(8) · Int32(80877104)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-GSSENCREQUEST
 */
export interface GSSENCRequest {
  readonly type: 'GSSENCRequest';
}

export function decodeGSSENCRequest(body: Uint8Array): GSSENCRequest {
  readCode('GSSENCRequest', body, GSSENC_REQUEST_CODE);
  return { type: 'GSSENCRequest' };
}

export function encodeGSSENCRequest(): Uint8Array {
  return new MessageWriter(undefined).u32(GSSENC_REQUEST_CODE).finish();
}

function readCode(message: string, body: Uint8Array, code: number): void {
  const reader = new MessageReader(message, body);
  if (reader.u32() !== code) {
    throw new ProtocolError(`${message} has the wrong code`);
  }
  reader.end();
}
