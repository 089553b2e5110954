import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { attempt } from './say.mjs';

const pool = new pg.Pool({ max: 3 });
const rows = (text, values) => pool.query(text, values).then((result) => result.rows);
await attempt('server', () => rows('SELECT current_database(), current_user'));
await attempt('customers', () => rows('SELECT * FROM customers ORDER BY id LIMIT $1', [2]));
await attempt('note of a customer', () => rows('SELECT notes FROM customers WHERE id = $1', [7]));
await attempt('lookup', () =>
  rows('SELECT id FROM customers WHERE email = $1', ['customer4@shop.example']),
);
await attempt('is taken', () =>
  rows('SELECT exists(SELECT 1 FROM customers WHERE email = $1) AS taken', [
    'customer4@shop.example',
  ]),
);
await attempt('join', () =>
  rows(
    `SELECT o.id, c.name, p.title, l.quantity FROM orders o JOIN customers c ON c.id = o.customer_id
    JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id WHERE o.id = ANY ($1) ORDER BY 1, 3`,
    [[1, 2]],
  ),
);
await attempt('json', () =>
  rows(`SELECT o.id, row_to_json(c) AS customer, (SELECT json_agg(l) FROM order_lines l WHERE l.order_id = o.id) AS lines
    FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = 3`),
);
await attempt('prepared', () =>
  pool
    .query({ name: 'one', text: 'SELECT title FROM products WHERE id = $1', values: [3] })
    .then(({ rows }) => rows),
);
await attempt('array rows', () =>
  pool
    .query({ text: 'SELECT id, price FROM products ORDER BY id LIMIT 2', rowMode: 'array' })
    .then(({ rows }) => rows),
);
await attempt('insert', () =>
  rows('INSERT INTO orders (customer_id, total) VALUES ($1, $2) RETURNING *', [3, '12.50']),
);
await attempt('update', () =>
  rows("UPDATE orders SET state = 'paid' WHERE id = $1 RETURNING id, state, changes", [41]),
);
await attempt('delete', () =>
  pool.query('DELETE FROM orders WHERE id = $1', [41]).then(({ rowCount }) => rowCount),
);
await attempt('upsert', () =>
  rows(
    `INSERT INTO products (sku, title, price) VALUES ($1, $2, $3)
    ON CONFLICT (sku) DO UPDATE SET title = excluded.title RETURNING id, title`,
    ['SKU-1', 'First', 1],
  ),
);
await attempt('bulk', () =>
  rows(
    'INSERT INTO products (sku, title, price) SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[]) RETURNING sku',
    [
      ['B-1', 'B-2'],
      ['b', 'c'],
      [1, 2],
    ],
  ),
);
await attempt('duplicate', () =>
  rows("INSERT INTO products (sku, title, price) VALUES ('SKU-2', 'x', 1)"),
);
await attempt('missing table', () => rows('SELECT * FROM nowhere'));
await attempt('syntax', () => rows('SELEC 1'));
await attempt('foreign key', () => rows('INSERT INTO orders (customer_id) VALUES (999)'));
await attempt('not null', () => rows('INSERT INTO products (sku) VALUES (NULL)'));
await attempt('transaction', async () => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await client.query('UPDATE products SET stock = stock - 1 WHERE id = 1');
    await client.query('SAVEPOINT a');
    await client.query('SELECT 1/0').catch(() => undefined);
    await client.query('ROLLBACK TO a');
    const { rows } = await client.query('SELECT stock FROM products WHERE id = 1');
    await client.query('ROLLBACK');
    return rows;
  } finally {
    client.release();
  }
});
await attempt('several statements', () =>
  pool
    .query('SELECT 1 AS a; SELECT 2 AS b; UPDATE products SET stock = 5 WHERE id = 2')
    .then((results) => results.map(({ rows, rowCount }) => ({ rows, rowCount }))),
);
await attempt('migration in one text', () =>
  pool
    .query(`CREATE TABLE scratch.jobs (id bigserial PRIMARY KEY, name text NOT NULL);
    ALTER TABLE scratch.jobs ADD COLUMN payload jsonb NOT NULL DEFAULT '{}';
    CREATE UNIQUE INDEX jobs_name ON scratch.jobs (name);
    INSERT INTO scratch.jobs (name) VALUES ('first');`)
    .then((results) => results.map(({ command, rowCount }) => ({ command, rowCount }))),
);
await attempt('copy in', async () => {
  const client = await pool.connect();
  try {
    const lines = Array.from({ length: 500 }, (_, i) => `job${i}\t{"n":${i}}\n`);
    await pipeline(
      Readable.from(lines),
      client.query(copyFrom('COPY scratch.jobs (name, payload) FROM STDIN')),
    );
    return (await client.query('SELECT count(*) FROM scratch.jobs')).rows;
  } finally {
    client.release();
  }
});
await attempt('copy out', async () => {
  const client = await pool.connect();
  try {
    let text = '';
    for await (const chunk of client.query(
      copyTo('COPY (SELECT id, name, email FROM customers ORDER BY id LIMIT 3) TO STDOUT'),
    ))
      text += chunk;
    return text.split('\n');
  } finally {
    client.release();
  }
});
await attempt('listen', async () => {
  const client = await pool.connect();
  try {
    const heard = new Promise((resolve) =>
      client.once('notification', ({ payload }) => resolve(payload)),
    );
    await client.query('LISTEN jobs');
    await client.query("SELECT pg_notify('jobs', 'done')");
    const payload = await heard;
    await client.query('UNLISTEN jobs');
    return payload;
  } finally {
    client.release();
  }
});
await attempt('advisory lock', () =>
  rows('SELECT pg_advisory_lock(7), pg_advisory_unlock(7) AS unlocked'),
);
await attempt('types', () =>
  rows(
    "SELECT oid::int, typname FROM pg_type WHERE typname IN ('order_state', 'hstore') AND oid < 0",
  ),
);
await attempt('tables', () =>
  rows(
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
  ),
);
await attempt('skip locked', () =>
  rows('SELECT id FROM scratch.jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED'),
);
await attempt('save a whole customer', async () => {
  const [customer] = await rows('SELECT * FROM customers WHERE id = 7');
  return rows('UPDATE customers SET name = $1, notes = $2 WHERE id = $3', [
    customer.name,
    customer.notes,
    customer.id,
  ]);
});
await attempt('save a name', () =>
  rows('UPDATE customers SET name = $1 WHERE id = $2 RETURNING id, name', ['Renamed', 8]),
);
await attempt('drop', () => pool.query('DROP TABLE scratch.jobs').then(({ command }) => command));
await pool.end();
