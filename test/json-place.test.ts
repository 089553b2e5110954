import { expect, test } from 'vitest';
import { findJsonError } from '../src/json-place.ts';

test.each([
  ['{\n  "gateway": "https://a",\n}', 3, 1],
  ['{\n  "gateway": https://a\n}', 2, 14],
  ['{"a": 1,\n "b" 2}', 2, 6],
  ["{'a': 1}", 1, 2],
  ['{"a": 1} x', 1, 10],
  ['{"a": "line\nbreak"}', 1, 12],
  ['{"a": 1', 1, 8],
  ['', 1, 1],
  ['# hoop\n{}', 1, 1],
  ['{"a": tru, "b": 1}', 1, 10],
  ['{"a": "\\x"}', 1, 9],
])('the error in %j is at line %d, column %d', (text, line, column) => {
  expect(findJsonError(text)).toEqual({ line, column });
});
