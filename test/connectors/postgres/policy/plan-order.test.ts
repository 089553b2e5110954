import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { guardSetting } from '../../../../src/connectors/postgres/policy/verdict/guards.ts';
import { refuseStartupParameters } from '../../../../src/connectors/postgres/policy/verdict/guards-startup.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from './grant-fixture.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

const rules = [
  'allow select, alter role, update, prepare on *.*',
  'allow select, set enable_seqscan',
];
const masks = ['public.people.secret full'];
const denied = grantOf({ rules, masks, inference: 'deny' });
const free = grantOf({ rules, masks, inference: 'allow' });
const unmasked = grantOf({ rules });

const PLAN =
  'enable_seqscan enable_sort enable_hashagg enable_indexscan enable_partition_pruning ' +
  'random_page_cost seq_page_cost cpu_tuple_cost cursor_tuple_fraction effective_cache_size geqo ' +
  'geqo_seed plan_cache_mode from_collapse_limit join_collapse_limit constraint_exclusion ' +
  'debug_parallel_query force_parallel_mode max_parallel_workers_per_gather hash_mem_multiplier ' +
  'default_statistics_target ENABLE_SEQSCAN';
const EVERYDAY =
  'statement_timeout lock_timeout search_path application_name timezone work_mem jit datestyle ' +
  'extra_float_digits client_min_messages synchronize_seqscans row_security bytea_output ' +
  'default_transaction_read_only idle_in_transaction_session_timeout';

describe('settings that choose a plan could put rows into the order of a masked column', () => {
  test.each(PLAN.split(' '))('%s may be set only where inference is allowed', (name) => {
    expect(guardSetting(name, 'off', denied)).toMatchObject({ code: 'HOOP_SETTING' });
    expect(guardSetting(name, 'off', free)).toBeUndefined();
    expect(guardSetting(name, 'off', unmasked)).toBeUndefined();
  });

  test.each(EVERYDAY.split(' '))('%s may be set by every session', (name) => {
    expect(guardSetting(name, 'off', denied)).toBeUndefined();
  });

  test('nor as an option with which the connection is opened', () => {
    const open = (options: string, grant: Grant) =>
      refuseStartupParameters(new Map([['options', options]]), grant)?.code;
    expect(open('-c enable_seqscan=off', denied)).toBe('HOOP_SETTING');
    expect(open('--random-page-cost=0', denied)).toBe('HOOP_SETTING');
    expect(open('-c work_mem=64MB -c jit=off -c statement_timeout=5s', denied)).toBeUndefined();
    expect(open('-c enable_seqscan=off', free)).toBeUndefined();
    const parameter = new Map([['enable_seqscan', 'off']]);
    expect(refuseStartupParameters(parameter, denied)?.code).toBe('HOOP_SETTING');
  });
});

describe('statements', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(SAMPLE_SCHEMA);
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  async function codeOf(sql: string, grant: Grant): Promise<string | undefined> {
    const verdict = evaluate(await bench.analyse(sql), grant, {
      catalog: bench.catalog,
      text: sql,
    });
    return verdict.effect === 'refuse' ? verdict.refusal.code : undefined;
  }

  test.each([
    ['SET enable_seqscan = off', 'HOOP_SETTING'],
    ['SET LOCAL random_page_cost = 0', 'HOOP_SETTING'],
    ["SELECT set_config('enable_sort', 'off', true)", 'HOOP_SETTING'],
    ['ALTER ROLE reports SET enable_seqscan = off', 'HOOP_SETTING'],
    ['/*+ IndexScan(people people_secret) */ SELECT id FROM people', 'HOOP_DENIED'],
    ['EXPLAIN (ANALYZE, SERIALIZE) SELECT secret FROM people', 'HOOP_DENIED'],
    [
      'EXPLAIN (ANALYZE, SERIALIZE binary) SELECT p FROM people p, generate_series(1, 9)',
      'HOOP_DENIED',
    ],
    [
      'PREPARE q AS SELECT secret FROM people; EXPLAIN (ANALYZE, SERIALIZE) EXECUTE q',
      'HOOP_DENIED',
    ],
  ])('%s is refused while inference is denied', async (sql, code) => {
    expect(await codeOf(sql, denied)).toBe(code);
    expect(await codeOf(sql, free)).toBeUndefined();
  });

  test.each([
    'SET work_mem = 65536',
    'SET enable_seqscan = DEFAULT',
    'RESET random_page_cost',
    '/* a comment */ SELECT id FROM people',
    'EXPLAIN (ANALYZE) SELECT secret FROM people',
    'EXPLAIN (ANALYZE, SERIALIZE none, BUFFERS) SELECT secret FROM people',
    'EXPLAIN (ANALYZE, SERIALIZE) SELECT id, name FROM people',
    'EXPLAIN (COSTS off, SETTINGS, GENERIC_PLAN) SELECT id, secret FROM people WHERE id = $1',
  ])('%s goes on', async (sql) => {
    expect(await codeOf(sql, denied)).toBeUndefined();
  });
});
