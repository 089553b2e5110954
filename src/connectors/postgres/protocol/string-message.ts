import { MessageReader } from './message-reader.ts';
import { BACKEND, FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/** Messages whose body is one String. @param message its name, for errors. */
function decodeStringMessage(message: string, body: Uint8Array, text: TextCodec): string {
  const reader = new MessageReader(message, body);
  const value = reader.cstring(text);
  reader.end();
  return value;
}

function encodeStringMessage(type: number, value: string, text: TextCodec): Uint8Array {
  return new MessageWriter(type).cstring(value, text).finish();
}

/**
 * Byte1('Q') · Int32 length · String SQL, maybe several statements
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-QUERY
 */
export interface Query {
  readonly type: 'Query';
  readonly sql: string;
}

export function decodeQuery(body: Uint8Array, text: TextCodec = UTF8): Query {
  return { type: 'Query', sql: decodeStringMessage('Query', body, text) };
}

export function encodeQuery(message: Omit<Query, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return encodeStringMessage(FRONTEND.Query, message.sql, text);
}

/**
 * Byte1('f') · Int32 length · String why
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COPYFAIL
 */
export interface CopyFail {
  readonly type: 'CopyFail';
  readonly message: string;
}

export function decodeCopyFail(body: Uint8Array, text: TextCodec = UTF8): CopyFail {
  return { type: 'CopyFail', message: decodeStringMessage('CopyFail', body, text) };
}

export function encodeCopyFail(fail: Omit<CopyFail, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return encodeStringMessage(FRONTEND.CopyFail, fail.message, text);
}

/**
 * Byte1('p') · Int32 length · String password or its md5 answer
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PASSWORDMESSAGE
 */
export interface PasswordMessage {
  readonly type: 'PasswordMessage';
  readonly password: string;
}

export function decodePasswordMessage(body: Uint8Array, text: TextCodec = UTF8): PasswordMessage {
  return { type: 'PasswordMessage', password: decodeStringMessage('PasswordMessage', body, text) };
}

export function encodePasswordMessage(
  message: Omit<PasswordMessage, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeStringMessage(FRONTEND.PasswordMessage, message.password, text);
}

/**
 * Byte1('C') · Int32 length · String tag, e.g. "SELECT 5"
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE
 */
export interface CommandComplete {
  readonly type: 'CommandComplete';
  readonly tag: string;
}

export function decodeCommandComplete(body: Uint8Array, text: TextCodec = UTF8): CommandComplete {
  return { type: 'CommandComplete', tag: decodeStringMessage('CommandComplete', body, text) };
}

export function encodeCommandComplete(
  message: Omit<CommandComplete, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeStringMessage(BACKEND.CommandComplete, message.tag, text);
}
