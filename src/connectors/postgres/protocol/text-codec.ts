import { ProtocolError } from '../../../errors.ts';
import { UndecodableText } from './malformed-message.ts';

/**
 * How the text of a message is encoded. Names, SQL and error text are in the client_encoding of
 * the connection, and whoever decodes must use that one: the bytes C3 A9 name the prepared
 * statement "é" under UTF8 and "Ã©" under LATIN1, so with one fixed decoder a statement could be
 * checked under one name and run under another.
 */
export interface TextCodec {
  /** @throws ProtocolError if the bytes are not text in this encoding. */
  decode(bytes: Uint8Array): string;
  /** @throws ProtocolError if the text cannot be written in this encoding. */
  encode(text: string): Uint8Array;
}

// ignoreBOM keeps a leading U+FEFF: a codec must not lose what it was given.
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** Longest text that is put together here: a call of a decoder costs more than so many characters. */
const MAX_SHORT = 12;

/** @returns undefined for what is not short, or has another character than those of ASCII. */
function shortAscii(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_SHORT) return undefined;
  let text = '';
  for (const byte of bytes) {
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Strict UTF-8: refuses overlong forms, surrogates and truncated sequences. */
export const UTF8: TextCodec = {
  decode(bytes) {
    const short = shortAscii(bytes);
    if (short !== undefined) return short;
    try {
      return utf8Decoder.decode(bytes);
    } catch (cause) {
      throw new UndecodableText('text is not valid UTF-8', { cause });
    }
  },
  encode(text) {
    if (!text.isWellFormed()) {
      throw new ProtocolError('text has an unpaired surrogate');
    }
    return utf8Encoder.encode(text);
  },
};

/** One character per byte, U+0000 to U+00FF: loses nothing, for text that is only handed on. */
export const BYTES: TextCodec = {
  decode(bytes) {
    const short = shortAscii(bytes);
    if (short !== undefined) return short;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  },
  encode(text) {
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0xff) {
        throw new ProtocolError('text has a character that is not one byte');
      }
      bytes[at] = code;
    }
    return bytes;
  },
};
