/** The tables that the bench works on. */
import type { Demo } from '../src/demo/demo.ts';
import { connectAdmin } from '../src/demo/sample-target.ts';

/** Rows of bench_people; larger results go through it several times. */
export const PEOPLE = 50_000;

export async function prepareBenchData(demo: Demo): Promise<void> {
  const admin = await connectAdmin(demo.target.adminUrl);
  try {
    await admin.query(`
      CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
      INSERT INTO pgbench_accounts SELECT g, 1, 0, '' FROM generate_series(1, 100000) g;
      CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
      INSERT INTO pgbench_branches VALUES (1, 0, '');
      CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
      CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
      CREATE UNLOGGED TABLE bench_lines (line text);
      CREATE TABLE bench_people (
        id int PRIMARY KEY, full_name text, email text, card_number text, city text,
        created_at timestamptz, balance numeric(12, 2), note text);
      INSERT INTO bench_people SELECT g, 'Person number ' || g, 'person.' || g || '@mail.example',
        lpad(g::text, 16, '4'), 'City ' || g % 500, '2026-01-05 09:00+00'::timestamptz + g * interval '1 minute',
        g * 1.25, repeat('a note of some length ', 6) FROM generate_series(1, ${PEOPLE}) g;
      GRANT ALL ON ALL TABLES IN SCHEMA public TO ${demo.target.user};
      ANALYZE`);
    await admin.query('VACUUM (FREEZE) bench_people');
  } finally {
    await admin.end();
  }
}
