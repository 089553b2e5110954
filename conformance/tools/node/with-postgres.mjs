import postgres from 'postgres';
import { attempt } from './say.mjs';

const sql = postgres({ max: 2, onnotice: () => undefined });
await attempt('customers', () => sql`SELECT * FROM customers ORDER BY id LIMIT ${2}`);
await attempt(
  'lookup',
  () => sql`SELECT id FROM customers WHERE email = ${'customer4@shop.example'}`,
);
await attempt(
  'columns',
  () => sql`SELECT ${sql(['id', 'name'])} FROM customers WHERE id IN ${sql([1, 2])} ORDER BY id`,
);
await attempt(
  'join',
  () =>
    sql`SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id LIMIT 3`,
);
await attempt(
  'insert',
  () =>
    sql`INSERT INTO products ${sql([
      { sku: 'J-1', title: 'a', price: 1 },
      { sku: 'J-2', title: 'b', price: 2 },
    ])} RETURNING sku, price`,
);
await attempt(
  'update',
  () =>
    sql`UPDATE products SET ${sql({ title: 'c', stock: 4 })} WHERE sku = ${'J-1'} RETURNING title, stock`,
);
await attempt(
  'upsert',
  () =>
    sql`INSERT INTO products ${sql({ sku: 'J-1', title: 'd', price: 1 })} ON CONFLICT (sku) DO UPDATE SET title = excluded.title RETURNING title`,
);
await attempt(
  'duplicate',
  () => sql`INSERT INTO products ${sql({ sku: 'J-1', title: 'd', price: 1 })}`,
);
await attempt('missing table', () => sql`SELECT * FROM nowhere`);
await attempt('begin', () =>
  sql.begin(async (tx) => {
    await tx`UPDATE products SET stock = 1 WHERE id = 1`;
    await tx.savepoint((inner) => inner`SELECT 1/0`).catch(() => undefined);
    return tx`SELECT stock FROM products WHERE id = 1`;
  }),
);
await attempt('pipelined', () =>
  sql.begin((tx) => [tx`SELECT 1 AS a`, tx`SELECT count(*) FROM orders`]),
);
await attempt('cursor', async () => {
  let count = 0;
  for await (const rows of sql`SELECT id FROM orders`.cursor(7)) count += rows.length;
  return count;
});
await attempt(
  'json',
  () =>
    sql`INSERT INTO orders (customer_id, details) VALUES (1, ${sql.json({ a: [1] })}) RETURNING details`,
);
await attempt('simple', () => sql`SELECT 1 AS a; SELECT 2 AS b`.simple());
await attempt('file', () =>
  sql.unsafe(
    "create table scratch.j (id int primary key); alter table scratch.j add t text; insert into scratch.j values (1, 'x'); select * from scratch.j",
  ),
);
await attempt('copy', async () => {
  const into = await sql`COPY scratch.j (id, t) FROM STDIN`.writable();
  for (let i = 2; i < 50; i += 1) into.write(`${i}\tt${i}\n`);
  await new Promise((resolve, reject) => into.on('error', reject).end(resolve));
  let text = '';
  for await (const chunk of await sql`COPY (SELECT count(*) FROM scratch.j) TO STDOUT`.readable())
    text += chunk;
  return text;
});
await attempt('listen', async () => {
  const { promise, resolve } = Promise.withResolvers();
  await sql.listen('news', resolve);
  await sql.notify('news', 'x');
  return promise;
});
await attempt('drop', () => sql`DROP TABLE scratch.j`.then(() => 'ok'));
await sql.end();
