/** psql: its commands about objects, work with data, COPY, a script with DDL. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientProgram } from '../installation.ts';
import type { Tool } from './tool.ts';

const LISTS = 'd dt+ dv+ di+ ds dn+ df+ dT+ dp du l dx dO dC dD dF dm dE dRp db dconfig'.split(' ');
const NAMES = 'customers products orders order_lines customer_totals orders_customer'.split(' ');

/** A case each. */
const COMMANDS: readonly string[] = [
  ...LISTS.map((list) => `\\${list}`),
  ...NAMES.map((name) => `\\d+ public.${name}`),
  '\\conninfo',
  '\\sf public.count_change',
  '\\sv public.customer_totals',
  'SELECT * FROM customers ORDER BY id LIMIT 3;',
  '\\x on\nSELECT * FROM customers WHERE id = 7;\n\\x off',
  "SELECT id, name FROM customers WHERE email = 'customer3@shop.example';",
  'SELECT count(*), count(email), count(card_number) FROM customers;',
  'SELECT state, count(*), sum(total) FROM orders GROUP BY state ORDER BY state;',
  'SELECT * FROM customer_totals ORDER BY id LIMIT 2;',
  'TABLE products;',
  'SELECT * FROM orders ORDER BY id LIMIT 2 \\gx',
  'SELECT id, name, created_at FROM customers \\gdesc',
  'SELECT customer_id, state, count(*) FROM orders WHERE customer_id < 4 GROUP BY 1, 2 \\crosstabview',
  "\\set n 3\nSELECT title FROM products WHERE id = :n;\nSELECT id, price FROM products WHERE sku = 'SKU-5' \\gset got_\n\\echo :got_id :got_price",
  '\\set FETCH_COUNT 7\nSELECT id, total FROM orders ORDER BY id;\n\\unset FETCH_COUNT',
  '\\copy products TO STDOUT WITH (FORMAT csv, HEADER)',
  '\\copy (SELECT id, name, email FROM customers ORDER BY id LIMIT 3) TO STDOUT (FORMAT csv)',
  '\\copy customers TO STDOUT',
  '\\copy orders TO orders.tsv\n\\! wc -l < orders.tsv',
  "INSERT INTO products (sku, title, price) VALUES ('SKU-99', 'New', 9.99) RETURNING id, sku;",
  "UPDATE products SET price = price * 1.1 WHERE sku = 'SKU-99' RETURNING price;",
  "DELETE FROM products WHERE sku = 'SKU-99';",
  "INSERT INTO products (sku, title, price) VALUES ('SKU-1', 'Twice', 1);\n\\errverbose",
  "INSERT INTO products (sku, title, price) VALUES ('SKU-98', 'Below', -1);",
  'SELECT * FROM missing;',
  'SELEC 1;',
  "UPDATE customers SET notes = 'called back' WHERE id = 3 RETURNING id, notes;",
  "BEGIN;\nUPDATE orders SET state = 'sent' WHERE id = 5;\nSAVEPOINT s;\nSELECT 1/0;\nROLLBACK TO s;\nSELECT state, changes FROM orders WHERE id = 5;\nROLLBACK;\nSELECT state, changes FROM orders WHERE id = 5;",
  '\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT 2;\nCOMMIT;\n\\set ON_ERROR_ROLLBACK off',
  'BEGIN;\nINSERT INTO orders (customer_id, total) VALUES (2, 10) RETURNING id;\nINSERT INTO order_lines SELECT max(id), 1, 3 FROM orders;\nCOMMIT;',
  'EXPLAIN (COSTS off) SELECT * FROM orders WHERE customer_id = 3;',
  'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT count(*) FROM orders;',
  "CREATE TABLE scratch.notes (id serial PRIMARY KEY, body text NOT NULL);\nCOMMENT ON TABLE scratch.notes IS 'mine';\nCREATE INDEX notes_body ON scratch.notes (body);\nALTER TABLE scratch.notes ADD COLUMN at timestamptz DEFAULT now();\n\\d+ scratch.notes",
  'COPY scratch.notes (body) FROM STDIN;\none\ntwo\n\\.',
  '\\copy scratch.notes (body) FROM PROGRAM \'printf "three\\nfour\\n"\'',
  'SELECT id, body FROM scratch.notes ORDER BY id;',
  "CREATE TYPE scratch.mood AS ENUM ('sad', 'happy');\nALTER TYPE scratch.mood ADD VALUE 'calm';\n\\dT+ scratch.mood",
  "CREATE VIEW scratch.open_orders AS SELECT id, customer_id, total FROM public.orders WHERE state = 'open';\nSELECT count(*) FROM scratch.open_orders;",
  'CREATE TABLE scratch.copy_of_products AS TABLE products;\nSELECT count(*) FROM scratch.copy_of_products;',
  'CREATE MATERIALIZED VIEW scratch.by_state AS SELECT state, count(*) FROM orders GROUP BY 1;\nREFRESH MATERIALIZED VIEW scratch.by_state;\nSELECT count(*) FROM scratch.by_state;',
  'CREATE TEMP TABLE t AS SELECT id FROM orders;\nSELECT count(*) FROM t;\nDROP TABLE t;',
  'VACUUM scratch.notes;\nANALYZE scratch.notes;\nREINDEX TABLE scratch.notes;',
  'DROP VIEW scratch.open_orders;\nDROP MATERIALIZED VIEW scratch.by_state;\nDROP TABLE scratch.notes, scratch.copy_of_products;\nDROP TYPE scratch.mood;',
  'CREATE TABLE public.not_here (id int);',
  'DROP TABLE public.orders;',
  "SET statement_timeout = '5s';\nSHOW statement_timeout;\nRESET ALL;",
  'PREPARE p(int) AS SELECT title FROM products WHERE id = $1;\nEXECUTE p(2);\nDEALLOCATE p;',
  'BEGIN;\nDECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id;\nFETCH 2 FROM c;\nCLOSE c;\nCOMMIT;',
  "SELECT format('SELECT %s', g) FROM generate_series(1, 2) g \\gexec",
  'SELECT pid IS NOT NULL AS mine FROM pg_stat_activity WHERE pid = pg_backend_pid();',
  "SELECT relname, n_live_tup >= 0 AS counted FROM pg_stat_user_tables WHERE relname <> 'not_here' ORDER BY relname;",
];
const MARK = '@@@ next';

