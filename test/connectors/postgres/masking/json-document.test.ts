import { describe, expect, test } from 'vitest';
import { JsonDocumentMasker } from '../../../../src/connectors/postgres/masking/json-document.ts';
import { RowMasker } from '../../../../src/connectors/postgres/masking/row-masker.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import type { DocumentMask } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import {
  decodeDataRow,
  encodeDataRow,
} from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import { HashMask, maskValue } from '../../../../src/masking/mask-value.ts';
import type { DetectorName, MaskKind } from '../../../../src/policy/types.ts';

const KEY = new Uint8Array(32);
const RULE = { id: 'p/mask', file: 'p.yaml', line: 1 };

const leaf = (mask: MaskKind = 'full', typeOid: number | undefined = TYPE.text): DocumentMask => ({
  type: 'value',
  mask,
  typeOid,
  columns: [],
  rule: RULE,
});
const object = (members: Readonly<Record<string, DocumentMask | undefined>>): DocumentMask => ({
  type: 'object',
  members: Object.entries(members).map(([key, mask]) => ({
    key: key.replace('?', ''),
    mask,
    optional: key.endsWith('?'),
  })),
});
const array = (elements: DocumentMask): DocumentMask => ({ type: 'array', elements });
const list = (...elements: readonly (DocumentMask | undefined)[]): DocumentMask => ({
  type: 'list',
  elements,
});

function masked(json: string, mask: DocumentMask): string | undefined {
  const masker = new JsonDocumentMasker({
    mask,
    maskText: (value, how) =>
      value === undefined
        ? null
        : maskValue(value, {
            mask: how.mask,
            isText: how.typeOid === TYPE.text,
            hash: new HashMask(KEY),
            decode: (bytes) => Buffer.from(bytes).toString(),
          }),
    decode: (bytes) => Buffer.from(bytes).toString(),
    clean: () => undefined,
  });
  const result = masker.rewrite(Buffer.from(json));
  return result && Buffer.from(result).toString();
}

describe('values are replaced and every other byte stays', () => {
  test.each<readonly [string, DocumentMask, string]>([
    ['{"a":"x","b":1.0}', object({ a: leaf(), b: undefined }), '{"a":"****","b":1.0}'],
    ['{"a":"x","a":"y"}', object({ a: leaf() }), '{"a":"****","a":"****"}'],
    [
      ' {\n "a" :\t"x" , "b":[1 , 2]}\r\n',
      object({ a: leaf(), b: undefined }),
      ' {\n "a" :\t"****" , "b":[1 , 2]}\r\n',
    ],
    ['{"\\u0061":"x"}', object({ a: leaf() }), '{"\\u0061":"****"}'],
    ['{"é\\"":"x"}', object({ 'é"': leaf() }), '{"é\\"":"****"}'],
    ['{"a":null}', object({ a: leaf() }), '{"a":null}'],
    ['null', object({ a: leaf() }), 'null'],
    ['{"a":12345678901234567890.10}', object({ a: leaf('full', TYPE.numeric) }), '{"a":null}'],
    ['{"a":"1815-12-10"}', object({ a: leaf('full', 1082) }), '{"a":null}'],
    ['{"a":"x"}', object({ a: leaf('null') }), '{"a":null}'],
    ['{"a":"x"}', object({ a: leaf('full', 0) }), '{"a":null}'],
    ['{"a":{"x":["y"]}}', object({ a: leaf() }), '{"a":null}'],
    ['{"a":true,"b":"x"}', object({ a: leaf(), b: undefined }), '{"a":null,"b":"x"}'],
    ['{"a":"ada@mail.example"}', object({ a: leaf('partial') }), '{"a":"a***@***.example"}'],
    ['{"a":"\\"secret"}', object({ a: leaf('partial') }), '{"a":"\\"***"}'],
    ['{"a":"\\\\secret"}', object({ a: leaf('partial') }), '{"a":"\\\\***"}'],
    ['{}', object({ 'a?': leaf() }), '{}'],
    ['[]', array(leaf()), '[]'],
    ['["a", null, 1]', array(leaf()), '["****", null, null]'],
    ['[[{"a":"x"}],[]]', array(array(object({ a: leaf() }))), '[[{"a":"****"}],[]]'],
    ['[1, "x", {"y": "]"}]', list(undefined, leaf(), undefined), '[1, "****", {"y": "]"}]'],
    ['{"k":"x","l":null}', { type: 'map', values: leaf() }, '{"k":"****","l":null}'],
    ['"x"', leaf(), '"****"'],
  ])('%s', (json, mask, expected) => {
    expect(masked(json, mask)).toBe(expected);
  });

  test('the hash is that of the column, whatever JSON had to escape', () => {
    const value = 'tab\tquote"back\\slash/é€\u0001';
    const expected = new HashMask(KEY).of(Buffer.from(value));
    const json = '{"a":"tab\\tquote\\"back\\\\slash/é€\\u0001"}';
    expect(masked(json, object({ a: leaf('hash') }))).toBe(`{"a":"${expected}"}`);
  });

  test('what is not masked may be of any depth', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const mask = object({ a: undefined, b: leaf() });
    expect(masked(`{"a":${deep},"b":"x"}`, mask)).toBe(`{"a":${deep},"b":"****"}`);
  });
});

