/** A hash shows which stored values are equal. What a statement brings along must never get one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { bind, errors, execute, parse, query, RawClient, rows, sync } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE TABLE keys (id int PRIMARY KEY, apikey text, other text);
  INSERT INTO keys VALUES (1, 'KEY-1', 'a'), (2, 'KEY-2', 'b');
  CREATE TABLE short (id int, apikey varchar(5), other text);
  CREATE TABLE longer (id int PRIMARY KEY, apikey text, other text);
  INSERT INTO longer VALUES (2, 'KEY-1-and-more', 'c');
  CREATE VIEW both_of AS SELECT id, apikey FROM keys UNION ALL SELECT 0, 'KEY-1';
`);
const real = realEngine(target);

const ROW = '(2,KEY-1,x)';
/** What brings KEY-1 along and reads nothing of the row that holds it. */
const GUESSES: readonly string[] = [
  `SELECT CASE WHEN id = 1 THEN to_jsonb(apikey) ELSE '"KEY-1"'::jsonb END FROM keys WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN to_jsonb(apikey) ELSE '"KEY-1"' END FROM keys WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN to_jsonb(apikey) ELSE to_jsonb('KEY-1'::text) END FROM keys WHERE id = 2`,
  `SELECT (CASE WHEN id = 1 THEN to_json(apikey) ELSE '"KEY-1"'::json END)::text FROM keys WHERE id = 2`,
  `SELECT to_jsonb(CASE WHEN id = 1 THEN apikey ELSE 'KEY-1' END) FROM keys WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN apikey ELSE 'KEY-1' END FROM keys WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN to_jsonb(k) ELSE current_setting('hoop.none', true)::jsonb END, coalesce(to_jsonb(k), '{"apikey": "KEY-1"}') FROM (SELECT 1) o LEFT JOIN keys k ON k.id = 9`,
  `SELECT CASE WHEN id = 1 THEN to_json(k) ELSE '{"apikey":"KEY-1","apikey":null}'::json END FROM keys k WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN to_json(k) ELSE '{"apikey":"KEY-1"${' '.repeat(11_000)}}'::json END FROM keys k WHERE id = 2`,
  `SELECT CASE WHEN id = 1 THEN jsonb_build_array(apikey) ELSE '["KEY-1"${' '.repeat(11_000)}]'::jsonb END FROM keys k WHERE id = 2`,
  `SELECT coalesce((SELECT jsonb_agg(apikey) FROM keys WHERE id = 9), '["KEY-1"${' '.repeat(11_000)}]'::jsonb)`,
  `SELECT coalesce((SELECT jsonb_object_agg(id, apikey) FROM keys WHERE id = 9), '{"2": "KEY-1"${' '.repeat(11_000)}}'::jsonb)`,
  `SELECT CASE WHEN id = 1 THEN jsonb_build_object('a', to_jsonb(k)) ELSE '{"a": {"apikey": "KEY-1"}${' '.repeat(11_000)}}'::jsonb END FROM keys k WHERE id = 2`,
  `SELECT to_jsonb(k) || '{"apikey": "KEY-1"}' FROM keys k WHERE id = 2`,
  `SELECT to_jsonb(k) || jsonb_build_object('apikey', 'KEY-1'::text) FROM keys k WHERE id = 2`,
  `SELECT json_build_object('apikey', apikey, 'apikey', 'KEY-1'::text) FROM keys WHERE id = 2`,
  `SELECT jsonb_set(to_jsonb(k), '{apikey}', '"KEY-1"') FROM keys k WHERE id = 2`,
  `SELECT JSON_VALUE(to_jsonb(k), '$.none' DEFAULT 'KEY-1' ON EMPTY) FROM keys k WHERE id = 2`,
  `SELECT JSON_OBJECT('a': CASE WHEN id = 1 THEN apikey ELSE 'KEY-1' END) FROM keys WHERE id = 2`,
  `SELECT JSON_SCALAR(coalesce((SELECT apikey FROM keys WHERE id = 9), 'KEY-1'))`,
  `SELECT to_json(ARRAY[apikey, 'KEY-1']) FROM keys WHERE id = 2`,
  `SELECT ARRAY[to_jsonb(apikey), '"KEY-1"'::jsonb] FROM keys WHERE id = 2`,
  `SELECT to_json(ARRAY[to_json(apikey), '"KEY-1"'::json]) FROM keys WHERE id = 2`,
  `SELECT array_append(array_agg(apikey), 'KEY-1') FROM keys WHERE id = 2`,
  `SELECT (CASE WHEN id = 1 THEN k ELSE '${ROW}' END).apikey FROM keys k WHERE id = 2`,
  `SELECT row_to_json(CASE WHEN id = 1 THEN k ELSE '${ROW}' END) FROM keys k WHERE id = 2`,
  `SELECT (coalesce((SELECT k FROM keys k WHERE id = 9), '${ROW}')).apikey`,
  `SELECT (ARRAY[k, '${ROW}'])[2].apikey FROM keys k WHERE id = 2`,
  `SELECT u.apikey FROM keys k, unnest(ARRAY[k, '${ROW}']) u WHERE k.id = 2`,
  `SELECT u.apikey FROM unnest(ARRAY(SELECT k FROM keys k WHERE id = 9) || '{"${ROW}"}') u`,
  `SELECT (x).apikey FROM (SELECT k AS x FROM keys k WHERE id = 9 UNION ALL SELECT '${ROW}') q`,
  `SELECT (x).apikey FROM (VALUES ((SELECT k FROM keys k WHERE id = 9)), ('${ROW}')) q (x)`,
  `SELECT (x).apikey FROM (SELECT lag(k, 1, '${ROW}') OVER () AS x FROM keys k WHERE id = 2) q`,
  `SELECT (jsonb_populate_record(k, '{"apikey": "KEY-1"}')).apikey FROM keys k WHERE id = 2`,
  `SELECT (CASE WHEN id = 1 THEN ROW(apikey, 1) ELSE ROW('KEY-1', 2) END) FROM keys WHERE id = 2`,
  `SELECT (ROW(id, apikey, other)::short).apikey FROM longer WHERE id = 2`,
  `SELECT to_json(ROW(id, apikey, other)::short) FROM longer WHERE id = 2`,
  `SELECT apikey FROM keys WHERE id = 9 UNION ALL SELECT 'KEY-1'`,
  `SELECT to_jsonb(apikey) FROM keys WHERE id = 9 UNION ALL SELECT '"KEY-1"'`,
  `SELECT to_jsonb(k) FROM keys k WHERE id = 9 UNION ALL SELECT '{"apikey": "KEY-1"}'`,
  `WITH RECURSIVE r (k) AS (SELECT apikey FROM keys WHERE id = 2 UNION ALL SELECT 'KEY-1' FROM r WHERE k <> 'KEY-1') SELECT k FROM r`,
  `SELECT apikey FROM (VALUES ((SELECT apikey FROM keys WHERE id = 2)), ('KEY-1')) v (apikey)`,
  'SELECT apikey FROM both_of WHERE id = 0',
  'SELECT to_json(b) FROM both_of b WHERE id = 0',
  `SELECT lag(apikey, 1, 'KEY-1') OVER () FROM keys WHERE id = 2`,
  `SELECT coalesce((SELECT apikey FROM keys WHERE id = 9), 'KEY-1'), nullif('KEY-1', apikey), greatest(apikey, 'KEY-1') FROM keys WHERE id = 2`,
  `SELECT apikey FROM keys FULL JOIN (VALUES ('KEY-1')) v (apikey) USING (apikey) WHERE id IS NULL`,
  `SELECT left(apikey, 4) || '1' FROM keys WHERE id = 2`,
  `SELECT replace(apikey, '2', '1'), format('%s', 'KEY-1'), concat('KEY-1', left(apikey, 0)) FROM keys WHERE id = 2`,
];

