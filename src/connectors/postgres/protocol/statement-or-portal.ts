import { MalformedMessage } from './malformed-message.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Which one Close and Describe mean.
 * Byte1('C' or 'D') · Int32 length · Byte1 'S' statement or 'P' portal · String name
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export interface StatementOrPortal {
  readonly what: 'statement' | 'portal';
  readonly name: string;
}

const STATEMENT = 0x53;
const PORTAL = 0x50;

/** @param message its name, for errors. */
function decode(message: string, body: Uint8Array, text: TextCodec): StatementOrPortal {
  const reader = new MessageReader(message, body);
  const kind = reader.u8();
  if (kind !== STATEMENT && kind !== PORTAL) {
    throw new MalformedMessage(`${message} is for neither a statement nor a portal: ${kind}`);
  }
  const name = reader.cstring(text);
  reader.end();
  return { what: kind === STATEMENT ? 'statement' : 'portal', name };
}

function encode(type: number, { what, name }: StatementOrPortal, text: TextCodec): Uint8Array {
  const kind = what === 'statement' ? STATEMENT : PORTAL;
  return new MessageWriter(type).u8(kind).cstring(name, text).finish();
}

export interface Close extends StatementOrPortal {
  readonly type: 'Close';
}

export function decodeClose(body: Uint8Array, text: TextCodec = UTF8): Close {
  return { type: 'Close', ...decode('Close', body, text) };
}

export function encodeClose(message: StatementOrPortal, text: TextCodec = UTF8): Uint8Array {
  return encode(FRONTEND.Close, message, text);
}

export interface Describe extends StatementOrPortal {
  readonly type: 'Describe';
}

export function decodeDescribe(body: Uint8Array, text: TextCodec = UTF8): Describe {
  return { type: 'Describe', ...decode('Describe', body, text) };
}

export function encodeDescribe(message: StatementOrPortal, text: TextCodec = UTF8): Uint8Array {
  return encode(FRONTEND.Describe, message, text);
}