describe('a document that does not fit is not shown', () => {
  test.each<readonly [string, DocumentMask]>([
    ['{"a":"x","b":1}', object({ a: leaf() })],
    ['{"b":1}', object({ a: leaf(), b: undefined })],
    ['{"A":"x"}', object({ a: leaf() })],
    ['[{"a":"x"}]', object({ a: leaf() })],
    ['{"a":"x"}', array(leaf())],
    ['"x"', object({ a: leaf() })],
    ['{"a":["x"]}', object({ a: object({ b: leaf() }) })],
    ['["x"]', list(leaf(), undefined)],
    ['["x", 1]', list(leaf())],
    ['{"a":"x"} {"a":"x"}', object({ a: leaf() })],
    ['{"a":"x"', object({ a: leaf() })],
    ['{"a":"x', object({ a: leaf() })],
    ['{"a":"x\\"', object({ a: leaf() })],
    ['{"a"}', object({ a: leaf() })],
    ['{"a":}', object({ a: leaf() })],
    ['{"a":"x",}', object({ a: leaf() })],
    ['{a:"x"}', object({ a: leaf() })],
    ['["x" "y"]', array(leaf())],
    ['nullx', array(leaf())],
    ['', array(leaf())],
    ['{"a":[}', object({ a: undefined, b: leaf() })],
  ])('%s', (json, mask) => {
    expect(masked(json, mask)).toBeUndefined();
  });
});

describe('in a row', () => {
  const rowOf = (
    json: string,
    typeOid: number,
    format: 0 | 1,
    detectors: readonly DetectorName[] = [],
  ): { readonly value: string | null; readonly count: number } => {
    const rows = new RowMasker({
      columns: [
        {
          typeOid,
          format,
          mask: 'full',
          document: object({ a: leaf(), b: undefined }),
          derived: true,
        },
      ],
      detectors: new Set(detectors),
      hashKey: KEY,
      isText: () => false,
      decode: (bytes) => Buffer.from(bytes).toString(),
      isUtf8: true,
    });
    const message = encodeDataRow({ values: [Buffer.from(json)] });
    const [value] = decodeDataRow(rows.rewrite(message).subarray(5)).values;
    return { value: value ? Buffer.from(value).toString() : null, count: rows.maskedValues };
  };
  const JSON_TEXT = '{"a":"x","b":"mail me at ada@mail.example"}';
  const SHOWN = '{"a":"****","b":"mail me at ada@mail.example"}';

  test.each<readonly [string, string, number, 0 | 1, string | null]>([
    ['json as text', JSON_TEXT, TYPE.json, 0, SHOWN],
    ['json as binary', JSON_TEXT, TYPE.json, 1, SHOWN],
    ['jsonb as text', JSON_TEXT, TYPE.jsonb, 0, SHOWN],
    ['jsonb as binary', `\u0001${JSON_TEXT}`, TYPE.jsonb, 1, `\u0001${SHOWN}`],
    ['a text', JSON_TEXT, TYPE.text, 0, SHOWN],
    ['jsonb of another version', `\u0002${JSON_TEXT}`, TYPE.jsonb, 1, null],
    ['json that does not fit', '{"c":"x"}', TYPE.json, 0, null],
    ['a text that does not fit', '{"c":"x"}', TYPE.text, 0, '****'],
  ])('%s', (_title, json, typeOid, format, expected) => {
    expect(rowOf(json, typeOid, format)).toEqual({ value: expected, count: 1 });
  });

  test('detectors look at what is shown, and not at masks', () => {
    expect(rowOf(JSON_TEXT, TYPE.json, 0, ['email']).value).toBe(
      '{"a":"****","b":"mail me at [email]"}',
    );
  });
});

