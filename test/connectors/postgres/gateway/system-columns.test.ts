/** Statements of other sessions and sampled values, against a real server. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { query, RawClient } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const SECRET = '4539148803436467';
const { target, sql } = testTarget(`
  CREATE TABLE people (id int PRIMARY KEY, card text);
  INSERT INTO people SELECT n, '${SECRET}' FROM generate_series(1, 20) n;
  ANALYZE people;
`);
const real = realEngine(target);
const GRANTS: Readonly<Record<string, Grant>> = {
  'while columns are masked': grantOf({
    rules: ['allow *'],
    masks: ['public.people.card full'],
    inference: 'allow',
  }),
  'where rules alone restrict': grantOf({ rules: ['allow select on public.*'] }),
};

describe.each(Object.entries(GRANTS))('%s', (_, grant) => {
  let engine: Bench;
  let other: pg.Client;
  let client: pg.Client;
  const notices: string[] = [];
  beforeAll(async () => {
    engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
    other = new pg.Client({
      host: '127.0.0.1',
      port: engine.port,
      user: 'u',
      database: 'postgres',
    });
    client = new pg.Client({
      host: '127.0.0.1',
      port: engine.port,
      user: 'u',
      database: 'postgres',
    });
    client.on('notice', ({ message, detail }) => notices.push(`${message} ${detail}`));
    await other.connect();
    await client.connect();
    await other.query(`SELECT '${SECRET}'`);
  });
  afterAll(async () => {
    await other?.end();
    await client?.end();
    await engine?.[Symbol.asyncDispose]();
  });

  const ask = async (text: string): Promise<unknown[][]> => {
    const result = await client.query<unknown[]>({ text, rowMode: 'array' });
    return result.rows;
  };

  test('of all statements only the one that asks is shown', async () => {
    expect(JSON.stringify(await sql('SELECT query FROM pg_stat_activity'))).toContain(SECRET);
    for (const text of [
      "SELECT query FROM pg_stat_activity WHERE backend_type = 'client backend'",
      "SELECT pid, * FROM pg_stat_activity WHERE backend_type = 'client backend'",
    ]) {
      const shown = JSON.stringify(await ask(text));
      expect(shown).toContain(JSON.stringify(text));
      expect(shown).toContain('"****"');
      expect(shown).not.toContain(SECRET);
    }
    const bound = await client.query(
      'SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1::int = 1',
      [1],
    );
    expect(bound.rows).toEqual([
      { query: 'SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1::int = 1' },
    ]);
    const part = await ask(
      'SELECT left(query, 7) FROM pg_stat_activity WHERE pid = pg_backend_pid()',
    );
    expect(part, 'a part of it is not known to be its own').toEqual([['****']]);
  });

  test('a NOTICE says which columns are masked, and why', () => {
    expect(notices).toEqual([
      'masked for you in this result: pg_catalog.pg_stat_activity.query (full) pg_stat_activity shows statements of other sessions, with the values in them.',
    ]);
  });

  test('sampled values are NULL, and numbers of a whole column are right', async () => {
    const text =
      "SELECT most_common_vals, most_common_freqs, correlation, null_frac, n_distinct FROM pg_stats WHERE tablename = 'people' AND attname = 'card'";
    expect(JSON.stringify(await sql(text))).toContain(SECRET);
    expect(await ask(text)).toEqual([[null, null, null, 0, 1]]);
  });

  test('rows are right where words of SQL sort statements out, and refused where a value would', async () => {
    await other.query('BEGIN');
    expect(
      await ask("SELECT count(*)::int FROM pg_stat_activity WHERE query ILIKE 'begin%'"),
    ).toEqual([[1]]);
    await other.query('ROLLBACK');
    await expect(
      ask(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%${SECRET}%'`),
    ).rejects.toMatchObject({ code: '42501' });
  });

  test('COPY masks them, too', async () => {
    await other.query(`SELECT '${SECRET}'`);
    await using raw = await RawClient.open(engine.port);
    const text = "COPY (SELECT query FROM pg_stat_activity WHERE query LIKE 'SELECT%') TO STDOUT";
    const received = await raw.ask([query(text)]);
    const data = received.filter(({ type }) => type === 'd').map(({ body }) => body.toString());
    expect(data.join('')).toContain('****');
    expect(data.join('')).not.toContain(SECRET);
  });
});
