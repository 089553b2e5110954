import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OutputColumn } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import { columnNames, SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

/**
 * Each case: a query, and where each of its result columns comes from.
 *   `a = people.name`          the column itself, unchanged
 *   `a < people.name, pay.id`  computed from these columns
 *   `a`                        from no column (a constant, a count)
 * Columns of inheritance children and partitions, which always come along, are left out here unless
 * the case is about them.
 */
type Case = readonly [sql: string, ...outputs: string[]];

const CASES: Readonly<Record<string, readonly Case[]>> = {
  'names, quoted or not, mean what PostgreSQL says they mean': [
    ['SELECT secret FROM people', 'secret = people.secret'],
    ['SELECT SeCrEt FROM PEOPLE', 'secret = people.secret'],
    ['SELECT "secret" FROM "public"."people"', 'secret = people.secret'],
    ['SELECT U&"secr\\0065t" FROM people', 'secret = people.secret'],
    ['SELECT people.secret FROM public.people', 'secret = people.secret'],
    ['SELECT public.people.secret FROM public.people', 'secret = people.secret'],
    ['SELECT postgres.public.people.secret FROM people', 'secret = people.secret'],
    ['SELECT p/* . */./* x */secret -- c\n FROM people p', 'secret = people.secret'],
    ['SELECT secret FROM hr.people', 'secret = hr.people.secret'],
    ['SELECT secret.secret FROM people secret', 'secret = people.secret'],
    ['SELECT "Se Cret" FROM "Odd Name"."My View"', 'Se Cret = people.secret'],
  ],
  'a count is no value: what is counted is reported apart': [
    ['SELECT count(p), count(p.*), count(*) FROM people p', 'count', 'count', 'count'],
    ['SELECT count(p.secret) FROM people p', 'count'],
    ['SELECT count(secret) FROM pay secret', 'count'],
    ['SELECT count(secret) FROM people secret', 'count'],
    ['SELECT count(q.*) FROM (SELECT secret FROM people) q', 'count'],
    ['SELECT count(DISTINCT q) FROM pay q', 'count'],
  ],
  'aliases rename and nothing else': [
    ['SELECT secret AS name FROM people', 'name = people.secret'],
    ['SELECT x FROM people AS p (a, b, c, x)', 'x = people.secret'],
    ['SELECT p.x FROM (SELECT secret, id FROM people) AS p (x)', 'x = people.secret'],
    ['SELECT j.d FROM (people CROSS JOIN tasks) AS j (a, b, c, d)', 'd = people.secret'],
    ['SELECT name FROM (SELECT secret AS name FROM people) q', 'name = people.secret'],
    ['SELECT q.name FROM people p, LATERAL (SELECT p.secret) AS q (name)', 'name = people.secret'],
  ],
  'a name that an inner query does not have is taken from the outer one': [
    ['SELECT (SELECT secret FROM tasks LIMIT 1) AS s FROM people', 's = people.secret'],
    ['SELECT (SELECT name) AS n FROM people', 'n = people.name'],
  ],
  'stars stand for all columns in order': [
    [
      'SELECT * FROM tasks',
      'id = tasks.id',
      'owner = tasks.owner',
      'title = tasks.title',
      'hours = tasks.hours',
      'done = tasks.done',
      'note = tasks.note',
    ],
    [
      'SELECT t.*, 1 AS one FROM (SELECT secret, id FROM people) t',
      'secret = people.secret',
      'id = people.id',
      'one',
    ],
    [
      'MERGE INTO pay USING (SELECT id AS a, note AS b FROM tasks) t ON pay.id = t.a WHEN MATCHED THEN DO NOTHING RETURNING *',
      'a = tasks.id',
      'b = tasks.note',
      'id = pay.id',
      'pan = pay.pan',
      'month = pay.month',
    ],
    [
      'UPDATE pay AS new SET month = $1 FROM (SELECT note FROM tasks) old RETURNING new.pan, old.*',
      'pan = pay.pan',
      'note = tasks.note',
    ],
    ['TABLE pay', 'id = pay.id', 'pan = pay.pan', 'month = pay.month'],
    [
      'SELECT * FROM (SELECT id, secret FROM people) a JOIN (SELECT id, note FROM tasks) b USING (id)',
      'id = people.id, tasks.id',
      'secret = people.secret',
      'note = tasks.note',
    ],
    [
      'SELECT * FROM (SELECT id, secret FROM people) a NATURAL JOIN (SELECT id FROM tasks) b',
      'id = people.id, tasks.id',
      'secret = people.secret',
    ],
    ['SELECT u.* FROM people p JOIN tasks t USING (id) AS u', 'id = people.id, tasks.id'],
  ],
  'WITH hides relations of the same name, inside its own reach only': [
    ['WITH people AS (SELECT 1 AS secret) SELECT secret FROM people', 'secret'],
    ['WITH people AS (SELECT * FROM people) SELECT secret FROM people', 'secret = people.secret'],
    [
      'WITH tasks AS (SELECT secret AS note FROM people) SELECT note FROM tasks',
      'note = people.secret',
    ],
    [
      'WITH a AS (WITH people AS (SELECT 1 AS secret) TABLE people), b AS (TABLE people) SELECT a.secret, b.secret AS real FROM a, b',
      'secret',
      'real = people.secret',
    ],
    [
      'WITH a (x) AS MATERIALIZED (SELECT secret FROM people), b AS (SELECT x AS y FROM a) SELECT y FROM b',
      'y = people.secret',
    ],
    [
      'WITH u AS (UPDATE people SET name = name WHERE id = 1 RETURNING secret) SELECT secret FROM u',
      'secret = people.secret',
    ],
  ],
  'recursive queries carry values from round to round and from column to column': [
    [
      'WITH RECURSIVE r (n, v) AS (SELECT 1, secret FROM people UNION ALL SELECT n + 1, v FROM r WHERE n < 3) SELECT v FROM r',
      'v = people.secret',
    ],
    [
      "WITH RECURSIVE r (n, a, b, c) AS (SELECT 1, secret, '', '' FROM people UNION ALL SELECT n + 1, '', a, b FROM r WHERE n < 4) SELECT c FROM r",
      'c < people.secret',
    ],
    [
      'WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n), max(n) FROM r',
      'sum',
      'max',
    ],
    [
      'WITH RECURSIVE r (id, v) AS (SELECT id, secret FROM people UNION ALL SELECT id, v FROM r) CYCLE v SET again USING path SELECT path FROM r',
      'path < people.id, people.secret',
    ],
  ],
  'set operations show every branch': [
    [
      'SELECT note FROM tasks UNION ALL SELECT secret FROM people',
      'note < tasks.note, people.secret',
    ],
    ['SELECT secret FROM people EXCEPT SELECT secret FROM people', 'secret = people.secret'],
    ["VALUES ('a'), ((SELECT secret FROM people LIMIT 1))", 'column1 < people.secret'],
    ["(SELECT 'a' AS x) UNION (SELECT 'b' UNION SELECT secret FROM people)", 'x < people.secret'],
  ],
  'expressions depend on all their parts, and tests are no values': [
    ['SELECT upper(secret) || name AS x FROM people', 'x < people.secret, people.name'],
    [
      'SELECT CASE WHEN secret IS NULL THEN name ELSE mail END AS x FROM people',
      'x < people.name, people.mail',
    ],
    ["SELECT secret = 'x' AS same, secret LIKE 'x' AS alike FROM people", 'same', 'alike'],
    [
      'SELECT coalesce(NULL, secret), nullif(name, mail) FROM people',
      'coalesce < people.secret',
      'nullif < people.name, people.mail',
    ],
    [
      'SELECT ARRAY[name, secret], ROW(id, secret) FROM people',
      'array < people.name, people.secret',
      'row < people.id, people.secret',
    ],
    [
      'SELECT secret::text, CAST(secret AS bytea), secret COLLATE "C" AS c FROM people',
      'secret < people.secret',
      'secret < people.secret',
      'c = people.secret',
    ],
    [
      "SELECT JSON_OBJECT('k': secret), JSON_VALUE(info, '$.a') FROM people",
      'json_object < people.secret',
      'json_value < people.info',
    ],
    [
      'SELECT xmlelement(name e, xmlattributes(secret AS a)), xmlforest(name) FROM people',
      'xmlelement < people.secret',
      'xmlforest < people.name',
    ],
    ["SELECT info->>'a' AS a, info['a'] AS b FROM people", 'a < people.info', 'b < people.info'],
    [
      'SELECT ARRAY(SELECT secret FROM people) AS a, (SELECT max(secret) FROM people) AS m',
      'a < people.secret',
      'm < people.secret',
    ],
    ['SELECT EXISTS (SELECT 1 FROM people WHERE secret IS NULL)', 'exists'],
    ['SELECT (SELECT count(*) FROM people WHERE secret IS NULL) AS n', 'n'],
  ],
  'aggregates and windows give values, in whatever order and of whichever rows': [
    ['SELECT count(*) FROM people', 'count'],
    ['SELECT count(secret), count(*) FILTER (WHERE secret IS NULL) AS n FROM people', 'count', 'n'],
    [
      'SELECT string_agg(name, mail ORDER BY secret) FROM people',
      'string_agg < people.name, people.mail',
    ],
    ['SELECT mode() WITHIN GROUP (ORDER BY secret) FROM people', 'mode < people.secret'],
    ['SELECT row_number() OVER (PARTITION BY name ORDER BY secret) FROM people', 'row_number'],
    [
      'SELECT rank() OVER w FROM people WINDOW v AS (PARTITION BY mail), w AS (v ORDER BY id)',
      'rank',
    ],
  ],
  'rows as values carry all their columns, and give back the one that is asked for': [
    ['SELECT t FROM (SELECT secret, id FROM people) t', 't < people.secret, people.id'],
    [
      'SELECT to_jsonb(t) FROM (SELECT secret, id FROM people) t',
      'to_jsonb < people.secret, people.id',
    ],
    [
      'SELECT (t).id, (t).secret FROM (SELECT t FROM (SELECT secret, id FROM people) t) u',
      'id = people.id',
      'secret = people.secret',
    ],
    ['SELECT secret(p) FROM people p', 'secret = people.secret'],
    ['SELECT p.upper FROM (SELECT secret FROM people) AS p (upper)', 'upper = people.secret'],
    ['SELECT t.to_jsonb FROM (SELECT secret FROM people) t', 'to_jsonb < people.secret'],
    ['SELECT (t).row_to_json FROM (SELECT secret FROM people) t', 'row_to_json < people.secret'],
    ['SELECT (ARRAY(SELECT t FROM (SELECT id, secret FROM people) t))[1].id', 'id = people.id'],
    ['SELECT (ROW(id, secret)).f2 FROM people', 'f2 = people.secret'],
    [
      'SELECT (CASE WHEN true THEN t END).secret FROM (SELECT id, secret FROM people) t',
      'secret = people.secret',
    ],
  ],
  'columns that hold a row of another table carry its columns': [
    ['SELECT (person).secret FROM snapshots', 'secret < people.secret, snapshots.person'],
    ['SELECT (history[1]).name FROM snapshots', 'name < people.name, snapshots.history'],
    ['SELECT h.name FROM snapshots, unnest(history) h', 'name < people.name, snapshots.history'],
    [
      'SELECT ((box).inside).secret FROM boxes',
      'secret < wrapped.inside, boxes.box, people.secret',
    ],
    ['SELECT (box).label FROM boxes', 'label < wrapped.label, boxes.box'],
  ],
  'functions in FROM depend on their arguments': [
    ['SELECT x FROM people, unnest(ARRAY[secret]) x', 'x < people.secret'],
    [
      'SELECT w FROM people, regexp_split_to_table(secret, $$$$) WITH ORDINALITY AS t (w, n)',
      'w < people.secret',
    ],
    [
      'SELECT a, b FROM people, ROWS FROM (unnest(ARRAY[secret]), generate_series(1, 2)) AS t (a, b)',
      'a < people.secret',
      'b',
    ],
    ['SELECT u.b FROM people, unnest(ARRAY[name], ARRAY[secret]) AS u (a, b)', 'b < people.secret'],
    ['SELECT r.v FROM people, jsonb_to_record(info) AS r (v text)', 'v < people.info'],
    ['SELECT value FROM people, jsonb_each(info)', 'value < people.info'],
    [
      "SELECT v FROM people, JSON_TABLE(info, '$' COLUMNS (NESTED PATH '$' COLUMNS (v text PATH '$.a')))",
      'v < people.info',
    ],
    [
      "SELECT v FROM people, XMLTABLE('/a' PASSING xmlelement(name a, secret) COLUMNS v text PATH '.')",
      'v < people.secret',
    ],
    ['SELECT g FROM generate_series(1, 10) g', 'g'],
    [
      'SELECT x.note FROM people, json_populate_record(NULL::tasks, json_build_object($$note$$, secret)) x',
      'note < people.secret',
    ],
  ],
  'views are looked through to the tables': [
    ['SELECT code FROM named', 'code = people.secret'],
    ['SELECT note FROM named_again', 'note = people.secret'],
    ['SELECT v, n FROM recursive_view', 'v = people.secret', 'n'],
    ['SELECT up FROM stored_view', 'up < people.secret'],
    ['SELECT id FROM harmless', 'id = people.id'],
  ],
  'generated columns come from what they are generated from': [
    [
      'SELECT backwards, initial FROM people',
      'backwards < people.backwards, people.secret',
      'initial < people.initial, people.name',
    ],
  ],
  'system relations are described by their own columns': [
    ['SELECT relname FROM pg_class', 'relname = pg_class.relname'],
    ['SELECT column_name FROM information_schema.columns', 'column_name = columns.column_name'],
    ['SELECT tableoid, ctid FROM tasks', 'tableoid = tasks.tableoid', 'ctid = tasks.ctid'],
  ],
  'COPY shows what it sends': [
    ['COPY people (id, secret) TO STDOUT', 'id = people.id', 'secret = people.secret'],
    ['COPY (SELECT upper(secret) FROM people) TO STDOUT (FORMAT csv)', 'upper < people.secret'],
  ],
  'RETURNING shows rows as they are and as they were': [
    [
      'UPDATE people SET name = $1 WHERE id = 1 RETURNING secret, old.mail, new.id',
      'secret = people.secret',
      'mail = people.mail',
      'id = people.id',
    ],
    [
      'INSERT INTO tasks (id, note) SELECT id, secret FROM people RETURNING note',
      'note < tasks.note, people.secret',
    ],
    [
      'UPDATE tasks SET (note, hours) = (SELECT secret, 1 FROM people) WHERE id = 1 RETURNING note, hours',
      'note < tasks.note, people.secret',
      'hours = tasks.hours',
    ],
    [
      'UPDATE people SET name = name RETURNING WITH (OLD AS o, NEW AS n) o.secret AS a, n.mail AS b',
      'a = people.secret',
      'b = people.mail',
    ],
    [
      'MERGE INTO tasks t USING people p ON t.id = p.id WHEN MATCHED THEN UPDATE SET note = p.secret RETURNING t.note, p.mail',
      'note < tasks.note, people.secret',
      'mail = people.mail',
    ],
    [
      'DELETE FROM tasks USING people p WHERE p.id = owner RETURNING p.secret',
      'secret = people.secret',
    ],
  ],
};

/** Tables that only repeat columns of people and pay. */
const FAMILY = /^(former_people|everyone|pay_2024|pay_2024_01)\./;

function described(output: OutputColumn): string {
  const sources = columnNames(output.sources)
    .map((name, index) => (output.sources[index]?.schema === 'hr' ? `hr.${name}` : name))
    .filter((name) => !FAMILY.test(name));
  const sign = output.kind === 'identity' ? '=' : '<';
  return sources.length === 0 ? output.name : `${output.name} ${sign} ${sources.join(', ')}`;
}

/** The order in which sources are found means nothing, but for the first of an identity. */
function inAnyOrder(line: string): string {
  const [head = '', tail = ''] = line.split(/ (?=[<=] )/);
  const sources = tail.slice(2).split(', ').sort().join(', ');
  return `${head} ${tail.slice(0, 1)} ${sources}`.trim();
}

describe('where result columns come from', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(SAMPLE_SCHEMA);
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  for (const [title, cases] of Object.entries(CASES)) {
    test(title, async () => {
      for (const [sql, ...expected] of cases) {
        const [analysis] = await bench.analyse(sql);
        expect(analysis?.opaque, sql).toEqual([]);
        const found = (analysis?.outputs ?? []).map(described);
        expect(found.map(inAnyOrder), sql).toEqual(expected.map(inAnyOrder));
      }
    });
  }

  test('a column brings the same column of its children, partitions and their other parents', async () => {
    const sources = async (sql: string) => {
      const [analysis] = await bench.analyse(sql);
      return columnNames(analysis?.outputs?.[0]?.sources).sort();
    };
    const family = ['everyone.secret', 'former_people.secret', 'people.secret'];
    expect(await sources('SELECT secret FROM people')).toEqual(family);
    expect(await sources('SELECT secret FROM former_people')).toEqual(family);
    expect(await sources('SELECT secret FROM everyone')).toEqual(family);
    expect(await sources('SELECT secret FROM ONLY everyone')).toEqual(['everyone.secret']);
    const partitions = ['pay.pan', 'pay_2024.pan', 'pay_2024_01.pan'];
    expect(await sources('SELECT pan FROM pay')).toEqual(partitions);
    expect(await sources('SELECT pan FROM pay_2024_01')).toEqual(partitions);
  });

  test('the named column comes first among the sources of an identity', async () => {
    const [analysis] = await bench.analyse('SELECT secret FROM former_people');
    expect(analysis?.outputs?.[0]?.sources[0]).toMatchObject({ name: 'former_people', attnum: 4 });
  });

  test('what a join or filter compares with a column is tied to it', async () => {
    const tied = async (sql: string) => {
      const [analysis] = await bench.analyse(sql);
      return columnNames(analysis?.outputs?.[0]?.tied).filter((name) => !FAMILY.test(name));
    };
    expect(await tied('SELECT t.note FROM tasks t JOIN people p ON p.secret = t.note')).toEqual([
      'people.secret',
    ]);
    expect(
      await tied('SELECT t.note FROM tasks t JOIN people p ON lower(p.secret) = lower(t.note)'),
    ).toEqual(['people.secret']);
    expect(await tied('SELECT note FROM tasks WHERE note IN (SELECT secret FROM people)')).toEqual([
      'people.secret',
    ]);
    expect(
      await tied(
        'SELECT note FROM tasks t WHERE EXISTS (SELECT FROM people p WHERE p.secret = t.note)',
      ),
    ).toEqual(['people.secret']);
    expect(await tied("SELECT v FROM (VALUES ('a')) x (v), people WHERE v = secret")).toEqual([
      'people.secret',
    ]);
    expect(
      await tied(
        "SELECT v FROM (SELECT v, v = secret AS hit FROM (VALUES ('a')) x (v), people) y WHERE hit",
      ),
    ).toEqual(['people.secret']);
    expect(
      await tied(
        'SELECT g FROM generate_series(1, 9) g ORDER BY abs(g - (SELECT length(secret) FROM people LIMIT 1)) LIMIT 1',
      ),
    ).toEqual(['people.secret']);
    expect(
      await tied("SELECT name FROM people WHERE secret = 'x' AND name <> 'y' OR id = 1"),
    ).toEqual([]);
    expect(await tied('SELECT t.title FROM tasks t JOIN people p ON p.id = t.owner')).toEqual([]);
  });

  test('values that set the number of rows or the duration are shaping', async () => {
    const shaping = async (sql: string) => {
      const [analysis] = await bench.analyse(sql);
      return columnNames(analysis?.columnsShaping).filter((name) => !FAMILY.test(name));
    };
    expect(await shaping('SELECT FROM people, generate_series(1, length(secret))')).toEqual([
      'people.secret',
    ]);
    expect(await shaping('SELECT generate_series(1, length(secret)) FROM people')).toEqual([
      'people.secret',
    ]);
    expect(
      await shaping('SELECT 1 FROM tasks LIMIT (SELECT length(secret) FROM people LIMIT 1)'),
    ).toEqual(['people.secret']);
    expect(
      await shaping(
        'SELECT count(*) FROM generate_series(1, 99) g WHERE g < (SELECT length(secret) FROM people LIMIT 1)',
      ),
    ).toEqual(['people.secret']);
    expect(
      await shaping(
        'WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT length(secret) FROM people LIMIT 1)) SELECT max(n) FROM r',
      ),
    ).toEqual(['people.secret']);
    expect(await shaping('SELECT pg_sleep(length(secret)) FROM people')).toEqual(['people.secret']);
    expect(
      await shaping(
        'SELECT id FROM tasks TABLESAMPLE SYSTEM ((SELECT length(secret) FROM people LIMIT 1))',
      ),
    ).toEqual(['people.secret']);
    expect(await shaping('SELECT h.name FROM snapshots, unnest(history) h LIMIT 5')).toEqual([]);
    expect(
      await shaping(
        "SELECT d FROM generate_series('2024-01-01'::date, '2024-02-01', '1 day') d JOIN tasks t ON t.id = extract(day FROM d) JOIN people p ON p.id = t.owner",
      ),
    ).not.toContain('people.secret');
  });
});
