import postgres from 'postgres';
import { attempt } from './say.mjs';

const notices = [];
const sql = postgres({ max: 3, onnotice: ({ message }) => notices.push(message) });
await attempt('schema', () => sql`CREATE SCHEMA IF NOT EXISTS by_postgres_js`);
await attempt('schema again', () => sql`CREATE SCHEMA IF NOT EXISTS by_postgres_js`);
await attempt(
  'table',
  () => sql`CREATE TABLE by_postgres_js.a (id int PRIMARY KEY, name text, j jsonb, at timestamptz)`,
);
await attempt(
  'insert',
  () =>
    sql`INSERT INTO by_postgres_js.a ${sql([
      { id: 1, name: 'x', j: { k: 1 }, at: new Date(0) },
      { id: 2, name: null, j: null, at: null },
    ])} RETURNING *`,
);
await attempt('duplicate', () => sql`INSERT INTO by_postgres_js.a (id) VALUES (1)`);
await attempt(
  'select',
  () => sql`SELECT * FROM by_postgres_js.a WHERE id = ANY(${[1, 2]}) ORDER BY id`,
);
await attempt('pipelined', () =>
  Promise.all(Array.from({ length: 60 }, (_, i) => sql`SELECT ${i}::int AS v`)),
);
await attempt('pipelined with errors', () =>
  Promise.allSettled(
    Array.from({ length: 20 }, (_, i) =>
      i % 5 === 3 ? sql`SELECT 1/0` : sql`SELECT ${i}::int AS v`,
    ),
  ).then((all) => all.map(({ status, value, reason }) => [status, value ?? reason.code])),
);
await attempt('begin', () =>
  sql.begin(async (tx) => [
    await tx`SELECT 1 AS a`,
    await tx.savepoint((sp) => sp`SELECT 1/0`).catch(({ code }) => code),
    await tx`SELECT 2 AS b`,
  ]),
);
await attempt('begin, rolled back', () =>
  sql.begin(async (tx) => {
    await tx`DELETE FROM by_postgres_js.a`;
    throw new Error('no');
  }),
);
await attempt('cursor', async () => {
  const seen = [];
  for await (const rows of sql`SELECT * FROM generate_series(1, 25) g`.cursor(10))
    seen.push(rows.map(({ g }) => g));
  return seen;
});
await attempt('forEach', async () => {
  const seen = [];
  await sql`SELECT * FROM generate_series(1, 5) g`.forEach(({ g }) => {
    seen.push(g);
  });
  return seen;
});
await attempt('describe', async () => {
  const { types, columns, string } =
    await sql`SELECT id, name FROM by_postgres_js.a WHERE id = ${1}`.describe();
  return { types, string, columns: columns.map(({ name, type }) => [name, type]) };
});
await attempt('simple', () => sql`SELECT 1 AS a; SELECT 2 AS b`.simple());
await attempt('copy in', async () => {
  const stream = await sql`COPY by_postgres_js.a (id, name) FROM STDIN`.writable();
  await new Promise((resolve, reject) =>
    stream.on('finish', resolve).on('error', reject).end('10\tten\n11\televen\n'),
  );
  return sql`SELECT id, name FROM by_postgres_js.a WHERE id >= 10 ORDER BY id`;
});
await attempt('copy out', async () => {
  const stream =
    await sql`COPY (SELECT id, name FROM by_postgres_js.a ORDER BY id) TO STDOUT`.readable();
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
});
await attempt('listen', async () => {
  const heard = Promise.withResolvers();
  await sql.listen('ch', heard.resolve);
  await sql.notify('ch', 'payload');
  return heard.promise;
});
await attempt('cancel', async () => {
  const query = sql`SELECT pg_sleep(20)`;
  setTimeout(() => query.cancel(), 300);
  await query;
});
await attempt('notices', () => notices);
await attempt('drop', () => sql`DROP SCHEMA by_postgres_js CASCADE`);
await sql.end();
