/**
 * The encodings under which a statement means to the parser what it means to the server: those in
 * which no byte of a longer character is an ASCII byte. Under SJIS, BIG5, GBK and their like the
 * second byte may be a backslash or a quote, so there the gateway reads ASCII only.
 * https://www.postgresql.org/docs/18/multibyte.html#CHARSET-TABLE
 */
import { ProtocolError } from '../../../../errors.ts';
import { ENCODING_LABELS, encodingKey } from '../../protocol/encoding-labels.ts';
import { UndecodableText } from '../../protocol/malformed-message.ts';
import { BYTES, type TextCodec, UTF8 } from '../../protocol/text-codec.ts';

export interface ClientEncoding {
  /** As the server reports it. */
  readonly name: string;
  readonly codec: TextCodec;
  /** Bytes beyond ASCII mean the same to the parser and to the server. */
  readonly isSafe: boolean;
  /**
   * Characters are those that the server has. The tables of the Encoding Standard and PostgreSQL's
   * differ in a few, such as the wave dash of EUC_JP.
   */
  readonly isExact: boolean;
}

/** @param name value of the parameter client_encoding. */
export function clientEncoding(name: string): ClientEncoding {
  const key = encodingKey(name);
  // Under SQL_ASCII the server takes bytes as they are; what is not UTF-8 cannot be read safely.
  if (key === 'utf8' || key === 'unicode' || key === 'sqlascii') {
    return { name, codec: UTF8, isSafe: true, isExact: true };
  }
  if (key === 'latin1') return { name, codec: BYTES, isSafe: true, isExact: true };
  const label = ENCODING_LABELS[key];
  if (label === undefined) return { name, codec: ASCII, isSafe: false, isExact: false };
  return { name, codec: decoderCodec(label), isSafe: true, isExact: false };
}

/** For encodings that we do not read: text that is the same in all of them. */
const ASCII: TextCodec = {
  decode(bytes) {
    if (bytes.some((byte) => byte >= 0x80)) {
      throw new UndecodableText('text has bytes beyond ASCII in an encoding that is not supported');
    }
    return BYTES.decode(bytes);
  },
  encode: encodeAscii,
};

function decoderCodec(label: string): TextCodec {
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return {
    decode(bytes) {
      try {
        return decoder.decode(bytes);
      } catch (cause) {
        throw new UndecodableText('text is not valid in client_encoding', { cause });
      }
    },
    encode: encodeAscii,
  };
}

/** The platform has decoders only; what the gateway writes itself is nearly always ASCII. */
function encodeAscii(text: string): Uint8Array {
  if (!/^[\0-\x7f]*$/.test(text)) {
    throw new ProtocolError('text is not ASCII');
  }
  return BYTES.encode(text);
}
