/**
 * The encodings under which a statement means to the parser what it means to the server: those in
 * which no byte of a longer character is an ASCII byte. Under SJIS, BIG5, GBK and their like the
 * second byte may be a backslash or a quote, so there the gateway reads ASCII only.
 * https://www.postgresql.org/docs/18/multibyte.html#CHARSET-TABLE
 */
import { ProtocolError } from '../../errors.ts';
import { BYTES, type TextCodec, UTF8 } from '../../protocol/pg/text-codec.ts';

/** PostgreSQL's names, lower case and without punctuation, to those of the Encoding Standard. */
const DECODERS: Readonly<Record<string, string>> = {
  latin2: 'iso-8859-2',
  latin3: 'iso-8859-3',
  latin4: 'iso-8859-4',
  latin6: 'iso-8859-10',
  latin7: 'iso-8859-13',
  latin8: 'iso-8859-14',
  latin9: 'iso-8859-15',
  latin10: 'iso-8859-16',
  iso88595: 'iso-8859-5',
  iso88596: 'iso-8859-6',
  iso88597: 'iso-8859-7',
  iso88598: 'iso-8859-8',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  win866: 'ibm866',
  win874: 'windows-874',
  win1250: 'windows-1250',
  win1251: 'windows-1251',
  win1252: 'windows-1252',
  win1253: 'windows-1253',
  win1255: 'windows-1255',
  win1256: 'windows-1256',
  win1257: 'windows-1257',
  win1258: 'windows-1258',
  eucjp: 'euc-jp',
  euckr: 'euc-kr',
};

export interface ClientEncoding {
  /** As the server reports it. */
  readonly name: string;
  readonly codec: TextCodec;
  /** Bytes beyond ASCII mean the same to the parser and to the server. */
  readonly isSafe: boolean;
}

/** @param name value of the parameter client_encoding. */
export function clientEncoding(name: string): ClientEncoding {
  const key = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  // Under SQL_ASCII the server takes bytes as they are; what is not UTF-8 cannot be read safely.
  if (key === 'utf8' || key === 'unicode' || key === 'sqlascii') {
    return { name, codec: UTF8, isSafe: true };
  }
  if (key === 'latin1') return { name, codec: BYTES, isSafe: true };
  const label = DECODERS[key];
  if (label === undefined) return { name, codec: ASCII, isSafe: false };
  return { name, codec: decoderCodec(label), isSafe: true };
}

/** For encodings that we do not read: text that is the same in all of them. */
const ASCII: TextCodec = {
  decode(bytes) {
    if (bytes.some((byte) => byte >= 0x80)) {
      throw new ProtocolError('text has bytes beyond ASCII in an encoding that is not supported');
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
        throw new ProtocolError('text is not valid in client_encoding', { cause });
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
