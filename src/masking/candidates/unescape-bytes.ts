/**
 * The bytes behind escapes, for looking at them: of JSON strings, and what `unescapedText` takes off
 * any text. Where a step here cannot say what the detectors would read it says so, and they are asked.
 */

/** What stands in `to` up to `length`; `isOdd`: only the detectors know. */
export interface Unescaped {
  bytes: Buffer;
  length: number;
  isOdd: boolean;
}

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const QUOTE = 0x22;
const KEPT_BYTES = 1024 * 1024;

/** Memory for it, kept from value to value while it is not large. */
export class UnescapedBytes implements Unescaped {
  bytes = Buffer.alloc(0);
  length = 0;
  isOdd = false;

  begin(room: number): void {
    if (this.bytes.length < room || this.bytes.length > KEPT_BYTES) {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(room, 1024));
    }
    this.length = 0;
    this.isOdd = false;
  }

  put(byte: number): void {
    this.bytes[this.length] = byte;
    this.length += 1;
  }

  /** @param code UTF-16 unit or code point, as UTF-8; half of a pair may become a digit with the other. */
  putCode(code: number): void {
    if (code < 0x80) {
      this.put(code);
      return;
    }
    if (code < 0x800) this.put(0xc0 | (code >> 6));
    else {
      if (code >= 0xd800 && code < 0xe000) this.isOdd = true;
      if (code < 0x10000) this.put(0xe0 | (code >> 12));
      else {
        this.put(0xf0 | (code >> 18));
        this.put(0x80 | ((code >> 12) & 0x3f));
      }
      this.put(0x80 | ((code >> 6) & 0x3f));
    }
    this.put(0x80 | (code & 0x3f));
  }
}

/** Of a whole JSON text; its structure stays. */
export function unescapeJson(
  from: Uint8Array,
  start: number,
  end: number,
  to: UnescapedBytes,
): void {
  to.begin(end - start);
  const out = to.bytes;
  let length = 0;
  let isInString = false;
  for (let at = start; at < end; at += 1) {
    const byte = from[at] ?? 0;
    if (byte !== BACKSLASH) {
      if (byte === QUOTE) isInString = !isInString;
      // Not JSON: JSON.parse would refuse the string, and it is read as it stands.
      else if (byte < 0x20 && isInString) to.isOdd = true;
      out[length] = byte;
      length += 1;
      continue;
    }
    const plain = at + 1 < end ? (JSON_ESCAPES[from[at + 1] ?? 0] ?? 0) : 0;
    if (plain !== 0) {
      out[length] = plain;
      length += 1;
      at += 1;
      continue;
    }
    to.length = length;
    const escaped = jsonCode(from, at, end, to);
    if (escaped === 0) {
      to.isOdd = true;
      return;
    }
    length = to.length;
    at += escaped - 1;
  }
  to.length = length;
}

/** `\u0061`, or two of them for one character. @returns how long it is; 0: there is none. */
function jsonCode(from: Uint8Array, at: number, end: number, to: UnescapedBytes): number {
  const code = from[at + 1] === 0x75 ? hexAt(from, at + 2, end, 4) : -1;
  if (code === -1) return 0;
  const isPaired =
    code >= 0xd800 && code < 0xdc00 && from[at + 6] === BACKSLASH && from[at + 7] === 0x75;
  const low = isPaired ? hexAt(from, at + 8, end, 4) : -1;
  if (low >= 0xdc00 && low < 0xe000) {
    to.putCode(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
    return 12;
  }
  to.putCode(code);
  return 6;
}

const JSON_ESCAPES = new Uint8Array(256);
for (const [letter, plain] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  JSON_ESCAPES[(letter ?? '').charCodeAt(0)] = (plain ?? '').charCodeAt(0);
}

/** Of hexadecimal as bytea has it, up to where it is none. */
export function unescapeHex(
  from: Uint8Array,
  start: number,
  end: number,
  to: UnescapedBytes,
): void {
  to.begin((end - start) >> 1);
  for (let at = start; at + 1 < end; at += 2) {
    const high = HEX[from[at] ?? 0] ?? 0xff;
    const low = HEX[from[at + 1] ?? 0] ?? 0xff;
    if (high === 0xff || low === 0xff) return;
    to.put((high << 4) | low);
  }
}

/**
 * The bytes of all `hexRuns` of a text, with a zero between them.
 * @returns whether there was one
 */
export function unescapeHexRuns(
  from: Uint8Array,
  start: number,
  end: number,
  to: UnescapedBytes,
): boolean {
  to.begin(end - start);
  for (let at = start; at + 2 < end; at += 1) {
    if (from[at] !== BACKSLASH || ((from[at + 1] ?? 0) | 0x20) !== 0x78) continue;
    const behind = endOfHex(from, at + 2, end);
    if (behind - at - 2 < SHORTEST_RUN) continue;
    for (let place = at + 2; place < behind; place += 2) to.put(hexAt(from, place, end, 2));
    to.put(0);
    at = behind - 1;
  }
  return to.length > 0;
}

/** In hexadecimal digits. */
const SHORTEST_RUN = 12;

/** Behind the last pair of hexadecimal digits. */
function endOfHex(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at + 1 < end && HEX[bytes[at] ?? 0] !== 0xff && HEX[bytes[at + 1] ?? 0] !== 0xff) at += 2;
  return at;
}

