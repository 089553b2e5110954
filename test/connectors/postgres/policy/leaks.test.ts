import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasonsToAct, SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

/** Every masked value of the sample data starts with these digits, and nothing else does. */
const CANARY = '77';
const MASKED = new Set(['public.people.secret', 'public.people.mail', 'public.pay.pan']);

/**
 * Statements that really show a masked value: the server is asked, and only then the analysis must
 * have a reason to mask or refuse.
 */
const LEAKS: Readonly<Record<string, readonly string[]>> = {
  'by name': [
    'SELECT secret FROM people',
    'SELECT * FROM people',
    'TABLE people',
    'SELECT p FROM people p',
    'SELECT (p).secret FROM people p',
    'SELECT (p.*).secret FROM people p',
    'SELECT q.d FROM (TABLE people) q (a, b, c, d)',
    "SELECT q.d FROM people p, LATERAL (VALUES (p.*, '')) q (a, b, c, d)",
    'SELECT z.h FROM (SELECT q.*, note, note, note FROM people p, LATERAL nullif(p, NULL) q, tasks) z (a, b, c, h)',
    "SELECT q.column4 FROM people p, LATERAL (VALUES ((p).*, '', '', '')) q",
    'SELECT secret FROM former_people',
    'SELECT secret FROM everyone',
    'SELECT pan FROM pay_2024_01',
    'SELECT backwards FROM people WHERE reverse(backwards) LIKE $$77%$$',
    'SELECT v FROM recursive_view',
    'SELECT note FROM named_again',
    'SELECT up FROM stored_view',
    'SELECT person, history FROM snapshots',
    'SELECT box FROM boxes',
    'SELECT (unnest(history)).* FROM snapshots',
  ],
  'by computing': [
    "SELECT concat(p), format('%s', p), p::text FROM people p",
    'SELECT row_to_json(p) FROM people p',
    'SELECT p.to_jsonb FROM people p',
    'SELECT hstore(p) FROM people p',
    'SELECT json_agg(people) FROM people',
    "SELECT string_agg(secret, ',') FROM people",
    'SELECT mode() WITHIN GROUP (ORDER BY secret) FROM people',
    'SELECT first_value(secret) OVER (ORDER BY id) FROM people',
    'SELECT ARRAY(SELECT secret FROM people)',
    'SELECT (ARRAY(SELECT p FROM people p))[1].secret',
    'SELECT xmlforest(secret) FROM people',
    'SELECT xmlelement(name e, xmlattributes(secret AS a)) FROM people',
    "SELECT jsonb_path_query(to_jsonb(p), '$.secret') FROM people p",
    'SELECT x FROM people, unnest(ARRAY[secret]) x',
    'SELECT JSON_ARRAY(SELECT secret FROM people)',
    "SELECT v FROM people p, JSON_TABLE(to_jsonb(p), '$' COLUMNS (v text PATH '$.secret')) j",
    "SELECT (json_populate_record(NULL::tasks, json_build_object('note', secret))).note FROM people",
    "SELECT secret FROM (SELECT 'x' AS secret UNION ALL SELECT secret FROM people) q",
    'SELECT secret FROM people EXCEPT SELECT name FROM people',
    'WITH RECURSIVE r (n, a, b) AS (SELECT 1, (SELECT secret FROM people WHERE id = 1), $$$$ UNION ALL SELECT n + 1, $$$$, a FROM r WHERE n < 3) SELECT b FROM r',
    'SELECT CASE WHEN x.v = p.secret THEN x.v END FROM people p, (VALUES ($$7700000001$$)) x (v)',
    'SELECT max(s) FROM (SELECT secret FROM people UNION SELECT $$$$) q (s)',
  ],
  'by comparing, where the shown value is another one': [
    "SELECT x.v FROM people p, (VALUES ('7700000001'), ('5')) x (v) WHERE x.v = p.secret",
    "SELECT x.v FROM (VALUES ('7700000001'), ('5')) x (v) WHERE x.v IN (SELECT secret FROM people)",
    "SELECT x.v FROM (VALUES ('7700000001'), ('5')) x (v) INTERSECT SELECT secret FROM people",
    'SELECT g FROM generate_series(7700000000, 7700000005) g WHERE EXISTS (SELECT FROM people WHERE secret = g::text)',
    'SELECT g FROM generate_series(7700000000, 7700000005) g ORDER BY abs(g - (SELECT secret::bigint FROM people WHERE id = 1)) LIMIT 1',
    'SELECT max(g) FROM generate_series(7700000000, 7700000005) g WHERE g::text <= (SELECT secret FROM people WHERE id = 1)',
    'SELECT (array_agg(g ORDER BY abs(g - (SELECT secret::bigint FROM people WHERE id = 1))))[1] FROM generate_series(7700000000, 7700000005) g',
    "SELECT string_agg(d, '' ORDER BY g) FROM people p, generate_series(1, 10) g, (VALUES ('0'), ('1'), ('7')) v (d) WHERE substr(p.secret, g, 1) = d AND p.id = 1",
  ],
  'by changing data': [
    'UPDATE people SET name = name WHERE id = 1 RETURNING secret',
    'UPDATE people SET name = name WHERE id = 1 RETURNING old.secret',
    'INSERT INTO tasks (id, note) SELECT 50, secret FROM people WHERE id = 1 RETURNING note',
    'WITH i AS (INSERT INTO tasks (id, note) SELECT 50, secret FROM people WHERE id = 1 RETURNING note) SELECT note FROM i',
    'MERGE INTO tasks t USING people p ON t.id = p.id WHEN MATCHED THEN UPDATE SET hours = 1 RETURNING p.secret',
    'WITH m (a, b, c, d) AS (MERGE INTO tasks t USING people p ON t.id = p.id WHEN MATCHED THEN UPDATE SET hours = 1 RETURNING *) SELECT d FROM m',
    'WITH u (a, b, c, d) AS (UPDATE tasks SET hours = 1 FROM people AS old WHERE tasks.id = old.id RETURNING old.*) SELECT d FROM u',
    'WITH u AS (UPDATE tasks SET hours = 1 FROM people AS new WHERE tasks.id = new.id RETURNING new AS u) SELECT to_jsonb(u) FROM u',
    'DELETE FROM tasks WHERE id = 1 RETURNING (SELECT secret FROM people WHERE id = 1)',
    'UPDATE named SET who = who WHERE nr = 1 RETURNING code',
  ],
  'by code that is not built in': [
    'SELECT get_secret(1)',
    'SELECT * FROM show_all()',
    'SELECT count(*) FROM people WHERE shout(secret) IS NOT NULL',
    'SELECT glue(secret) FROM people',
    "SELECT secret ||| '' FROM people",
    "SELECT count(*) FROM people WHERE secret OPERATOR(hr.=) 'x'",
    'SELECT count(secret::noisy) FROM people',
    'SELECT (secret::pair).a FROM people',
    "INSERT INTO audited VALUES (1, 'x') RETURNING v",
    'DO $$ BEGIN RAISE NOTICE $n$%$n$, (SELECT secret FROM people WHERE id = 1); END $$',
  ],
  'by functions that run SQL of their own': [
    "SELECT query_to_xml('SELECT secret FROM people', true, false, '')",
    "SELECT table_to_xml('people', true, false, '')",
    "SELECT schema_to_xml('public', true, false, '')",
    "SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', secret) FROM public.people')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, to_tsquery(''simple'', secret) FROM public.people')",
  ],
  'by statistics': [
    "SELECT most_common_vals FROM pg_stats WHERE tablename = 'pay' AND attname = 'pan' UNION ALL SELECT histogram_bounds FROM pg_stats WHERE attname = 'secret'",
    "SELECT * FROM pg_stats WHERE attname = 'secret'",
    "SELECT s FROM pg_stats s WHERE attname = 'secret'",
    "SELECT x.b FROM pg_stats AS x (a, b, c, d, e, f, g, h, i, j) WHERE x.c = 'secret' UNION SELECT x.j::text FROM pg_stats AS x (a, b, c, d, e, f, g, h, i, j) WHERE x.c = 'secret'",
  ],
};

