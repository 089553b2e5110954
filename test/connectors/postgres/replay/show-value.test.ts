import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decoderFor } from '../../../../src/connectors/postgres/replay/client-encoding.ts';
import { showValue } from '../../../../src/connectors/postgres/replay/show-value.ts';
import { RecordingProxy } from '../../../replay/recording-proxy.ts';

const decodeUtf8 = decoderFor('UTF8');

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

function show(typeOid: number, hex: string, limit = 2000): string | null {
  return showValue(bytes(hex), { format: 1, typeOid, decode: decodeUtf8, limit });
}

describe('values in binary format', () => {
  test.each([
    ['numeric 0', 1700, '0000000000000000', '0'],
    ['numeric NaN', 1700, '00000000c0000000', 'NaN'],
    ['numeric infinity', 1700, '00000000d0000000', 'Infinity'],
    ['date infinity', 1082, '7fffffff', 'infinity'],
    ['timestamp -infinity', 1114, '8000000000000000', '-infinity'],
    ['timestamp before the epoch', 1114, 'ffffffffffffffff', '1999-12-31 23:59:59.999999'],
    ['empty array', 1007, '000000000000000000000017', '{}'],
  ])('%s', (_name, typeOid, hex, shown) => {
    expect(show(typeOid, hex)).toBe(shown);
  });

  test('a length that the type does not have is shown in hex', () => {
    expect(show(23, '0102')).toBe('\\x0102');
    expect(show(1700, '00')).toBe('\\x00');
    expect(show(2950, '00')).toBe('\\x00');
    expect(show(1007, '00000001')).toBe('\\x00000001');
  });

  test('an unknown type is shown in hex', () => {
    expect(show(999_999, 'cafe')).toBe('\\xcafe');
  });

  test('an array that promises more than it has is shown in hex', () => {
    const promises = `00000001000000000000001700ffffff00000001`;
    expect(show(1007, promises)).toBe(`\\x${promises}`);
  });

  test('a long value is cut and says how long it is', () => {
    expect(show(17, 'ab'.repeat(50), 20)).toBe(`\\x${'ab'.repeat(10)}… (50 bytes)`);
    expect(show(25, '61'.repeat(50), 20)).toBe(`${'a'.repeat(20)}… (50 bytes)`);
  });

  test('random bytes are shown for every type', () => {
    let state = 7;
    const next = () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return state >> 16;
    };
    for (let round = 0; round < 3000; round++) {
      const typeOid = [16, 20, 700, 1007, 1009, 1082, 1114, 1186, 1700, 869, 2950, 3802, 1185][
        next() % 13
      ];
      const value = Uint8Array.from({ length: next() % 40 }, () => next() % (next() % 2 ? 4 : 256));
      const shown = showValue(value, {
        format: 1,
        typeOid: typeOid ?? 0,
        decode: decodeUtf8,
        limit: 100,
      });
      expect(typeof shown).toBe('string');
      expect((shown ?? '').length).toBeLessThan(260);
    }
  });
});

describe('values in text format', () => {
  test('NULL is null and the empty string is empty', () => {
    const options = { format: 0, typeOid: 25, decode: decodeUtf8, limit: 10 };
    expect(showValue(null, options)).toBe(null);
    expect(showValue(new Uint8Array(0), options)).toBe('');
  });

  test('bytes that are no text become replacement characters', () => {
    const options = { format: 0, typeOid: 25, decode: decodeUtf8, limit: 10 };
    expect(showValue(bytes('61ff62'), options)).toBe('a\ufffdb');
  });

  test('PostgreSQL names of encodings are understood', () => {
    expect(decoderFor('WIN1251')(bytes('ef'))).toBe('п');
    expect(decoderFor('latin-9')(bytes('a4'))).toBe('€');
    expect(decoderFor('EUC_JP')(bytes('c6fc'))).toBe('日');
    expect(decoderFor('no such')(bytes('c3a9'))).toBe('é');
  });
});

describe('against a real server', () => {
  let proxy: RecordingProxy;
  beforeAll(async () => {
    proxy = await RecordingProxy.start();
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
  });

  test('the binary format is shown as the text format is', async () => {
    const values = [
      'true',
      "'-32768'::int2",
      '2147483647::int4',
      "'-9223372036854775808'::int8",
      '4294967295::oid',
      '0.1::float4',
      '-1.5e-7::float8',
      '16777217::float4',
      '123456::float4',
      '1234567::float4',
      "'-0'::float8",
      "'1e15'::float8",
      "'123456789012345'::float8",
      "'0.0001'::float8",
      "'0.00001'::float8",
      "'NaN'::float8",
      "'-Infinity'::float4",
      "'3.4028235e38'::float4",
      "'00123.4500'::numeric",
      "'-0.00000001'::numeric",
      "'100000000'::numeric",
      "'99999999999999999999999999999.1234567890123456789'::numeric",
      "'0.10'::numeric(10,2)",
      "'NaN'::numeric",
      "'text é 日本'::text",
      "'pad'::char(6)",
      '\'{"a": [1, 2]}\'::jsonb',
      '\'{"b":1}\'::json',
      "'\\x00ff'::bytea",
      "'2024-02-29'::date",
      "'0044-03-15 BC'::date",
      "'infinity'::date",
      "'2024-02-29 23:59:59.123456'::timestamp",
      "'1969-07-20 20:17:40.5'::timestamp",
      "'2024-02-29 23:59:59.12+02'::timestamptz",
      "'-infinity'::timestamptz",
      "'04:05:06.789'::time",
      "'1 year 2 mons 3 days 04:05:06.789'::interval",
      "'-00:00:01'::interval",
      "'0'::interval",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
      "'192.168.1.5'::inet",
      "'10.0.0.0/8'::cidr",
      "'{1,NULL,3}'::int4[]",
      "'{{1,2},{3,4}}'::int8[]",
      "array['a,b','','NULL','q\"q','plain']::text[]",
      "'{}'::text[]",
    ];
    const sql = `select ${values.map((value, index) => `${value} as c${index}`).join(', ')}`;
    const settings = "set timezone to 'UTC'";
    const text = await proxy.rows([settings, sql], { binary: false });
    const binary = await proxy.rows([settings, sql], { binary: true });
    expect(text.length).toBe(1);
    expect(binary).toEqual(text);
  });
});