/** As `unescapedText` does it. @returns whether there was an escape. */
export function unescapeText(
  from: Uint8Array,
  start: number,
  end: number,
  to: UnescapedBytes,
): boolean {
  to.begin(end - start);
  const out = to.bytes;
  let isEscaped = false;
  let written = 0;
  for (let at = start; at < end; at += 1) {
    const byte = from[at] ?? 0;
    let length = 0;
    if (byte === PERCENT || byte === BACKSLASH || byte === AMPERSAND) {
      to.length = written;
      if (byte === PERCENT) length = percent(from, at, end, to);
      else if (byte === BACKSLASH) length = backslash(from, at, end, to);
      else length = ampersand(from, at, end, to);
      written = to.length;
    }
    if (length > 0) {
      isEscaped = true;
      at += length - 1;
    } else {
      out[written] = byte;
      written += 1;
    }
  }
  to.length = written;
  return isEscaped;
}

/** These three: @returns how long the escape is that begins at `at`; 0: there is none. */
function percent(from: Uint8Array, at: number, end: number, to: UnescapedBytes): number {
  const code = hexAt(from, at + 1, end, 2);
  if (code >= 0 && code < 0x80) {
    to.put(code);
    return 3;
  }
  if (code !== 0xc2 || from[at + 3] !== PERCENT || hexAt(from, at + 4, end, 2) !== 0xa0) return 0;
  to.putCode(0xa0);
  return 6;
}

function backslash(from: Uint8Array, at: number, end: number, to: UnescapedBytes): number {
  if (at + 1 >= end) return 0;
  const next = from[at + 1] ?? 0;
  const lower = next | 0x20;
  if (lower === 0x75) return coded(hexAt(from, at + 2, end, 4), 6, to);
  if (lower === 0x78) {
    const code = hexAt(from, at + 2, end, 2);
    // Beyond ASCII it is no escape to the detectors: in `\xa4539…` the 4 is a digit of what follows.
    return code < 0x80 ? coded(code, 4, to) : 0;
  }
  if (next >= 0x30 && next <= 0x33) {
    const second = at + 3 < end ? (from[at + 2] ?? 0) - 0x30 : -1;
    const third = at + 3 < end ? (from[at + 3] ?? 0) - 0x30 : -1;
    const isOctal = second >= 0 && second < 8 && third >= 0 && third < 8;
    return isOctal ? coded((next - 0x30) * 64 + second * 8 + third, 4, to) : 0;
  }
  const plain = TEXT_ESCAPES[next] ?? 0;
  if (plain === 0) return 0;
  to.put(plain);
  return 2;
}

const TEXT_ESCAPES = new Uint8Array(256);
for (const [letter, plain] of [
  ...['n\n', 'r\r', 't\t', 'b\b', 'f\f', 'v\v', 'N\n', 'R\r', 'T\t', 'B\b', 'F\f', 'V\v'],
  ...['""', "''", '//', '\\\\'],
]) {
  TEXT_ESCAPES[(letter ?? '').charCodeAt(0)] = (plain ?? '').charCodeAt(0);
}

const LONGEST_ENTITY = 8;
const ENTITIES = new Map([
  ['nbsp', 0xa0],
  ['amp', 0x26],
  ['quot', 0x22],
  ['apos', 0x27],
  ['lt', 0x3c],
  ['gt', 0x3e],
]);

function ampersand(from: Uint8Array, at: number, end: number, to: UnescapedBytes): number {
  const semicolon = from.subarray(at, Math.min(end, at + LONGEST_ENTITY)).indexOf(0x3b);
  if (semicolon < 2) return 0;
  const name = Buffer.from(from.buffer, from.byteOffset + at + 1, semicolon - 1).toString('latin1');
  const number = /^#(?:([0-9]{1,5})|x([0-9a-f]{1,4}))$/i.exec(name);
  if (number === null) return coded(ENTITIES.get(name.toLowerCase()) ?? -1, semicolon + 1, to);
  const [, decimal, hex] = number;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  return coded(code & 0xffff, semicolon + 1, to);
}

function coded(code: number, length: number, to: UnescapedBytes): number {
  if (code < 0) return 0;
  to.putCode(code);
  return length;
}

/** @returns -1: not so many hexadecimal digits stand there. */
function hexAt(bytes: Uint8Array, at: number, end: number, digits: number): number {
  if (at + digits > end) return -1;
  let code = 0;
  for (let index = 0; index < digits; index += 1) {
    const digit = HEX[bytes[at + index] ?? 0] ?? 0xff;
    if (digit === 0xff) return -1;
    code = code * 16 + digit;
  }
  return code;
}

const HEX = new Uint8Array(256).fill(0xff);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX[digit.charCodeAt(0)] = value;
  HEX[digit.toUpperCase().charCodeAt(0)] = value;
}
