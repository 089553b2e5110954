import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const STRICT = grantOf({
  rules: ['allow *'],
  masks: ['public.customers.card full'],
  detectors: ['card'],
  inference: 'allow',
});
const READER = grantOf({ rules: ['allow select on public.*'] });
const OWNER = grantOf({ rules: ['allow *'] });

/** Each with the outputs that are masked, by name. */
const GOES_ON: readonly (readonly [what: string, sql: string, masked: string])[] = [
  ['psql', 'SELECT * FROM pg_stat_activity', 'query'],
  ['psql', 'TABLE pg_stat_statements', 'query'],
  ['psql', 'SELECT * FROM pg_stat_statements(true)', 'query'],
  ['psql', 'SELECT * FROM pg_stat_statements_info', ''],
  ['psql', 'SELECT rolname, rolpassword FROM pg_authid', 'rolpassword'],
  ['psql', 'SELECT * FROM pg_user_mappings', 'umoptions'],
  [
    'psql',
    'SELECT * FROM pg_stats_ext',
    'most_common_vals most_common_val_nulls most_common_freqs most_common_base_freqs',
  ],
  [
    'pgAdmin: sessions of the dashboard',
    `/*pga4dash*/ SELECT pid, datname, usename, application_name, client_addr,
      pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS backend_start, state,
      wait_event_type || ': ' || wait_event AS wait_event,
      array_to_string(pg_catalog.pg_blocking_pids(pid), ', ') AS blocking_pids, query,
      pg_catalog.to_char(query_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS query_start, backend_type,
      CASE WHEN state = 'active' THEN ROUND((extract(epoch from now() - query_start) / 60)::numeric, 2) ELSE 0 END AS active_since
      FROM pg_catalog.pg_stat_activity
      WHERE datname = (SELECT datname FROM pg_catalog.pg_database WHERE oid = 5) ORDER BY pid`,
    'query',
  ],
  [
    'pgAdmin: locks of the dashboard',
    `/*pga4dash*/ SELECT pid, locktype, datname, relation::regclass, page, tuple, virtualxid transactionid,
      classid::regclass, objid, objsubid, virtualtransaction, mode, granted, fastpath
      FROM pg_locks l LEFT OUTER JOIN pg_database d ON (l.database = d.oid) ORDER BY pid, locktype`,
    '',
  ],
  [
    'pgAdmin: prepared transactions of the dashboard',
    'SELECT gid AS git, database, owner, transaction, prepared FROM pg_prepared_xacts ORDER BY gid, database, owner',
    '',
  ],
  [
    'pgAdmin: charts of the dashboard',
    `/*pga4dash*/ SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT
      (SELECT count(*) FROM pg_catalog.pg_stat_activity) AS "Total",
      (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active') AS "Active",
      (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'idle') AS "Idle") t`,
    '',
  ],
  [
    'pgAdmin: statistics of a column',
    `SELECT null_frac AS "Null fraction", avg_width AS "Average width", n_distinct AS "Distinct values",
      most_common_vals AS "Most common values", most_common_freqs AS "Most common frequencies",
      histogram_bounds AS "Histogram bounds", correlation AS "Correlation"
      FROM pg_catalog.pg_stats WHERE schemaname = 'public' AND tablename = 'customers' AND attname = 'name'`,
    'Most common values Most common frequencies Histogram bounds Correlation',
  ],
  [
    'pg_activity: running',
    `SELECT a.pid AS pid, a.backend_xmin AS xmin, a.application_name, a.datname AS database, a.client_addr AS client,
      EXTRACT(epoch FROM (NOW() - a.query_start)) AS duration, a.wait_event AS wait, a.usename AS user, a.state AS state,
      a.query AS query, pg_catalog.pg_encoding_to_char(b.encoding) AS encoding,
      coalesce(a.leader_pid, a.pid) AS query_leader_pid, a.backend_type = 'parallel worker' AS is_parallel_worker, a.query_id
      FROM pg_stat_activity a LEFT OUTER JOIN pg_database b ON a.datid = b.oid
      WHERE a.state <> 'idle' AND a.pid <> pg_catalog.pg_backend_pid()
      ORDER BY EXTRACT(epoch FROM (NOW() - a.query_start)) DESC`,
    'query',
  ],
  [
    'pg_activity: waiting',
    `SELECT pg_locks.pid AS pid, a.application_name, pg_locks.mode AS mode, pg_locks.relation::regclass AS relation,
      a.state as state, a.query AS query, a.query_id
      FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity a ON(pg_catalog.pg_locks.pid = a.pid)
      WHERE NOT pg_catalog.pg_locks.granted AND a.pid <> pg_backend_pid()`,
    'query',
  ],
  [
    'pghero: running queries',
    `SELECT pid, state, application_name AS source, age(NOW(), COALESCE(query_start, xact_start)) AS duration,
      (wait_event IS NOT NULL) AS waiting, query, usename AS user FROM pg_stat_activity
      WHERE query <> '<insufficient privilege>' AND state <> 'idle' AND pid <> pg_backend_pid()
      AND datname = current_database() ORDER BY COALESCE(query_start, xact_start) DESC`,
    'query',
  ],
  [
    'pghero: blocked queries',
    `SELECT COALESCE(blockingl.relation::regclass::text,blockingl.locktype) as locked_item, blockeda.pid AS blocked_pid,
      blockeda.query as blocked_query, blockinga.pid AS blocking_pid,
      blockinga.query AS current_or_recent_query_in_blocking_process
      FROM pg_catalog.pg_locks blockedl
      LEFT JOIN pg_stat_activity blockeda ON blockedl.pid = blockeda.pid
      LEFT JOIN pg_catalog.pg_locks blockingl ON blockedl.pid != blockingl.pid AND (
        blockingl.transactionid = blockedl.transactionid
        OR (blockingl.relation = blockedl.relation AND blockingl.locktype = blockedl.locktype))
      LEFT JOIN pg_stat_activity blockinga ON blockingl.pid = blockinga.pid AND blockinga.datid = blockeda.datid
      WHERE NOT blockedl.granted AND blockeda.query <> '<insufficient privilege>'
      AND blockeda.datname = current_database()`,
    'blocked_query current_or_recent_query_in_blocking_process',
  ],
  [
    'pghero: query statistics',
    `WITH query_stats AS (SELECT LEFT(query, 10000) AS query, queryid AS query_hash, rolname AS user,
      ((total_plan_time + total_exec_time) / 1000 / 60) AS total_minutes,
      ((total_plan_time + total_exec_time) / calls) AS average_time, calls FROM pg_stat_statements
      INNER JOIN pg_database ON pg_database.oid = pg_stat_statements.dbid
      INNER JOIN pg_roles ON pg_roles.oid = pg_stat_statements.userid
      WHERE calls > 0 AND pg_database.datname = current_database())
      SELECT query, query_hash, query_stats.user, total_minutes, calls,
      (SELECT SUM(total_minutes) FROM query_stats) AS all_queries_total_minutes
      FROM query_stats ORDER BY total_minutes DESC LIMIT 100`,
    'query',
  ],
  [
    'Datadog: samples of statements',
    "SELECT * FROM pg_stat_activity WHERE datname = 'shop' AND coalesce(TRIM(query), '') != ''",
    'query',
  ],
  [
    'a blog',
    `SELECT pid, now() - query_start AS age, left(query, 100) AS q, substring(query, 1, 60) AS s, coalesce(query, '') AS c
      FROM pg_stat_activity WHERE query != '<IDLE>' AND query NOT ILIKE '%pg_stat_activity%'
      AND query NOT IN ('COMMIT', 'ROLLBACK') ORDER BY query_start`,
    'q s c',
  ],
  [
    'a blog: autovacuum',
    "SELECT pid, query IS NULL AS n, count(query) OVER () FROM pg_stat_activity WHERE lower(query) LIKE 'autovacuum:%'",
    '',
  ],
  [
    'a blog: bloat',
    `SELECT schemaname, tablename, sum((1 - null_frac) * avg_width) AS width, max(null_frac) FROM pg_stats
      GROUP BY 1, 2`,
    '',
  ],
  ['a view of the owner', 'SELECT * FROM activity', 'query size'],
  ['JSON', 'SELECT json_agg(a) AS all FROM pg_stat_activity a', 'all'],
];

