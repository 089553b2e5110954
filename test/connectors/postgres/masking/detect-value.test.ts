import { describe, expect, test } from 'vitest';
import {
  isDetectable,
  valueWithoutHits,
} from '../../../../src/connectors/postgres/masking/detect-value.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import type { DetectorName } from '../../../../src/policy/types.ts';

const CARD = '4012888888881881';
const detectors = new Set<DetectorName>(['card', 'email', 'ssn']);

function clean(
  value: Uint8Array | string,
  typeOid: number,
  format: 0 | 1 = 0,
  isUtf8 = true,
): string | null | undefined {
  const result = valueWithoutHits(Buffer.from(value), typeOid, format, {
    detectors,
    counts: new Map(),
    isText: (oid) => oid === 99_999,
    isUtf8,
  });
  return result instanceof Uint8Array
    ? Buffer.from(result).toString(isUtf8 ? 'utf8' : 'latin1')
    : result;
}

const CARD_HEX = Buffer.from(CARD).toString('hex');

describe('text format', () => {
  test.each([
    ['text', TYPE.text, `pay ${CARD} now`, 'pay [card] now'],
    ['an array of text', 1009, `{x,${CARD},"a b"}`, '{x,[card],"a b"}'],
    ['a row', TYPE.record, `(1,"pay ${CARD}",)`, '(1,"pay [card]",)'],
    ['numeric', TYPE.numeric, `${CARD}.00`, null],
    ['bigint', TYPE.int8, CARD, null],
    ['an array of bigint', 1016, `{1,${CARD},NULL}`, '{1,NULL,NULL}'],
    ['float8', TYPE.float8, '4.012888888881881e+15', null],
    [
      'bytea in hex',
      TYPE.bytea,
      `\\x${Buffer.from(`p ${CARD}`).toString('hex')}`,
      '\\x70205b636172645d',
    ],
    ['bytea with escapes', TYPE.bytea, `\\351${CARD}\\377`, '\\351[card]\\377'],
    ['bytea in a row', TYPE.record, `(1,"\\\\x${CARD_HEX}20")`, '(1,"\\\\x5b636172645d20")'],
    [
      'bytea that is UTF-8 in a row',
      TYPE.record,
      `(1,"\\\\x${Buffer.from('Ü müller@bücher.example').toString('hex')}")`,
      `(1,"\\\\x${Buffer.from('Ü [email]').toString('hex')}")`,
    ],
    ['bytea as text', TYPE.text, `\\xff${CARD_HEX}`, '\\xff5b636172645d'],
    ['bytea in JSON', TYPE.json, `{"b":"\\\\x${CARD_HEX}"}`, '{"b":"\\\\x5b636172645d"}'],
    ['a domain or an unknown type', 123_456, CARD, '[card]'],
  ] as const)('%s', (_title, typeOid, value, expected) => {
    expect(clean(value, typeOid)).toBe(expected);
  });

  test.each([
    ['text', TYPE.text, 'pay 4012888888881882 now'],
    ['a number that is no card', TYPE.numeric, '4012888888881882'],
    ['a digest in a row', TYPE.record, `("\\\\x${'9f'.repeat(32)}")`],
    ['half of a byte', TYPE.text, `\\x9${CARD_HEX}`],
    ['a number with a fraction', TYPE.numeric, `${CARD}.5`],
    ['text that is not UTF-8', TYPE.text, Buffer.from([0xff, 0x40, 0xff, 0x40, 0x41, 0x42])],
  ] as const)('leaves %s alone', (_title, typeOid, value) => {
    expect(clean(value, typeOid)).toBeUndefined();
  });

  test('bytes around a hit come out as they were, whatever their encoding', () => {
    const value = Buffer.concat([
      Buffer.from([0xe9, 0x20]),
      Buffer.from(CARD),
      Buffer.from([0x20, 0xff]),
    ]);
    expect(clean(value, TYPE.text, 0, false)).toBe('\xe9 [card] \xff');
  });
});

