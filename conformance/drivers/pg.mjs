import pg from 'pg';
import { attempt } from './say.mjs';

const client = new pg.Client();
const notices = [];
client.on('notice', ({ message }) => notices.push(message));
await client.connect();
const q = (text, values) =>
  attempt(text.slice(0, 60), async () => (await client.query(text, values)).rows);
await q('CREATE SCHEMA IF NOT EXISTS by_pg');
await q(
  'CREATE TABLE by_pg.a (id serial PRIMARY KEY, name text UNIQUE, at timestamptz, j jsonb, n numeric, b bytea, l int[])',
);
await q('INSERT INTO by_pg.a (name, at, j, n, b, l) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *', [
  'é',
  new Date(0),
  { a: [1] },
  '1.50',
  Buffer.from([0, 255]),
  [1, 2],
]);
await q('INSERT INTO by_pg.a (name) VALUES ($1)', ['é']);
await q("SELECT 1; SELECT 'two' AS x");
await q('BEGIN');
await q('SELECT 1/0');
await q('SELECT 1');
await q('ROLLBACK');
await q({ name: 'n', text: 'SELECT $1::int + 1 AS v', values: [41] }.text, [41]);
await attempt(
  'named',
  async () =>
    (await client.query({ name: 'n', text: 'SELECT $1::int + 1 AS v', values: [41] })).rows,
);
await attempt(
  'named again',
  async () =>
    (await client.query({ name: 'n', values: [42], text: 'SELECT $1::int + 1 AS v' })).rows,
);
await attempt(
  'as arrays',
  async () => (await client.query({ text: 'SELECT 1 AS a, 2 AS a', rowMode: 'array' })).rows,
);
await attempt(
  'binary',
  async () => (await client.query({ text: 'SELECT 7::int4, true', binary: true, values: [] })).rows,
);
await attempt('fields', async () =>
  (await client.query('SELECT name, n FROM by_pg.a')).fields.map(({ name, dataTypeID }) => [
    name,
    dataTypeID,
  ]),
);
await attempt('many at once', async () =>
  (
    await Promise.all(Array.from({ length: 50 }, (_, i) => client.query('SELECT $1::int', [i])))
  ).map(({ rows }) => rows[0]),
);
await q("DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
await attempt('notices', () => notices);
await attempt('notifications', async () => {
  const heard = new Promise((resolve) => client.once('notification', resolve));
  await client.query('LISTEN ch');
  await client.query("NOTIFY ch, 'payload'");
  const { channel, payload } = await heard;
  return [channel, payload];
});
await attempt('pool', async () => {
  const pool = new pg.Pool({ max: 4 });
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => pool.query('SELECT $1::text AS v', [i])),
  );
  await pool.end();
  return all.map(({ rows }) => rows[0].v);
});
await attempt('statement timeout', async () => {
  const slow = new pg.Client({ statement_timeout: 200 });
  await slow.connect();
  try {
    await slow.query('SELECT pg_sleep(20)');
  } finally {
    await slow.end();
  }
});
await q('DROP SCHEMA by_pg CASCADE');
await client.end();
