/**
 * What clients send, but for the packets that begin a connection. Layouts:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import type { FormatCode } from './format-code.ts';
import { MalformedMessage } from './malformed-message.ts';
import {
  FORMATS,
  I16,
  I32,
  type MessageField,
  message,
  REST,
  STRING,
  TYPE_OIDS,
  U32,
  VALUE,
  VALUES,
} from './message-layout.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { BYTES, type TextCodec, UTF8 } from './text-codec.ts';

/** Maybe several statements. */
export const { decode: decodeQuery, encode: encodeQuery } = message('Query', FRONTEND.Query, {
  sql: STRING,
});

/** Statement "" is the unnamed one, type 0 unspecified. */
export const { decode: decodeParse, encode: encodeParse } = message('Parse', FRONTEND.Parse, {
  statement: STRING,
  sql: STRING,
  parameterTypes: TYPE_OIDS,
});

export const { decode: decodeBind, encode: encodeBind } = message('Bind', FRONTEND.Bind, {
  portal: STRING,
  statement: STRING,
  parameterFormats: FORMATS,
  parameters: VALUES,
  resultFormats: FORMATS,
});

export type Bind = ReturnType<typeof decodeBind>;

/** Portal and statement; what stands behind them is not looked at. */
export function decodeBindNames(
  body: Uint8Array,
  text: TextCodec = UTF8,
): Pick<Bind, 'portal' | 'statement'> {
  const reader = new MessageReader('Bind', body, text);
  return { portal: reader.cstring(), statement: reader.cstring() };
}

/** The formats at its end; checks the whole layout, and makes nothing of the values. */
export function readResultFormats(body: Uint8Array): readonly FormatCode[] {
  const reader = new MessageReader('Bind', body);
  reader.skipString();
  reader.skipString();
  const formats = reader.u16();
  reader.expect(formats, 2);
  for (let index = 0; index < formats; index += 1) reader.i16();
  const count = reader.u16();
  reader.expect(count, 4);
  for (let index = 0; index < count; index += 1) reader.skipValue();
  const resultFormats = FORMATS.read(reader);
  reader.end();
  return resultFormats;
}

const STATEMENT = 0x53;
const PORTAL = 0x50;

const WHAT: MessageField<'statement' | 'portal'> = {
  read(reader) {
    const kind = reader.u8();
    if (kind !== STATEMENT && kind !== PORTAL) {
      throw new MalformedMessage(`${reader.name} is for neither a statement nor a portal: ${kind}`);
    }
    return kind === STATEMENT ? 'statement' : 'portal';
  },
  write: (writer, what) => writer.u8(what === 'statement' ? STATEMENT : PORTAL),
};

export const { decode: decodeDescribe, encode: encodeDescribe } = message(
  'Describe',
  FRONTEND.Describe,
  { what: WHAT, name: STRING },
);

export const { decode: decodeClose, encode: encodeClose } = message('Close', FRONTEND.Close, {
  what: WHAT,
  name: STRING,
});

/** A limit of 0 or less is none. */
export const { decode: decodeExecute, encode: encodeExecute } = message(
  'Execute',
  FRONTEND.Execute,
  { portal: STRING, maxRows: I32 },
);

/** The same in both directions. */
export const { decode: decodeCopyData, encode: encodeCopyData } = message(
  'CopyData',
  FRONTEND.CopyData,
  { data: REST },
);

/** The message says why the client gives up. */
export const { decode: decodeCopyFail, encode: encodeCopyFail } = message(
  'CopyFail',
  FRONTEND.CopyFail,
  { message: STRING },
);

export const { decode: decodeFunctionCall, encode: encodeFunctionCall } = message(
  'FunctionCall',
  FRONTEND.FunctionCall,
  {
    functionOid: U32,
    argumentFormats: FORMATS,
    arguments: VALUES,
    resultFormat: I16,
  },
);

/** A password, or its md5 answer. */
export const { decode: decodePasswordMessage, encode: encodePasswordMessage } = message(
  'PasswordMessage',
  FRONTEND.PasswordMessage,
  { password: STRING },
);

const initial = message('SASLInitialResponse', FRONTEND.PasswordMessage, {
  mechanism: STRING,
  /** null: the mechanism has no initial response. */
  data: VALUE,
});
/** Names of mechanisms are ASCII, whatever the encoding of the connection will be. */
export const decodeSASLInitialResponse = (body: Uint8Array) => initial.decode(body, BYTES);
export const encodeSASLInitialResponse = (values: Parameters<typeof initial.encode>[0]) =>
  initial.encode(values, BYTES);

export const { decode: decodeSASLResponse, encode: encodeSASLResponse } = message(
  'SASLResponse',
  FRONTEND.PasswordMessage,
  { data: REST },
);
