/**
 * Values of parameters and columns as psql would print them. Binary formats follow the `send`
 * functions of PostgreSQL (src/backend/utils/adt); what is not known, or not as it should be,
 * is shown in hex: a replay never fails on a value.
 */
import type { DecodeText } from './client-encoding.ts';
import { typeName } from './type-names.ts';

export interface ShowOptions {
  /** 0 text, 1 binary. */
  readonly format: number;
  readonly typeOid: number;
  readonly decode: DecodeText;
  /** Characters of text that are kept. */
  readonly limit: number;
}

/** @param value null = SQL NULL. */
export function showValue(value: Uint8Array | null, options: ShowOptions): string | null {
  if (value === null) {
    return null;
  }
  if (options.format === 0) {
    return showText(value, options);
  }
  const name = typeName(options.typeOid);
  if (TEXT_TYPES.has(name)) {
    return showText(value, options);
  }
  if (name === 'jsonb' && value[0] === 1) {
    return showText(value.subarray(1), options);
  }
  const shown = showBinary(value, name, options);
  return shown === undefined ? hex(value, options.limit) : cut(shown, options.limit, value.length);
}

/** Their binary format is their text. */
const TEXT_TYPES = new Set([
  'text',
  'varchar',
  'bpchar',
  'name',
  'json',
  'xml',
  'unknown',
  '"char"',
]);

function showText(value: Uint8Array, { decode, limit }: ShowOptions): string {
  // A character has at most four bytes; what is not shown need not be decoded.
  const text = decode(value.subarray(0, limit * 4));
  return cut(text, limit, value.length);
}

function cut(text: string, limit: number, byteLength: number): string {
  return text.length > limit
    ? `${text.slice(0, limit).toWellFormed()}… (${byteLength} bytes)`
    : text;
}

function hex(value: Uint8Array, limit: number): string {
  const shown = value.subarray(0, Math.ceil(limit / 2));
  const rest = shown.length < value.length ? `… (${value.length} bytes)` : '';
  return `\\x${Buffer.from(shown).toString('hex')}${rest}`;
}

/** @returns undefined if the length or the content is not what the type has. */
function showBinary(value: Uint8Array, name: string, options: ShowOptions): string | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (name.endsWith('[]')) {
    return showArray(view, options, 0);
  }
  const fixed = FIXED[name];
  if (fixed) {
    return value.length === fixed.length ? fixed.show(view) : undefined;
  }
  switch (name) {
    case 'numeric':
      return showNumeric(view);
    case 'inet':
    case 'cidr':
      return showInet(value, name);
    default:
      return undefined;
  }
}

const FIXED: Readonly<
  Record<string, { readonly length: number; readonly show: (view: DataView) => string }>
> = {
  bool: { length: 1, show: (view) => (view.getUint8(0) === 0 ? 'f' : 't') },
  int2: { length: 2, show: (view) => String(view.getInt16(0)) },
  int4: { length: 4, show: (view) => String(view.getInt32(0)) },
  int8: { length: 8, show: (view) => String(view.getBigInt64(0)) },
  oid: { length: 4, show: (view) => String(view.getUint32(0)) },
  float4: { length: 4, show: (view) => showFloat(shortestFloat4(view.getFloat32(0)), 6) },
  float8: { length: 8, show: (view) => showFloat(view.getFloat64(0), 15) },
  date: { length: 4, show: showDate },
  time: { length: 8, show: (view) => clock(view.getBigInt64(0)) },
  timestamp: { length: 8, show: (view) => showTimestamp(view.getBigInt64(0)) },
  timestamptz: { length: 8, show: (view) => withZone(showTimestamp(view.getBigInt64(0))) },
  interval: { length: 16, show: showInterval },
  uuid: {
    length: 16,
    show: (view) =>
      Buffer.from(view.buffer, view.byteOffset, 16)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  },
};

/** The shortest digits that read back as the same 4-byte number; JavaScript's are those of 8 bytes. */
function shortestFloat4(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) {
      return short;
    }
  }
  return Number(value.toPrecision(9));
}

/** @param plainDigits from this exponent on the server writes `1e+15` (src/common/d2s.c, f2s.c). */
function showFloat(value: number, plainDigits: number): string {
  if (!Number.isFinite(value) || value === 0) {
    return Object.is(value, -0) ? '-0' : String(value);
  }
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < plainDigits) {
    return String(value);
  }
  const sign = exponent < 0 ? '-' : '+';
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** numeric_send: digit count, weight, sign, scale, then digits to the base of 10 000. */
function showNumeric(view: DataView): string | undefined {
  if (view.byteLength < 8) {
    return undefined;
  }
  const count = view.getInt16(0);
  const weight = view.getInt16(2);
  const sign = view.getUint16(4);
  const scale = view.getUint16(6);
  const special = { 49152: 'NaN', 53248: 'Infinity', 61440: '-Infinity' }[sign];
  if (special) {
    return special;
  }
  // 131 072 digits before and 16 383 after the point are the limits of the type.
  if (
    count < 0 ||
    view.byteLength !== 8 + 2 * count ||
    scale > 16_383 ||
    Math.abs(weight) > 32_768
  ) {
    return undefined;
  }
  const group = (index: number) =>
    String(index >= 0 && index < count ? view.getUint16(8 + 2 * index) : 0).padStart(4, '0');
  let whole = '';
  for (let index = 0; index <= weight; index++) {
    whole += group(index);
  }
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index++) {
    fraction += group(index);
  }
  const integer = whole.replace(/^0+(?=\d)/, '') || '0';
  const text = scale > 0 ? `${integer}.${fraction.slice(0, scale)}` : integer;
  return sign === 0x4000 ? `-${text}` : text;
}

