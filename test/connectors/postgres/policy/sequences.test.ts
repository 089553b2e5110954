/** A sequence belongs to its table: rules about the table, or about its own name, decide. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'consequences.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

/** `allow`, `approve` or the code of the refusal. */
async function decided(sql: string, ...rules: string[]): Promise<string> {
  const context = { searchPath: ['pg_catalog', 'app'] };
  const verdict = evaluate(await bench.analyse(sql, context), grantOf({ rules }), {
    catalog: bench.catalog,
  });
  if (verdict.effect === 'refuse') return verdict.refusal.code;
  return verdict.statements.some(({ approvals }) => approvals) ? 'approve' : 'allow';
}

const READ = 'allow select on app.*, audit.*';
const INSERTS = 'allow insert on app.orders';
const UPDATES = 'allow update on app.orders';

describe('who may insert into a table may draw from its sequence', () => {
  test.each([
    "SELECT nextval('orders_id_seq')",
    "SELECT pg_catalog.nextval('app.orders_id_seq'::regclass)",
    "SELECT nextval('APP.Orders_Id_Seq')",
    `SELECT nextval('"app"."orders_id_seq"')`,
    "SELECT nextval(CAST('orders_nr_seq' AS regclass))",
    "SELECT nextval(pg_get_serial_sequence('app.orders', 'id'))",
    "SELECT currval('orders_id_seq'), lastval()",
    "SELECT nextval('orders_id_seq') FROM generate_series(1, 10)",
    "SELECT * FROM nextval('orders_id_seq')",
    "INSERT INTO orders (id, v) VALUES (nextval('orders_id_seq'), 'x')",
    "INSERT INTO orders (v) VALUES ('x')",
    'INSERT INTO orders DEFAULT VALUES',
  ])('%s', async (sql) => {
    expect(await decided(sql, READ, INSERTS)).toBe('allow');
  });

  test('and nobody else', async () => {
    expect(await decided("SELECT nextval('orders_id_seq')", READ)).toBe('HOOP_NOT_ALLOWED');
    expect(await decided("SELECT nextval('audit.steps_id_seq')", READ, INSERTS)).toBe(
      'HOOP_NOT_ALLOWED',
    );
    expect(await decided("SELECT nextval('tickets')", READ, INSERTS)).toBe('HOOP_NOT_ALLOWED');
  });

  test('a rule that denies the insert, or names the sequence, denies drawing', async () => {
    const sql = "SELECT nextval('orders_id_seq')";
    expect(await decided(sql, READ, INSERTS, 'deny insert on app.orders')).toBe('HOOP_DENIED');
    expect(await decided(sql, READ, INSERTS, 'deny update on app.orders_id_seq')).toBe(
      'HOOP_DENIED',
    );
    expect(await decided(sql, READ, INSERTS, 'deny update on app.orders')).toBe('allow');
    expect(await decided(sql, READ, 'approve insert on app.orders')).toBe('allow');
  });
});

describe('setting a sequence is an update of its table', () => {
  test.each([
    "SELECT setval('orders_id_seq', 1)",
    "SELECT setval(pg_get_serial_sequence('app.orders', 'id'), max(id)) FROM orders",
    "SELECT setval('orders_id_seq'::regclass, 1, false)",
    "UPDATE orders SET v = 'x' WHERE setval('orders_id_seq', 5) > 0 AND id = 1",
  ])('%s', async (sql) => {
    expect(await decided(sql, READ, UPDATES)).toBe('allow');
    expect(await decided(sql, READ, 'allow update on app.orders_id_seq', UPDATES)).toBe('allow');
    expect(await decided(sql, READ, 'allow calls of pg_catalog.setval', UPDATES)).toBe('allow');
    expect(await decided(sql, READ, 'approve update on app.orders')).toBe('approve');
  });

  test('inserting is not enough, nor is updating what a WHERE names', async () => {
    const sql = "SELECT setval('orders_id_seq', 1)";
    expect(await decided(sql, READ, INSERTS)).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, READ, 'allow update with WHERE on app.*')).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, READ, UPDATES, 'deny update without WHERE')).toBe('HOOP_DENIED');
  });

  test('of a sequence that several tables draw from, all of them count', async () => {
    const sql = "SELECT setval('shared', 1)";
    expect(await decided(sql, READ, 'allow update on app.first_user')).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, READ, 'allow update on app.first_user, audit.second_user')).toBe(
      'allow',
    );
    expect(await decided(sql, READ, 'allow update on app.*', 'deny update on audit.*')).toBe(
      'HOOP_DENIED',
    );
  });

  test('a table of mine that draws from the sequence of another does not make it mine', async () => {
    const sql = "SELECT setval('audit.steps_id_seq', 1)";
    expect(await decided(sql, READ, 'allow update, insert on app.*')).toBe('HOOP_NOT_ALLOWED');
  });
});