describe.each(['deny', 'allow'] as const)('where inference is %s', (inference) => {
  const grant = grantOf({
    rules: ['allow *'],
    masks: ['public.keys.apikey hash', 'public.longer.apikey hash'],
    inference,
  });
  let engine: Bench;
  let client: RawClient;
  let hash: string;
  beforeAll(async () => {
    engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
    client = await RawClient.open(engine.port);
    hash = rows(await client.ask([query('SELECT apikey FROM keys WHERE id = 1')]))[0]?.[0] ?? '';
    expect(hash).toMatch(/\S{16}/);
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  test.each(GUESSES)('a guess has no hash: %#', async (sql) => {
    const received = await client.ask([query(sql)]);
    expect(received.some(({ body }) => body.includes(hash))).toBe(false);
  });

  test.each([
    ['CASE WHEN id = 1 THEN to_jsonb(apikey) ELSE $1 END', '"KEY-1"'],
    ['CASE WHEN id = 1 THEN to_jsonb(k) ELSE $1 END', '{"id": 2, "apikey": "KEY-1"}'],
    ['CASE WHEN id = 1 THEN jsonb_build_array(apikey) ELSE $1::jsonb END', '["KEY-1"]'],
    ['(CASE WHEN id = 1 THEN k ELSE $1 END).apikey', ROW],
    ['coalesce((SELECT to_jsonb(k) FROM keys k WHERE id = 9), $1)', '{"apikey": "KEY-1"}'],
    ["to_jsonb(k) || jsonb_build_object('apikey', $1::text)", 'KEY-1'],
  ])('a guess that is a parameter has no hash: %s', async (value, guess) => {
    const messages = [
      parse(`SELECT ${value} FROM keys k WHERE id = 2`),
      bind({ values: [guess] }),
      execute(),
      sync,
    ];
    const received = await client.ask([messages]);
    expect(errors(received)).toEqual([]);
    expect(received.some(({ body }) => body.includes(hash))).toBe(false);
  });

  test.each([
    'SELECT apikey FROM keys k WHERE id = 1',
    'SELECT to_jsonb(apikey) FROM keys k WHERE id = 1',
    'SELECT to_jsonb(k) FROM keys k WHERE id = 1',
    'SELECT CASE WHEN id = 1 THEN to_jsonb(k) ELSE NULL END FROM keys k WHERE id = 1',
    "SELECT coalesce(jsonb_agg(k), '[]') FROM keys k WHERE id = 1",
    "SELECT coalesce(jsonb_agg(apikey), '[]'::jsonb) FROM keys k WHERE id = 1",
    "SELECT coalesce(to_jsonb(k), '{}') FROM keys k WHERE id = 1",
    'SELECT (CASE WHEN id = 1 THEN k END).apikey FROM keys k WHERE id = 1',
    'SELECT apikey FROM keys WHERE id = 1 UNION ALL SELECT apikey FROM keys WHERE id = 2',
  ])('a stored value keeps its hash: %s', async (sql) => {
    const received = await client.ask([query(sql)]);
    expect(errors(received)).toEqual([]);
    expect(received.some(({ body }) => body.includes(hash))).toBe(true);
  });
});
