/** Documents that are made to be expensive: they are judged as fast as others, or count as one value. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OutputMask } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { MaskIndex } from '../../../../src/connectors/postgres/policy/masks/mask-index.ts';
import { outputMask } from '../../../../src/connectors/postgres/policy/verdict/evaluate-masks.ts';
import { grantOf } from './grant-fixture.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SAMPLE_SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

async function maskOf(sql: string): Promise<OutputMask | undefined> {
  const [analysis] = await bench.analyse(sql);
  const [output] = analysis?.outputs ?? [];
  const { masks } = grantOf({ masks: ['public.people.secret full'] });
  expect(analysis?.opaque).toEqual([]);
  return output && outputMask(output, new MaskIndex(masks, bench.catalog));
}

const wrapped = (times: number, wrap: (inner: string) => string, start: string): string =>
  Array.from({ length: times }).reduce<string>((inner) => wrap(inner), start);

const START = 'SELECT secret AS x FROM people';
const PAIR = (inner: string) => `SELECT json_build_array(x, x) AS x FROM (${inner}) q`;
const ROWS = (inner: string) => `SELECT to_json(ROW(x, x)) AS x FROM (${inner}) q`;
const OBJECT = (inner: string) => `SELECT json_build_object('a', x, 'b', x) AS x FROM (${inner}) q`;

test.each([
  ['arrays', wrapped(40, PAIR, START)],
  ['rows', wrapped(40, ROWS, START)],
  ['objects', wrapped(40, OBJECT, START)],
  ['all of them', wrapped(15, (inner) => PAIR(ROWS(OBJECT(inner))), START)],
])('%s in each other count as one value', async (_title, sql) => {
  expect(await maskOf(sql)).toMatchObject({ mask: 'full' });
  expect(await maskOf(sql)).not.toHaveProperty('document');
});

test.each([
  ['aggregates', wrapped(100, (inner) => `SELECT json_agg(x) AS x FROM (${inner}) q`, START)],
  [
    'arrays by way of WITH',
    `WITH q0 AS (${START})${Array.from({ length: 900 }, (_, at) => `, q${at + 1} AS (SELECT json_build_array(x) AS x FROM q${at})`).join('')} SELECT CASE WHEN true THEN x ELSE x END FROM q900`,
  ],
])('of %s in each other the inner ones count as one value', async (_title, sql) => {
  expect(await maskOf(sql)).toMatchObject({ mask: 'full' });
});

test.each([
  ['arrays', PAIR],
  ['rows', ROWS],
  ['objects', OBJECT],
  [
    'lists of other lengths',
    (inner: string) =>
      `SELECT CASE WHEN true THEN json_build_array(x, x) ELSE json_build_array(x) END AS x FROM (${inner}) q`,
  ],
])('one of two such documents: %s', async (_title, wrap) => {
  const [one, other] = [
    wrapped(30, wrap, START),
    wrapped(30, wrap, 'SELECT mail AS x FROM people'),
  ];
  const sql = `SELECT CASE WHEN true THEN (SELECT x FROM (${one}) q) ELSE (SELECT x FROM (${other}) q) END`;
  expect(await maskOf(sql)).toMatchObject({ mask: 'full' });
});

test('a document with what is masked at one place is masked at that place', async () => {
  const mask = await maskOf("SELECT json_build_object('s', secret, 'n', ARRAY[name]) FROM people");
  expect(mask?.document).toMatchObject({
    type: 'object',
    members: [
      { key: 's', mask: { type: 'value', mask: 'full', typeOid: 25 }, optional: false },
      { key: 'n', mask: undefined, optional: false },
    ],
  });
});

test('a document without masked values has no mask', async () => {
  expect(await maskOf('SELECT json_agg(t) FROM tasks t')).toBeUndefined();
});