const REFUSED: readonly string[] = [
  "SELECT pid FROM pg_stat_activity WHERE query LIKE '%4111%'",
  "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT 4111'",
  'SELECT pid FROM pg_stat_activity WHERE query LIKE $1',
  "SELECT pid FROM pg_stat_activity WHERE query LIKE '%update%'::varchar(2)",
  "SELECT pid FROM pg_stat_activity WHERE substr(query, 100) = ''",
  "SELECT pid FROM (SELECT pid, substr(query, 100) AS q FROM pg_stat_activity) a WHERE q = ''",
  "SELECT pid FROM pg_stat_activity WHERE coalesce(nullif(query, 'a'), '') = ''",
  'SELECT length(query) FROM pg_stat_activity',
  'SELECT pid FROM pg_stat_activity ORDER BY query',
  'SELECT count(*) FROM pg_stat_activity GROUP BY query',
  'SELECT count(DISTINCT query) FROM pg_stat_activity',
  'SELECT query, sum(calls) FROM pg_stat_statements GROUP BY query',
  'SELECT pid FROM pg_stat_activity a JOIN customers c ON a.query = c.name',
  "SELECT calls FROM pg_stat_statements WHERE query ~ '4111'",
  "SELECT calls FROM pg_stat_statements(true) s WHERE s.query ~ '4111'",
  "SELECT (pg_stat_statements(true)).calls WHERE (SELECT query FROM pg_stat_statements(true) LIMIT 1) = 'x'",
  'SELECT 1 FROM activity WHERE size = 7',
  "SELECT 1 FROM pg_stats WHERE most_common_vals::text LIKE '%4111%'",
  'SELECT most_common_vals IS NULL FROM pg_stats',
  'SELECT correlation > 0.5 FROM pg_stats',
  "SELECT array_to_string(most_common_vals, ',') FROM pg_stats",
  'SELECT unnest(most_common_freqs) FROM pg_stats',
  'SELECT (pg_mcv_list_items(stxdmcv)).values FROM pg_statistic_ext_data',
  'SELECT stavalues1::text FROM pg_statistic',
  "SELECT 1 FROM pg_authid WHERE rolpassword LIKE 'md5a%'",
  "SELECT 1 FROM pg_shadow WHERE passwd = 'x'",
  'INSERT INTO kept SELECT query FROM pg_stat_activity',
  'CREATE TABLE taken AS SELECT query FROM pg_stat_activity',
  'CREATE VIEW taken AS SELECT query FROM pg_stat_activity',
  'SELECT set_config($$application_name$$, query, false) FROM pg_stat_activity',
  'SELECT pg_stat_get_activity(NULL)',
  'SELECT * FROM pg_stat_get_activity(NULL)',
  'SELECT pg_stat_get_backend_activity(1)',
  'SELECT pg_stat_statements_reset()',
  'SELECT auth_method FROM pg_hba_file_rules',
];