export const psql: Tool = {
  name: 'psql',
  source: 'server',
  package: undefined,
  async run({ runProgram, scratch, server, lane }) {
    const outputs = new Map<string, string>();
    const script = join(scratch, 'script.sql');
    writeFileSync(script, COMMANDS.map((command) => `\\echo ${MARK}\n${command}\n`).join(''));
    const program = clientProgram(server, 'psql');
    const one = ['-c', 'exec "$0" -X "$@" 2>&1', program];
    const { stdout, exitCode } = await runProgram('sh', [...one, '-f', script], { cwd: scratch });
    const [before = '', ...parts] = stdout.split(`${MARK}\n`);
    COMMANDS.forEach((command, index) => {
      const name = command.replaceAll(/\s+/g, ' ').slice(0, 60);
      outputs.set(name, normalized(parts[index] ?? '(did not run)\n'));
    });
    outputs.set('exit', `${before}${exitCode}\n`);
    const text =
      'CREATE TABLE scratch.m (id int); ALTER TABLE scratch.m ADD b int; INSERT INTO scratch.m VALUES (1, 2); SELECT * FROM scratch.m; DROP TABLE scratch.m';
    for (const [name, args] of [
      ['-c with several statements', ['-c', text]],
      [
        '--single-transaction',
        ['-1', '-c', 'SELECT 1', '-c', 'UPDATE products SET stock = 1 WHERE id = 1'],
      ],
      ['--csv', ['--csv', '-c', 'SELECT id, name, email FROM customers ORDER BY id LIMIT 2']],
      ['-l', ['-l', '-A', '-t', '-F', ' ', '-d', lane.database]],
    ] as const) {
      outputs.set(name, normalized((await runProgram('sh', [...one, ...args])).stdout));
    }
    return outputs;
  },
};

/** Where psql is connected to, and sizes on disk, are not the lane's doing. */
function normalized(text: string): string {
  return text
    .replaceAll(/port( *\| | "?)\d+"?/g, 'port$1N')
    .replaceAll(/psql:[^:]*:\d+: /g, '')
    .replaceAll(/ *\b\d+ (kB|MB|bytes)\b */g, ' N $1 ');
}
