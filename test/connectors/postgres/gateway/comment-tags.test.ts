import { expect, test } from 'vitest';
import {
  commentTags,
  isTraceparent,
} from '../../../../src/connectors/postgres/gateway/statements/comment-tags.ts';

const TRACE = '00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01';

test('The example of the sqlcommenter specification is read', () => {
  const text = `SELECT * FROM FOO /*action='%2Fparam*d',controller='index',framework='spring',traceparent='${TRACE}',tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/`;
  expect(commentTags(text)).toEqual({
    action: '/param*d',
    controller: 'index',
    framework: 'spring',
    traceparent: TRACE,
    tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
  });
});

test.each([
  ["SELECT 1 /*a='1'*/;", { a: '1' }],
  ["SELECT 1; /* a='1' , b='2' */ \n", { a: '1', b: '2' }],
  ["/*a='1'*/ SELECT 1", { a: '1' }],
  ["SELECT 1 /* prose */ /*a='1'*/", { a: '1' }],
  ["SELECT 1 /*name='O%5C%27Brien',b='x'*/", { b: 'x', name: "O\\'Brien" }],
  ["SELECT 1 /*name='O\\'Brien'*/", { name: "O'Brien" }],
  ["SELECT 1 /*route%2Ename='x'*/", { 'route.name': 'x' }],
])('%s', (text, tags) => {
  expect(commentTags(text)).toEqual(tags);
});

test.each([
  'SELECT 1',
  '',
  '*/',
  '/*/',
  'SELECT 1 /* why not */',
  'SELECT 1 /*+ IndexScan(t) */',
  "SELECT 1 /*a='1*/",
  'SELECT 1 /*a=1*/',
  "SELECT 1 /*a='1' b='2'*/",
  "SELECT 1 /*a='1',*/",
  "SELECT 1 /*='1'*/",
  "SELECT 1 /*__proto__='1'*/",
  "SELECT 1 /*1='1'*/",
  // In a literal and in front of something: text of the statement, not about it.
  "SELECT '/*a=''1''*/'",
  "SELECT 1 /*a='1'*/ + 2",
  // Percent-encoding that is none, and half a character.
  "SELECT 1 /*a='%'*/",
  "SELECT 1 /*a='%C3'*/",
  `SELECT 1 /*a='${'x'.repeat(513)}'*/`,
  `SELECT 1 /*a='1',${' '.repeat(5000)}b='2'*/`,
])('nothing is taken from %s', (text) => {
  expect(commentTags(text)).toBeUndefined();
});

test('No more than 16 tags are kept', () => {
  const many = Array.from({ length: 40 }, (_, index) => `k${index}='v'`).join(',');
  expect(Object.keys(commentTags(`SELECT 1 /*${many}*/`) ?? {})).toHaveLength(16);
});

test('A traceparent is what W3C Trace Context says, or it is left out', () => {
  const zeros = '0'.repeat(32);
  expect(isTraceparent(TRACE)).toBe(true);
  expect(isTraceparent(TRACE.replace('00-', 'cc-').concat('-what-comes-later'))).toBe(true);
  for (const wrong of [
    TRACE.toUpperCase(),
    TRACE.replace('00-', 'ff-'),
    `${TRACE}-more`,
    TRACE.slice(1),
    `00-${zeros}-c532cb4098ac3dd2-01`,
    `00-5bd66ef5095369c7b0d1f8f4bd33716a-${'0'.repeat(16)}-01`,
  ]) {
    expect(isTraceparent(wrong)).toBe(false);
    expect(commentTags(`SELECT 1 /*traceparent='${wrong}'*/`)).toBeUndefined();
  }
});

test('A comment of any size costs one look from each end', () => {
  const deep = `${'/*'.repeat(500_000)}*/`;
  expect(commentTags(deep)).toBeUndefined();
  expect(commentTags(`SELECT 1 ${';'.repeat(500_000)}`)).toBeUndefined();
});