describe('JSON stays JSON', () => {
  test.each([
    [`{"a":"pay ${CARD}","b":[1,2]}`, '{"a":"pay [card]","b":[1,2]}'],
    [`{"pan": ${CARD}}`, '{"pan": null}'],
    [`{"pan":-${CARD}}`, '{"pan":null}'],
    [`{"${CARD}":1}`, '{"[card]":1}'],
    ['{"a":"4012\\u00388888888\\u0031881"}', '{"a":"[card]"}'],
    ['{"a":"x\\"\\n ada@corp.example"}', '{"a":"x\\"\\n [email]"}'],
    [`"${CARD}"`, '"[card]"'],
    [CARD, 'null'],
  ])('%s', (json, expected) => {
    expect(clean(json, TYPE.jsonb)).toBe(expected);
    expect(() => JSON.parse(expected)).not.toThrow();
    const binary = Buffer.concat([Buffer.from([1]), Buffer.from(json)]);
    expect(clean(binary, TYPE.jsonb, 1)).toBe(`\x01${expected}`);
  });

  test('numbers side by side are not one number', () => {
    expect(clean('[4012,8888,8888,1881]', TYPE.json)).toBeUndefined();
    expect(clean('{"lat":45.3914880343,"lon":-64.6700000001}', TYPE.json)).toBeUndefined();
  });

  test('a very long string does not exhaust the search', () => {
    const json = `{"a":"${'x\\n'.repeat(500_000)} ${CARD}"}`;
    expect(clean(json, TYPE.json)?.endsWith(' [card]"}')).toBe(true);
  });
});

describe('binary format', () => {
  const int32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const value = (bytes: Uint8Array): Buffer => Buffer.concat([int32(bytes.length), bytes]);
  const array = (typeOid: number, ...elements: Uint8Array[]): Buffer =>
    Buffer.concat([...[1, 0, typeOid, elements.length, 1].map(int32), ...elements.map(value)]);
  const int8 = Buffer.alloc(8);
  int8.writeBigInt64BE(BigInt(CARD));
  const float8 = Buffer.alloc(8);
  float8.writeDoubleBE(Number(CARD));
  const numeric = Buffer.from([
    0, 4, 0, 3, 0, 0, 0, 0, 0x0f, 0xac, 0x22, 0xb8, 0x22, 0xb8, 0x07, 0x59,
  ]);

  test.each([
    ['text', TYPE.text, Buffer.from(`pay ${CARD}`), 'pay [card]'],
    ['citext and enums', 99_999, Buffer.from(CARD), '[card]'],
    ['bigint', TYPE.int8, int8, null],
    ['float8', TYPE.float8, float8, null],
    ['numeric', TYPE.numeric, numeric, null],
    ['an array of text', 1009, array(25, Buffer.from('x'), Buffer.from(CARD)), null],
    ['an array of bigint', 1016, array(20, Buffer.alloc(8), int8), null],
    ['a row', TYPE.record, Buffer.concat([int32(1), int32(25), value(Buffer.from(CARD))]), null],
    [
      'an array of rows',
      2287,
      array(2249, Buffer.concat([int32(1), int32(25), value(Buffer.from(CARD))])),
      null,
    ],
    ['bytea', TYPE.bytea, Buffer.from(`p ${CARD}`), 'p [card]'],
    ['a type we do not know', 123_456, Buffer.from(`\0\x02${CARD}\0`), null],
  ] as const)('%s', (_title, typeOid, bytes, expected) => {
    expect(clean(bytes, typeOid, 1)).toBe(expected);
  });

  test('a length word in front of an element is no digit of it', () => {
    // 48 = 0x30 = '0': read as text it would make the number one digit longer.
    const element = Buffer.from(`${CARD}${' '.repeat(32)}`);
    expect(element).toHaveLength(48);
    expect(clean(array(25, element), 1009, 1)).toBeNull();
  });

  test('rubbish is left alone', () => {
    for (const typeOid of [1009, TYPE.record, TYPE.numeric, TYPE.jsonb, 123_456]) {
      expect(clean(Buffer.from('ffffffffffffffffffffffff', 'hex'), typeOid, 1)).toBeUndefined();
    }
  });
});

test('stored numbers are not looked at, computed ones are', () => {
  expect(isDetectable(TYPE.int8, false)).toBe(false);
  expect(isDetectable(TYPE.int8, true)).toBe(true);
  expect(isDetectable(TYPE.uuid, true)).toBe(false);
  expect(isDetectable(1016, false)).toBe(false);
  expect(isDetectable(TYPE.text, false)).toBe(true);
});