describe('random documents', () => {
  let state = 11;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
  const pick = <T>(choices: readonly T[]): T => choices[random(choices.length)] as T;
  const STRINGS = ['', 'x', 'é"\\/\b\n', 'a]}[{', '\u2028😀', 'ada@mail.example', 'null'];
  const KEYS = ['a', 'b', 'é', '"', 'a b', '__proto__x', '0'];

  /** A document, its mask and what it must be, by way of JavaScript's own values. */
  function make(depth: number): { json: unknown; mask: DocumentMask | undefined; shown: unknown } {
    const kind = depth === 0 ? random(3) : random(7);
    if (kind === 0) {
      const json = pick<unknown>([...STRINGS, null]);
      return { json, mask: leaf(), shown: json === null ? null : '****' };
    }
    if (kind === 1) {
      return { json: pick<unknown>([1.5, true, false, null, -0.25e10]), mask: leaf(), shown: null };
    }
    if (kind === 2 || kind === 3) {
      const json = pick<unknown>([...STRINGS, 1, null, { x: [STRINGS] }, []]);
      return { json, mask: undefined, shown: json };
    }
    if (kind === 4) {
      const parts = Array.from({ length: random(4) }, () => make(depth - 1));
      const mask = list(...parts.map((part) => part.mask));
      return { json: parts.map((part) => part.json), mask, shown: parts.map((part) => part.shown) };
    }
    if (kind === 5) {
      const json = Array.from({ length: random(4) }, () => pick(STRINGS));
      return { json, mask: array(leaf()), shown: json.map(() => '****') };
    }
    const members = KEYS.filter(() => random(2) === 0).map(
      (key) => [key, make(depth - 1)] as const,
    );
    return {
      json: Object.fromEntries(members.map(([key, { json }]) => [key, json])),
      mask: {
        type: 'object',
        members: members.map(([key, { mask }]) => ({ key, mask, optional: false })),
      },
      shown: Object.fromEntries(members.map(([key, { shown }]) => [key, shown])),
    };
  }

  /** White space and escapes as the server would never write them. */
  function strange(json: unknown): string {
    const text = JSON.stringify(json, undefined, pick([0, 1, 2]));
    return random(2) === 0 ? text : text.replaceAll('"a', () => pick(['"a', '"\\u0061']));
  }

  test('are masked as a parser would mask them', () => {
    for (let round = 0; round < 3000; round += 1) {
      const { json, mask, shown } = make(4);
      if (mask === undefined) continue;
      const result = masked(strange(json), mask);
      expect(JSON.parse(result ?? '"not shown"')).toEqual(shown);
    }
  });

  test('that are damaged show nothing that stood at a masked place', () => {
    const mask = object({ a: leaf(), b: array(object({ c: leaf(), d: undefined })), e: undefined });
    const json = Buffer.from('{"a":"SECRET","b":[{"c":"SECRET","d":[1,{}]}],"e":"open"}');
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Buffer.from(json);
      for (let change = 0; change <= random(3); change += 1) {
        bytes[random(bytes.length)] = pick([...Buffer.from('{}[]":,\\ aSn0')]);
      }
      const text = bytes.toString();
      const result = masked(text, mask) ?? '';
      // Whatever is valid JSON is read as JavaScript reads it.
      let parsed: unknown;
      try {
        parsed = JSON.parse(text);
      } catch {
        continue;
      }
      const inOpen =
        JSON.stringify(Object(parsed).e ?? null) + JSON.stringify(Object(parsed).b ?? []);
      expect(result.includes('SECRET') && !inOpen.includes('SECRET')).toBe(false);
    }
  });
});