/** Values that are stored where nothing is masked, so that the next statement could show them. */
const COPIES: readonly string[] = [
  'CREATE TABLE copy AS SELECT secret FROM people',
  'CREATE TEMP TABLE copy AS SELECT to_jsonb(p) FROM people p',
  'SELECT secret INTO copy FROM people',
  'SELECT name INTO copy FROM people UNION SELECT secret FROM people',
  'CREATE MATERIALIZED VIEW copy AS SELECT secret FROM people',
  'EXPLAIN ANALYZE CREATE TABLE copy AS SELECT secret FROM people',
  'INSERT INTO tasks (id, note) SELECT id, secret FROM people',
  'INSERT INTO tasks (id, note) VALUES (1, (SELECT secret FROM people LIMIT 1)) ON CONFLICT DO NOTHING',
  "INSERT INTO tasks (id, note) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = (SELECT secret FROM people LIMIT 1)",
  "INSERT INTO people (id, secret) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.secret",
  "INSERT INTO people (id, secret) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = people.secret, secret = EXCLUDED.secret",
  'INSERT INTO tasks (id, note) SELECT id, secret FROM people ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note',
  'UPDATE tasks SET note = p.secret FROM people p WHERE p.id = owner',
  'UPDATE people SET name = secret',
  'UPDATE people SET secret = name, name = secret',
  'MERGE INTO tasks t USING people p ON t.id = p.id WHEN NOT MATCHED THEN INSERT (id, note) VALUES (p.id, p.secret)',
  'WITH u AS (UPDATE tasks SET note = (SELECT secret FROM people LIMIT 1) RETURNING 1) SELECT 1',
  "SELECT set_config('a.b', secret, false) FROM people",
  "SELECT count(*) FROM people WHERE set_config('a.b', secret, false) IS NOT NULL",
  "SELECT pg_notify('c', secret) FROM people",
  'SELECT pg_try_advisory_lock(secret::bigint) FROM people',
  "SELECT setval('numbers', secret::bigint) FROM people",
  // Which rows are left tells the value.
  'DELETE FROM tasks WHERE note NOT IN (SELECT secret FROM people)',
  'UPDATE tasks SET done = true FROM people p WHERE p.secret = note',
  'INSERT INTO tasks (id, note) SELECT t.id, t.note FROM tasks t JOIN people p ON p.secret = t.note',
];

describe('what shows a masked value is masked or refused', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(SAMPLE_SCHEMA);
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  for (const [way, statements] of Object.entries(LEAKS)) {
    test(way, async () => {
      for (const sql of statements) {
        expect(await bench.really(sql), `the server shows nothing: ${sql}`).toContain(CANARY);
        expect(reasonsToAct(await bench.analyse(sql), MASKED), sql).not.toEqual([]);
      }
    });
  }

  test('copies to where nothing is masked are seen as stored', async () => {
    for (const sql of COPIES) {
      expect(reasonsToAct(await bench.analyse(sql), MASKED), sql).toContain('stored');
    }
  });
});
