import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { BYTES } from './text-codec.ts';

/**
 * Byte1('R') · Int32 length · Int32 code · what the code brings: nothing, Byte4 salt (MD5), bytes
 * (GSS and SASL data), or String × n and Byte1(0) (SASL mechanisms)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONOK
 */
export type Authentication =
  | { readonly type: 'AuthenticationOk' }
  | { readonly type: 'AuthenticationKerberosV5' }
  | { readonly type: 'AuthenticationCleartextPassword' }
  | { readonly type: 'AuthenticationMD5Password'; readonly salt: Uint8Array }
  | { readonly type: 'AuthenticationGSS' }
  | { readonly type: 'AuthenticationGSSContinue'; readonly data: Uint8Array }
  | { readonly type: 'AuthenticationSSPI' }
  | { readonly type: 'AuthenticationSASL'; readonly mechanisms: readonly string[] }
  | { readonly type: 'AuthenticationSASLContinue'; readonly data: Uint8Array }
  | { readonly type: 'AuthenticationSASLFinal'; readonly data: Uint8Array };

const CODES = {
  AuthenticationOk: 0,
  AuthenticationKerberosV5: 2,
  AuthenticationCleartextPassword: 3,
  AuthenticationMD5Password: 5,
  AuthenticationGSS: 7,
  AuthenticationGSSContinue: 8,
  AuthenticationSSPI: 9,
  AuthenticationSASL: 10,
  AuthenticationSASLContinue: 11,
  AuthenticationSASLFinal: 12,
} as const satisfies Record<Authentication['type'], number>;

export function decodeAuthentication(body: Uint8Array): Authentication {
  const reader = new MessageReader('Authentication', body);
  const message = readByCode(reader, reader.u32());
  reader.end();
  return message;
}

export function encodeAuthentication(message: Authentication): Uint8Array {
  const writer = new MessageWriter(BACKEND.Authentication).u32(CODES[message.type]);
  switch (message.type) {
    case 'AuthenticationMD5Password':
      if (message.salt.length !== 4) {
        throw new ProtocolError('AuthenticationMD5Password needs a salt of 4 bytes');
      }
      return writer.bytes(message.salt).finish();
    case 'AuthenticationGSSContinue':
    case 'AuthenticationSASLContinue':
    case 'AuthenticationSASLFinal':
      return writer.bytes(message.data).finish();
    case 'AuthenticationSASL':
      for (const mechanism of message.mechanisms) {
        writer.cstring(mechanism, BYTES);
      }
      return writer.u8(0).finish();
    default:
      return writer.finish();
  }
}

function readByCode(reader: MessageReader, code: number): Authentication {
  switch (code) {
    case CODES.AuthenticationOk:
      return { type: 'AuthenticationOk' };
    case CODES.AuthenticationKerberosV5:
      return { type: 'AuthenticationKerberosV5' };
    case CODES.AuthenticationCleartextPassword:
      return { type: 'AuthenticationCleartextPassword' };
    case CODES.AuthenticationMD5Password:
      return { type: 'AuthenticationMD5Password', salt: reader.bytes(4) };
    case CODES.AuthenticationGSS:
      return { type: 'AuthenticationGSS' };
    case CODES.AuthenticationGSSContinue:
      return { type: 'AuthenticationGSSContinue', data: reader.rest() };
    case CODES.AuthenticationSSPI:
      return { type: 'AuthenticationSSPI' };
    case CODES.AuthenticationSASL:
      return { type: 'AuthenticationSASL', mechanisms: readMechanisms(reader) };
    case CODES.AuthenticationSASLContinue:
      return { type: 'AuthenticationSASLContinue', data: reader.rest() };
    case CODES.AuthenticationSASLFinal:
      return { type: 'AuthenticationSASLFinal', data: reader.rest() };
    default:
      throw new ProtocolError(`Authentication has the unknown code ${code}`);
  }
}

function readMechanisms(reader: MessageReader): string[] {
  const mechanisms: string[] = [];
  for (let name = reader.cstring(BYTES); name !== ''; name = reader.cstring(BYTES)) {
    mechanisms.push(name);
  }
  return mechanisms;
}
