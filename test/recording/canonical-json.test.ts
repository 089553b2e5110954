import { describe, expect, test } from 'vitest';
import { canonicalJson, parseCanonicalJson } from '../../src/recording/formats/canonical-json.ts';

const parse = (text: string) => parseCanonicalJson(Buffer.from(text), 'it');

describe('canonicalJson', () => {
  test('sorts members by UTF-16 code units, as RFC 8785 §3.2.3 shows', () => {
    const value = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😂': 5, '\u0080': 6, ö: 7 };
    expect(canonicalJson(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😂":5,"\ufb33":3}');
  });

  test('escapes as RFC 8785 §3.2.2.2 shows', () => {
    expect(canonicalJson('€$\u000f\nA\'B"\\\\"/')).toBe('"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
  });

  test('does not depend on the order in which members were added', () => {
    const members: [string, unknown][] = [
      ['10', 1],
      ['2', 'x'],
      ['', true],
      ['a', { z: [1, { b: null, a: undefined }], y: 'ü"\\\u0007' }],
      ['B', []],
      ['undefined', undefined],
      ['€', { '': {} }],
    ];
    const expected = canonicalJson(Object.fromEntries(members));
    expect(expected).toBe(
      '{"":true,"10":1,"2":"x","B":[],"a":{"y":"ü\\"\\\\\\u0007","z":[1,{"b":null}]},"€":{"":{}}}',
    );
    const sorted = members.toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (let turn = 0; turn < members.length; turn += 1) {
      sorted.push(...sorted.splice(0, 1));
      expect(canonicalJson(Object.fromEntries(sorted))).toBe(expected);
    }
  });

  test('an object that writes itself as something else is written as what it is', () => {
    expect(canonicalJson({ a: { b: 1, toJSON: undefined } })).toBe('{"a":{"b":1}}');
    expect(canonicalJson({ a: new Date(0) })).toBe('{"a":{}}');
  });

  test('leaves out undefined members', () => {
    expect(canonicalJson({ b: undefined, a: [] })).toBe('{"a":[]}');
  });

  for (const [what, value] of [
    ['a fraction', 1.5],
    ['a number above 2^53', 2 ** 53],
    ['minus zero', -0],
    ['NaN', Number.NaN],
    ['half a surrogate pair', '\ud800'],
    ['a function', () => 1],
    ['undefined in an array', [undefined]],
    ['an array with a hole', Array(1)],
    ['a bad number deep inside', { a: [{ b: 0.5 }] }],
    ['half a surrogate pair in a key', { '\udc00': 1 }],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => canonicalJson({ value })).toThrow();
    });
  }
});

describe('parseCanonicalJson', () => {
  test('reads what canonicalJson writes', () => {
    const value = { a: [1, true, null, 'x'], b: { c: '' } };
    expect(parse(canonicalJson(value))).toEqual(value);
  });

  for (const [what, text] of [
    ['whitespace', '{"a": 1}'],
    ['a duplicate key', '{"a":1,"a":1}'],
    ['members out of order', '{"b":1,"a":2}'],
    ['a rounded number', '{"a":9007199254740993}'],
    ['an exponent', '{"a":1e3}'],
    ['a needless escape', '{"a":"\\u0041"}'],
    ['a byte order mark', '\ufeff{}'],
    ['a final newline', '{}\n'],
    ['no JSON', '{'],
    ['hostile nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => parse(text)).toThrow(/^(it|JSON)/);
    });
  }

  test('refuses bytes that are not UTF-8', () => {
    expect(() => parseCanonicalJson(Uint8Array.of(0x22, 0xff, 0x22), 'it')).toThrow(
      'it is not UTF-8',
    );
  });
});
