/**
 * Text of a recording for people. Wrong bytes become U+FFFD instead of an error: a replay must
 * show what can be shown.
 */

import { ENCODING_LABELS, encodingKey } from '../protocol/encoding-labels.ts';

/** For showing only, the two Turkish ones may be read as their Windows relatives. */
const SHOWN_LABELS: Readonly<Record<string, string>> = {
  ...ENCODING_LABELS,
  latin1: 'iso-8859-1',
  latin5: 'iso-8859-9',
  win1254: 'windows-1254',
};

export type DecodeText = (bytes: Uint8Array) => string;

/** @param encoding client_encoding as the client or ParameterStatus gave it; unknown ones read as UTF-8. */
export function decoderFor(encoding: string): DecodeText {
  const label = SHOWN_LABELS[encodingKey(encoding)] ?? 'utf-8';
  const decoder = new TextDecoder(label, { fatal: false, ignoreBOM: true });
  return (bytes) => decoder.decode(bytes);
}
