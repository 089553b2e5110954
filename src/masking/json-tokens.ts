/**
 * Steps over JSON in bytes. In all encodings that clients may have the bytes of ASCII stand for
 * themselves, so nothing has to be decoded to find where a value ends. The server has checked the
 * syntax; this is only as strict as is needed to find the same ends as it does.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** @returns the first offset from `at` on that is no white space. */
export function skipSpace(json: Uint8Array, at: number): number {
  let offset = at;
  while (isSpace(json[offset])) offset += 1;
  return offset;
}

/** @returns the offset behind the string that begins at `at`; undefined: none does, or it has no end. */
export function stringEnd(json: Uint8Array, at: number): number | undefined {
  if (json[at] !== QUOTE) return undefined;
  for (let offset = at + 1; offset < json.length; offset += 1) {
    const byte = json[offset];
    if (byte === QUOTE) return offset + 1;
    if (byte === BACKSLASH) offset += 1;
  }
  return undefined;
}

/** @returns the offset behind the value that begins at `at`, however deep it is. */
export function valueEnd(json: Uint8Array, at: number): number | undefined {
  let depth = 0;
  let offset = at;
  do {
    const byte = json[offset];
    if (byte === QUOTE) {
      const end = stringEnd(json, offset);
      if (end === undefined) return undefined;
      offset = end;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      offset += 1;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
      offset += 1;
    } else if (depth > 0) {
      offset += 1;
    } else {
      return literalEnd(json, offset);
    }
    if (offset > json.length) return undefined;
  } while (depth > 0);
  return depth === 0 ? offset : undefined;
}

/** A number, true, false or null. */
function literalEnd(json: Uint8Array, at: number): number | undefined {
  let offset = at;
  while (offset < json.length && isLiteral(json[offset] ?? 0)) offset += 1;
  return offset === at ? undefined : offset;
}

function isLiteral(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x45
  );
}

export function isNull(json: Uint8Array, at: number): boolean {
  return (
    json[at] === 0x6e &&
    json[at + 1] === 0x75 &&
    json[at + 2] === 0x6c &&
    json[at + 3] === 0x6c &&
    !isLiteral(json[at + 4] ?? 0)
  );
}

const ESCAPED: ReadonlyMap<number | undefined, number> = new Map([
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/**
 * The text in a string, in the encoding that it came in: the bytes that the SQL value has. The
 * server escapes only quotes, backslashes and control characters; undefined where there is another.
 * @param at of the quote @param end behind the other one
 */
export function stringBytes(json: Uint8Array, at: number, end: number): Uint8Array | undefined {
  const inner = json.subarray(at + 1, end - 1);
  if (!inner.includes(BACKSLASH)) return inner;
  const text = new Uint8Array(inner.length);
  let length = 0;
  for (let offset = 0; offset < inner.length; offset += 1) {
    let byte = inner[offset] ?? 0;
    if (byte === BACKSLASH) {
      offset += 1;
      const known = ESCAPED.get(inner[offset]);
      if (known === undefined) {
        const code = asciiCode(inner, offset);
        if (code === undefined) return undefined;
        byte = code;
        offset += 4;
      } else {
        byte = known;
      }
    }
    text[length] = byte;
    length += 1;
  }
  return text.subarray(0, length);
}

/** `u0061`; of other characters it depends on the encoding which bytes they are. */
function asciiCode(bytes: Uint8Array, at: number): number | undefined {
  const hex = String.fromCharCode(...bytes.subarray(at, at + 5));
  return /^u00[0-7][0-9a-fA-F]$/.test(hex) ? Number.parseInt(hex.slice(1), 16) : undefined;
}
