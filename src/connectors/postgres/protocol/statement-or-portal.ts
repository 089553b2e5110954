import { MalformedMessage } from './malformed-message.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import type { TextCodec } from './text-codec.ts';

/** Which one Close and Describe mean. */
export interface StatementOrPortal {
  readonly what: 'statement' | 'portal';
  readonly name: string;
}

const STATEMENT = 0x53;
const PORTAL = 0x50;

/** Byte1 'S' statement or 'P' portal · String name. @param message its name, for errors. */
export function decodeStatementOrPortal(
  message: string,
  body: Uint8Array,
  text: TextCodec,
): StatementOrPortal {
  const reader = new MessageReader(message, body);
  const kind = reader.u8();
  if (kind !== STATEMENT && kind !== PORTAL) {
    throw new MalformedMessage(`${message} is for neither a statement nor a portal: ${kind}`);
  }
  const name = reader.cstring(text);
  reader.end();
  return { what: kind === STATEMENT ? 'statement' : 'portal', name };
}

export function encodeStatementOrPortal(
  type: number,
  { what, name }: StatementOrPortal,
  text: TextCodec,
): Uint8Array {
  const kind = what === 'statement' ? STATEMENT : PORTAL;
  return new MessageWriter(type).u8(kind).cstring(name, text).finish();
}
