/**
 * What the server makes of the name of a prepared statement or portal. It keeps 63 bytes, in its
 * own encoding, and two names that agree in them are one: without this a statement could be closed
 * and made anew under `aaa…2`, and still be checked as the one of before under `aaa…1`.
 */
import { isAscii } from 'node:buffer';

/** NAMEDATALEN - 1, bytes: prepared statements and portals are kept in hash tables of such keys. */
const MAX_BYTES = 63;
/** The parser cuts a name of SQL between characters: in another encoding not where the server does. */
const MAX_CLIPPED = MAX_BYTES - 4;

/** What nearly every client sends, of fewer bytes than MAX_CLIPPED. */
const PLAIN = /^[\x20-\x7e]{0,58}$/;

/** How sure it is that the server has the same characters of a name as we do. */
export interface NameReading {
  /** Names are cut as we cut them. */
  readonly serverIsUtf8: boolean;
  /** Both sides convert characters beyond ASCII in the same way. */
  readonly isExact: boolean;
}

/** @returns undefined: it cannot be known. */
export function serverName(name: string, reading: NameReading): string | undefined {
  if (PLAIN.test(name)) return name;
  const cut = cutToBytes(name);
  if (isAscii(Buffer.from(cut))) {
    return reading.serverIsUtf8 || cut.length < MAX_CLIPPED ? cut : undefined;
  }
  return reading.serverIsUtf8 && reading.isExact ? cut : undefined;
}

/** As strlcpy() does, in the middle of a character too; what is left of one is kept apart. */
function cutToBytes(name: string): string {
  // No character has fewer bytes than UTF-16 units, and none more than three for each.
  if (name.length * 3 <= MAX_BYTES) return name;
  // What is behind them is not looked at, however long the name is.
  const bytes = Buffer.from(name.slice(0, MAX_BYTES + 1));
  if (bytes.length <= MAX_BYTES) return name;
  let end = MAX_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  const rest = [...bytes.subarray(end, MAX_BYTES)];
  const whole = bytes.subarray(0, end).toString();
  return whole + String.fromCharCode(...rest.map((byte) => 0xdc00 + byte));
}
