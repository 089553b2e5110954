import { describe, expect, test } from 'vitest';
import { canonicalJson, parseCanonicalJson } from '../../src/recording/canonical-json.ts';

const parse = (text: string) => parseCanonicalJson(Buffer.from(text), 'it');

describe('canonicalJson', () => {
  test('sorts members by UTF-16 code units, as RFC 8785 §3.2.3 shows', () => {
    const value = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😂': 5, '\u0080': 6, ö: 7 };
    expect(canonicalJson(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😂":5,"\ufb33":3}');
  });

  test('escapes as RFC 8785 §3.2.2.2 shows', () => {
    expect(canonicalJson('€$\u000f\nA\'B"\\\\"/')).toBe('"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
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