describe('columns of system views that show data of others are masked, and nothing is computed with them', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(fileURLToPath(new URL('system-columns.sql', import.meta.url)));
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  async function decide(sql: string, grant = STRICT): Promise<string> {
    const { catalog } = bench;
    const verdict = evaluate(await bench.analyse(sql), grant, { catalog, text: sql });
    if (verdict.effect === 'refuse') return `refused: ${verdict.refusal.message}`;
    return verdict.statements
      .flatMap(({ analysis, masks = [] }) =>
        masks.flatMap((mask, index) => (mask ? (analysis.outputs?.[index]?.name ?? '?') : [])),
      )
      .join(' ');
  }

  test.each(GOES_ON)('goes on (%s): %s', async (_, sql, masked) => {
    expect(await decide(sql)).toBe(masked);
    expect(await decide(sql, READER), 'where rules alone restrict').toBe(masked);
    expect(await decide(sql, OWNER), 'where nothing does').toBe('');
  });

  test.each(REFUSED)('refused: %s', async (sql) => {
    expect(await decide(sql)).toMatch(/^refused: ./);
    expect(await decide(sql, READER)).toMatch(/^refused: ./);
  });

  test('what a tool sends runs on the server', async () => {
    for (const [, sql] of GOES_ON.filter(([, one]) => !one.includes('pg_stat_statements'))) {
      expect(await bench.really(sql), sql).not.toBe('');
    }
  });

  test('a refusal says what goes on instead', async () => {
    const sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%4111%'";
    const { catalog } = bench;
    const verdict = evaluate(await bench.analyse(sql), STRICT, { catalog, text: sql });
    expect(verdict.effect === 'refuse' && verdict.refusal).toMatchObject({
      code: 'HOOP_DENIED',
      message: 'masked column pg_catalog.pg_stat_activity.query may be shown, but not used in LIKE',
      hint: expect.stringContaining('group by the other columns of the view'),
    });
  });
});
