/**
 * Text of a recording for people. Wrong bytes become U+FFFD instead of an error: a replay must
 * show what can be shown.
 */

/** PostgreSQL's names (src/common/encnames.c, letters and digits only) to WHATWG labels. */
const LABELS: Readonly<Record<string, string>> = {
  utf8: 'utf-8',
  unicode: 'utf-8',
  sqlascii: 'utf-8',
  latin1: 'iso-8859-1',
  latin2: 'iso-8859-2',
  latin3: 'iso-8859-3',
  latin4: 'iso-8859-4',
  latin5: 'iso-8859-9',
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
  win1254: 'windows-1254',
  win1255: 'windows-1255',
  win1256: 'windows-1256',
  win1257: 'windows-1257',
  win1258: 'windows-1258',
  eucjp: 'euc-jp',
  euckr: 'euc-kr',
};

export type DecodeText = (bytes: Uint8Array) => string;

export const decodeUtf8: DecodeText = decoderFor('UTF8');

/** @param encoding client_encoding as the client or ParameterStatus gave it; unknown ones read as UTF-8. */
export function decoderFor(encoding: string): DecodeText {
  const label = LABELS[encoding.toLowerCase().replace(/[^a-z0-9]/g, '')] ?? 'utf-8';
  const decoder = new TextDecoder(label, { fatal: false, ignoreBOM: true });
  return (bytes) => decoder.decode(bytes);
}