/** network_send: family (2 or 3), mask bits, is cidr, address length, address. */
function showInet(value: Uint8Array, name: string): string | undefined {
  const [family, bits, , length] = value;
  const address = value.subarray(4);
  if (bits === undefined || address.length !== length || length !== (family === 2 ? 4 : 16)) {
    return undefined;
  }
  const text =
    family === 2
      ? address.join('.')
      : (Buffer.from(address).toString('hex').match(/.{4}/g) ?? []).join(':');
  return name === 'inet' && bits === address.length * 8 ? text : `${text}/${bits}`;
}

/** No type nests deeper than PostgreSQL's MAXDIM of 6. */
const MAX_DIMENSIONS = 6;

/** array_send: dimensions, flags, element type, (size, lower bound) each, then the elements. */
function showArray(view: DataView, options: ShowOptions, start: number): string | undefined {
  if (view.byteLength < 12) {
    return undefined;
  }
  const dimensions = view.getInt32(start);
  const typeOid = view.getUint32(start + 8);
  if (dimensions === 0) {
    return '{}';
  }
  if (dimensions < 0 || dimensions > MAX_DIMENSIONS || view.byteLength < 12 + 8 * dimensions) {
    return undefined;
  }
  const sizes: number[] = [];
  for (let index = 0; index < dimensions; index++) {
    sizes.push(view.getInt32(12 + 8 * index));
  }
  let at = 12 + 8 * dimensions;
  let length = 0;
  const element = (): string | undefined => {
    const size = at + 4 <= view.byteLength ? view.getInt32(at) : -2;
    at += 4;
    if (size === -1) {
      return 'NULL';
    }
    if (size < 0 || at + size > view.byteLength || typeName(typeOid).endsWith('[]')) {
      return undefined;
    }
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at, size);
    at += size;
    return quoteElement(showValue(bytes, { ...options, typeOid }) ?? 'NULL');
  };
  const level = (depth: number): string | undefined => {
    const parts: string[] = [];
    for (let index = 0; index < (sizes[depth] ?? 0); index++) {
      const part = depth === sizes.length - 1 ? element() : level(depth + 1);
      if (part === undefined) {
        return undefined;
      }
      parts.push(part);
      length += part.length;
      if (length > options.limit) {
        break;
      }
    }
    return `{${parts.join(',')}}`;
  };
  return level(0);
}

function quoteElement(text: string): string {
  return text === '' || /[\s{},"\\]/.test(text) || /^null$/i.test(text)
    ? `"${text.replace(/["\\]/g, '\\$&')}"`
    : text;
}

// Dates and times from their binary format (src/backend/utils/adt/{date,timestamp}.c).

/** Days and microseconds count from 2000-01-01; JavaScript counts from 1970. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const DAY_MS = 86_400_000;
const INFINITY = 0x7fffffffffffffffn;
/** What a JavaScript Date can hold, in milliseconds from its epoch. */
const MAX_DATE_MS = 8.64e15;

function showDate(view: DataView): string {
  const days = view.getInt32(0);
  if (days === 0x7fffffff || days === -0x80000000) {
    return days > 0 ? 'infinity' : '-infinity';
  }
  return calendar(EPOCH_MS + days * DAY_MS) ?? `${days} days from 2000-01-01`;
}

function showTimestamp(microseconds: bigint): string {
  if (microseconds === INFINITY || microseconds === -INFINITY - 1n) {
    return microseconds > 0n ? 'infinity' : '-infinity';
  }
  const dayMicroseconds = BigInt(DAY_MS) * 1000n;
  const time = ((microseconds % dayMicroseconds) + dayMicroseconds) % dayMicroseconds;
  const date = calendar(EPOCH_MS + Number((microseconds - time) / 1000n));
  return date ? `${date} ${clock(time)}` : `${microseconds} µs from 2000-01-01`;
}

function withZone(timestamp: string): string {
  return timestamp.includes(':') ? `${timestamp}+00` : timestamp;
}

function calendar(ms: number): string | undefined {
  if (Math.abs(ms) > MAX_DATE_MS) {
    return undefined;
  }
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  const monthDay = date.toISOString().slice(-20, -14);
  // There is no year 0: 1 BC comes before AD 1.
  return year > 0
    ? `${String(year).padStart(4, '0')}${monthDay}`
    : `${String(1 - year).padStart(4, '0')}${monthDay} BC`;
}

function clock(microseconds: bigint): string {
  const seconds = microseconds / 1_000_000n;
  const two = (value: bigint) => String(value).padStart(2, '0');
  const fraction = String(microseconds % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const whole = `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
  return fraction ? `${whole}.${fraction}` : whole;
}

function showInterval(view: DataView): string {
  const microseconds = view.getBigInt64(0);
  const days = view.getInt32(8);
  const months = view.getInt32(12);
  const parts: string[] = [];
  const years = Math.trunc(months / 12);
  if (years !== 0) {
    parts.push(`${years} ${Math.abs(years) === 1 ? 'year' : 'years'}`);
  }
  if (months % 12 !== 0) {
    parts.push(`${months % 12} ${Math.abs(months % 12) === 1 ? 'mon' : 'mons'}`);
  }
  if (days !== 0) {
    parts.push(`${days} ${Math.abs(days) === 1 ? 'day' : 'days'}`);
  }
  if (microseconds !== 0n || parts.length === 0) {
    parts.push(microseconds < 0n ? `-${clock(-microseconds)}` : clock(microseconds));
  }
  return parts.join(' ');
}
