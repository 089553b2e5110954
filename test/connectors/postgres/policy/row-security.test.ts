import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guardSetting } from '../../../../src/connectors/postgres/policy/verdict/guards.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { grantOf } from './grant-fixture.ts';

/**
 * Why every session may SET row_security: whatever it is set to, nobody sees a row that the default
 * would have hidden. The server is asked, for all whom row security treats in a way of its own.
 */
const SCHEMA = `
  CREATE ROLE member LOGIN PASSWORD 'pw';
  CREATE ROLE holder LOGIN PASSWORD 'pw';
  CREATE ROLE bypasser LOGIN PASSWORD 'pw' BYPASSRLS;
  GRANT CREATE ON SCHEMA public TO holder;
  SET ROLE holder;
  CREATE TABLE plain (id int PRIMARY KEY, whose text);
  CREATE TABLE ruled (id int PRIMARY KEY, whose text);
  CREATE TABLE forced (id int PRIMARY KEY, whose text);
  INSERT INTO plain VALUES (1, 'member'), (2, 'other');
  INSERT INTO ruled TABLE plain;
  INSERT INTO forced TABLE plain;
  ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
  ALTER TABLE forced ENABLE ROW LEVEL SECURITY;
  ALTER TABLE forced FORCE ROW LEVEL SECURITY;
  CREATE POLICY own ON ruled USING (whose = 'member');
  CREATE POLICY own ON forced USING (whose = 'member');
  CREATE VIEW of_ruled AS TABLE ruled;
  CREATE VIEW of_forced AS TABLE forced;
  CREATE VIEW as_caller WITH (security_invoker) AS TABLE ruled;
  CREATE FUNCTION as_holder() RETURNS SETOF forced LANGUAGE sql SECURITY DEFINER AS 'TABLE forced';
  CREATE FUNCTION not_inlined() RETURNS SETOF ruled LANGUAGE plpgsql AS 'BEGIN RETURN QUERY TABLE ruled; END';
  GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO PUBLIC;
  RESET ROLE;
`;
const READS = [
  'TABLE plain',
  'TABLE ruled',
  'TABLE forced',
  'TABLE of_ruled',
  'TABLE of_forced',
  'TABLE as_caller',
  'SELECT * FROM as_holder()',
  'SELECT * FROM not_inlined()',
  'SELECT p.id FROM plain p JOIN ruled r USING (id)',
  'UPDATE ruled SET whose = whose RETURNING id, whose',
  'SELECT attname, most_common_vals, histogram_bounds FROM pg_stats WHERE schemaname = $$public$$',
];
const VALUES = ['off', 'FALSE', 'no', '0', 'on', 'true', '1'];

let server: EmbeddedPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
  await as(undefined, async (client) => {
    await client.query(SCHEMA);
    await client.query('ANALYZE');
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function as<T>(user: string | undefined, work: (client: pg.Client) => Promise<T>) {
  const url = new URL(server.url('postgres'));
  if (user) [url.username, url.password] = [user, 'pw'];
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function answer(client: pg.Client, sql: string): Promise<string> {
  await client.query('BEGIN');
  try {
    const { rows } = await client.query(sql);
    return rows
      .map((row) => JSON.stringify(row))
      .sort()
      .join('\n');
  } catch (error) {
    return error instanceof pg.DatabaseError ? `${error.code} ${error.message}` : String(error);
  } finally {
    await client.query('ROLLBACK');
  }
}

test.each(['member', 'holder', 'bypasser', undefined])(
  'row_security shows %s no row that its default hides',
  async (user) => {
    await as(user, async (client) => {
      for (const sql of READS) {
        await client.query('RESET row_security');
        const usual = await answer(client, sql);
        for (const value of VALUES) {
          await client.query(`SET row_security = ${value}`);
          const what = `${sql} with ${value}`;
          const now = await answer(client, sql);
          if (now !== usual) {
            expect(now, what).toMatch(/^42501 query would be affected by row-level security/);
          }
          // The function's plan of before is another one now.
          expect(await answer(client, sql), what).toBe(now);
        }
      }
    });
  },
);

test('off fails where it would be filtered, which is what makes a dump complete', async () => {
  await as('member', async (client) => {
    expect(await answer(client, 'TABLE ruled')).toBe('{"id":1,"whose":"member"}');
    await client.query('SET row_security = off');
    expect(await answer(client, 'TABLE ruled')).toMatch(/^42501 query would be affected/);
  });
  await as('holder', async (client) => {
    await client.query('SET row_security = off');
    expect(await answer(client, 'TABLE ruled')).toContain('other');
    expect(await answer(client, 'TABLE forced')).toMatch(/^42501 query would be affected/);
  });
});

test('so every session may set it, also while columns are masked', () => {
  const grant = grantOf({ rules: ['allow select'], masks: ['public.ruled.whose full'] });
  for (const value of VALUES) {
    expect(guardSetting('row_security', value, grant)).toBeUndefined();
  }
});