describe('a sequence that nothing belongs to goes by its name', () => {
  test('by a rule that covers it', async () => {
    expect(await decided("SELECT nextval('tickets')", READ, 'allow insert on app.*')).toBe('allow');
    expect(await decided("SELECT nextval('tickets')", READ, 'allow update on app.tickets')).toBe(
      'allow',
    );
    expect(await decided(`SELECT nextval('"Odd Seq"')`, READ, 'allow insert on app.*')).toBe(
      'allow',
    );
  });
});

describe('which sequence it is must be written out', () => {
  test.each([
    'SELECT nextval($1)',
    "SELECT nextval(concat('orders', '_id_seq'))",
    "SELECT nextval(v) FROM (VALUES ('orders_id_seq')) s (v)",
    "SELECT ('orders_id_seq'::regclass).nextval",
    "SELECT setval(quote_ident('orders_id_seq'), 1)",
    "SELECT setval(pg_get_serial_sequence('app.orders', v), 1) FROM orders",
  ])('%s', async (sql) => {
    expect(await decided(sql, READ, 'allow insert, update on app.*')).toBe('HOOP_UNTRACEABLE');
    expect(await decided(sql, 'allow *')).toBe('allow');
  });
});

describe('defaults draw as if it stood in the statement', () => {
  const mine = 'allow insert on app.*';

  test('from the sequence of another table', async () => {
    expect(await decided("INSERT INTO borrower (v) VALUES ('x')", READ, mine)).toBe(
      'HOOP_NOT_ALLOWED',
    );
    expect(
      await decided("INSERT INTO borrower (v) VALUES ('x')", READ, mine, 'allow insert on audit.*'),
    ).toBe('allow');
    expect(await decided('INSERT INTO borrower VALUES (DEFAULT, $$x$$)', READ, mine)).toBe(
      'HOOP_NOT_ALLOWED',
    );
  });

  test('but not where the column gets a value', async () => {
    expect(await decided("INSERT INTO borrower VALUES (1, 'x')", READ, mine)).toBe('allow');
    expect(await decided("INSERT INTO first_user (v) VALUES ('x')", READ, mine)).toBe('allow');
  });

  test('when a table is made, nothing is drawn', async () => {
    const rules = [READ, 'allow create table on app.*'];
    expect(await decided("CREATE TABLE x (id int DEFAULT nextval('tickets'))", ...rules)).toBe(
      'allow',
    );
    expect(
      await decided(
        "ALTER TABLE x ADD y int DEFAULT setval('orders_id_seq', 1)",
        ...rules,
        'allow alter table',
      ),
    ).not.toBe('allow');
  });
});

describe('functions of defaults, checks, domains and generated columns', () => {
  test.each([
    ["INSERT INTO made (v) VALUES ('x')", 'app.make_id'],
    ['INSERT INTO made VALUES (DEFAULT)', 'app.make_id'],
    ['INSERT INTO made DEFAULT VALUES', 'app.make_id'],
    ['WITH a AS (INSERT INTO made (v) VALUES (1)) INSERT INTO made (id) VALUES (1)', 'app.make_id'],
    ['UPDATE made SET id = DEFAULT WHERE id = 1', 'app.make_id'],
    ['COPY made (v) FROM STDIN', 'app.make_id'],
    ["INSERT INTO controlled VALUES (1, 'x')", 'app.is_fine'],
    ["UPDATE controlled SET v = 'x' WHERE id = 1", 'app.is_fine'],
    ["INSERT INTO typed VALUES (1, 'x')", 'app.is_fine'],
    ["INSERT INTO computed VALUES (1, 'x')", 'app.shorter'],
  ])('%s needs a rule that names %s', async (sql, called) => {
    const rules = ['allow select, insert, update on app.*'];
    expect(await decided(sql, ...rules)).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, ...rules, `allow calls of ${called}`)).toBe('allow');
    expect(await decided(sql, 'allow *', `deny calls of ${called}`)).toBe('HOOP_DENIED');
    expect(await decided(sql, 'allow *')).toBe('allow');
  });

  test.each([
    "INSERT INTO made VALUES (1, 'x')",
    "UPDATE made SET v = 'x' WHERE id = 1",
    'DELETE FROM controlled WHERE id = 1',
    'COPY made FROM STDIN',
  ])('%s runs none', async (sql) => {
    expect(await decided(sql, 'allow select, insert, update, delete on app.*')).toBe('allow');
  });
});
